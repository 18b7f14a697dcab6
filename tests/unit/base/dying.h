/*
 * dying - runs what must abort in a child, and reads what it said on standard error.
 *
 * Owner:   the test.      Thread: one; the child inherits no other.
 */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* True when act ended the child by SIGABRT; last words, cut to size - 1, go to said. */
static inline bool dies(void (*act)(void), char *said, size_t size)
{
    int ends[2], status = 0;
    size_t len = 0;
    pid_t child;

    if (pipe(ends))
        abort();
    child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL); /* the test runner may watch it */
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        act();
        _exit(0);
    }
    close(ends[1]);
    for (;;) {
        char rest[256];
        bool room = len < size - 1;
        ssize_t n = read(ends[0], room ? said + len : rest, room ? size - 1 - len : sizeof(rest));

        if (n <= 0)
            break;
        len += room ? (size_t)n : 0;
    }
    said[len] = 0;
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
