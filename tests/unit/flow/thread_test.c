#include "flow/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* What a thread saw; read after it was joined. */
struct seen {
    char name[32];
    bool homeless, at_ours, at_its_own, at_none, homeless_again;
    int open_signals;
};

static int house_a, house_b;

static bool is_blocked(const sigset_t *set, int number)
{
    return sigismember(set, number) == 1;
}

static void look_around(void *context)
{
    static const int numbers[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                                  SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM, SIGURG};
    struct seen *s = context;
    sigset_t now;

    pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        s->open_signals += !is_blocked(&now, numbers[i]);
    s->open_signals += !is_blocked(&now, SIGRTMIN) + !is_blocked(&now, SIGRTMAX);
    s->homeless = thread_at_home(NULL);
    s->at_ours = thread_at_home(&house_a);
    thread_settle(&house_b);
    s->at_its_own = thread_at_home(&house_b);
    s->at_none = thread_at_home(NULL);
    thread_settle(NULL);
    s->homeless_again = thread_at_home(NULL) && !thread_at_home(&house_b);
}

static struct seen in_a_thread(const char *name)
{
    struct seen s = {.name = ""};
    pthread_t thread;

    assert_int_equal(thread_start(&thread, name, look_around, &s), ERR_OK);
    thread_join(thread);
    return s;
}

static void names_up_to_15_characters(void **state)
{
    (void)state;
    assert_string_equal(in_a_thread("shard-7").name, "shard-7");
    assert_string_equal(in_a_thread("123456789012345").name, "123456789012345");
    assert_string_equal(in_a_thread("1234567890123456").name, "123456789012345");
}

static void takes_no_signals_and_leaves_ours_alone(void **state)
{
    sigset_t before, after, usr2;

    (void)state;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &usr2, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(in_a_thread("quiet").open_signals, 0);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int number = 1; number < SIGRTMAX; number++)
        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
    assert_false(is_blocked(&after, SIGTERM));
    assert_true(is_blocked(&after, SIGUSR2));
}

static void each_thread_has_its_own_home(void **state)
{
    struct seen s;

    (void)state;
    assert_true(thread_at_home(NULL));
    thread_settle(&house_a);
    s = in_a_thread("guest");
    assert_true(s.homeless);
    assert_false(s.at_ours);
    assert_true(s.at_its_own);
    assert_false(s.at_none);
    assert_true(s.homeless_again);
    assert_true(thread_at_home(&house_a));
    assert_false(thread_at_home(&house_b));
    thread_settle(NULL);
}

/* What ran, in this order; read after the threads were joined. */
static char order[8];

static void note(char what)
{
    order[strlen(order)] = what;
}

static void come(void)
{
    note('(');
}

static void go(void)
{
    note(')');
}

static void work(void *context)
{
    (void)context;
    note('w');
}

static void what_is_around_runs_in_each_thread(void **state)
{
    pthread_t thread;

    (void)state;
    thread_around(come, go);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(thread_start(&thread, "worker", work, NULL), ERR_OK);
        thread_join(thread);
    }
    thread_around(NULL, NULL);
    assert_string_equal(order, "(w)(w)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_up_to_15_characters),
        cmocka_unit_test(takes_no_signals_and_leaves_ours_alone),
        cmocka_unit_test(each_thread_has_its_own_home),
        cmocka_unit_test(what_is_around_runs_in_each_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
