#include "app/crash.h"

#include <signal.h>
#include <sys/wait.h>
#include "base/log.h"
#include "base/mem.h"
#include "flow/thread.h"
#include "unit/app/load.h"

enum { SAID = 16384 };

/* What the child wrote, zero-terminated, and how it ended. */
static int run_child(void (*body)(void), char *said)
{
    size_t len = 0;
    ssize_t got;
    int ends[2], status, i;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        for (i = 1; i < 32; i++) /* a sanitizer may have them */
            (void)signal(i, SIG_DFL);
        (void)alarm(60);
        crash_open("1.2.3");
        body();
        _exit(7);
    }
    close(ends[1]);
    while (len < SAID - 1 && (got = read(ends[0], said + len, SAID - 1 - len)) > 0)
        len += (size_t)got;
    said[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void touch(void *address)
{
    *(volatile int *)address = 1;
}

/* A thread blocks every signal: if it were not let have these, the kernel would end it wordless. */
static void fault_in_a_thread(void)
{
    pthread_t thread;

    if (!thread_start(&thread, "worker", touch, (void *)(uintptr_t)0x18)) // NOLINT: none is there
        thread_join(thread);
}

static void fault_in_json(void)
{
    log_setup(LOG_INFO, LOG_JSON);
    touch((void *)(uintptr_t)0x18); // NOLINT: none is there
}

static void give_up(void)
{
    abort();
}

static void be_told(void)
{
    (void)raise(SIGBUS);
    for (;;)
        (void)pause();
}

static void end_well(void)
{
    crash_close();
    _exit(0);
}

static void a_fault_tells_thread_address_and_frames(void **state)
{
    char *said = malloc(SAID);
    int status = run_child(fault_in_a_thread, said);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_non_null(strstr(said, " ERROR crashed signal=SIGSEGV thread=worker address=0x18 "
                                 "version=1.2.3 build_id="));
    assert_non_null(strstr(said, "\n  #0 "));
    assert_non_null(strstr(said, " pushca+0x"));
    assert_non_null(strstr(said, "\n  #2 "));
    assert_int_equal(said[strlen(said) - 1], '\n');
    free(said);
}

static void in_json_it_is_one_line(void **state)
{
    char *said = malloc(SAID);
    int status = run_child(fault_in_json, said);

    (void)state;
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_int_equal(strncmp(said, "{\"time\":\"20", 11), 0);
    assert_non_null(
        strstr(said, "\",\"level\":\"error\",\"event\":\"crashed\",\"signal\":\"SIGSEGV\""));
    assert_non_null(strstr(said, ",\"frames\":[\""));
    assert_non_null(strstr(said, "\",\"pushca+0x"));
    assert_string_equal(strchr(said, '\n') - 3, "\"]}\n");
    free(said);
}

static void what_was_sent_ends_it_too(void **state)
{
    char *said = malloc(SAID);
    int status = run_child(give_up, said);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "signal=SIGABRT"));
    status = run_child(be_told, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    assert_non_null(strstr(said, "signal=SIGBUS"));
    assert_non_null(strstr(said, " sent_by="));
    free(said);
}

static void without_a_crash_nothing_is_said(void **state)
{
    char *said = malloc(SAID);
    int status = run_child(end_well, said);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(said, "");
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_tells_thread_address_and_frames),
        cmocka_unit_test(in_json_it_is_one_line),
        cmocka_unit_test(what_was_sent_ends_it_too),
        cmocka_unit_test(without_a_crash_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
