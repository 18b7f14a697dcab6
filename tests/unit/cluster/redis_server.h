/*
 * redis_server - Redis servers of a test's own, in folders of their own, on free ports.
 *
 * Owner:   the test; they die with it, also when it is killed.      Thread: its main thread.
 */
#pragma once
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { SERVER_ARGS = 48 };

struct server {
    pid_t pid; /* 0: not running */
    uint16_t port, bus;
    char folder[64];
    const char *args[SERVER_ARGS]; /* besides the common ones; null ends them */
    bool sentinel;                 /* its configuration is the file sentinel.conf */
};

static inline uint16_t port_free(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static inline redisContext *server_dial(const struct server *s)
{
    redisContext *c = redisConnectWithTimeout("127.0.0.1", s->port, (struct timeval){2, 0});

    if (c && !c->err)
        return c;
    if (c)
        redisFree(c);
    return NULL;
}

static inline void server_await(const struct server *s)
{
    for (int i = 0; i < 1000; i++) {
        redisContext *c = server_dial(s);

        if (c) {
            redisFree(c);
            return;
        }
        usleep(10000);
    }
    fail_msg("redis-server does not come up");
}

static inline void server_exec(const struct server *s)
{
    char port[16], bus[16], config[128];
    const char *argv[SERVER_ARGS + 24];
    int n = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(port, sizeof(port), "%u", (unsigned)s->port);
    snprintf(bus, sizeof(bus), "%u", (unsigned)s->bus);
    snprintf(config, sizeof(config), "%s/sentinel.conf", s->folder);
    argv[n++] = "redis-server";
    if (s->sentinel)
        argv[n++] = config;
    const char *common[] = {"--port", port,      "--bind",    "127.0.0.1",  "--save",         "",
                            "--dir",  s->folder, "--logfile", "server.log", "--cluster-port", bus};
    for (size_t i = 0; i < sizeof(common) / sizeof(*common); i++)
        argv[n++] = common[i];
    if (s->sentinel)
        n -= 2;
    for (int i = 0; i < SERVER_ARGS && s->args[i]; i++)
        argv[n++] = s->args[i];
    if (s->sentinel)
        argv[n++] = "--sentinel";
    argv[n] = NULL;
    execvp("redis-server", (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Again on the same port, if it ran before. */
static inline void server_start(struct server *s)
{
    if (!s->port) {
        s->port = port_free();
        s->bus = port_free();
    }
    if (!s->folder[0]) {
        snprintf(s->folder, sizeof(s->folder), "/tmp/pushca-redis-XXXXXX");
        assert_non_null(mkdtemp(s->folder));
    }
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        server_exec(s);
    server_await(s);
}

static inline void server_kill(struct server *s)
{
    if (!s->pid)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

static inline void server_end(struct server *s)
{
    char command[128];

    server_kill(s);
    if (!s->folder[0])
        return;
    snprintf(command, sizeof(command), "rm -rf '%s'", s->folder);
    if (system(command) != 0)
        print_message("%s is left\n", s->folder);
    s->folder[0] = 0;
}
