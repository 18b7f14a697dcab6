#include "flow/poll.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct poll p;
static int pair[2];

static int open_all(void **state)
{
    (void)state;
    assert_int_equal(poll_open(&p), ERR_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    poll_close(&p);
    poll_close(&p); /* a second time is fine */
    return 0;
}

static void says_what_is_ready_until_it_is_not(void **state)
{
    struct epoll_event e[4];
    char c;

    (void)state;
    assert_int_equal(poll_add(&p, pair[0], EPOLLIN, UINT64_MAX - 5), ERR_OK);
    assert_int_equal(poll_wait(&p, e, 4, 0), 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(poll_wait(&p, e, 4, -1), 1);
        assert_int_equal(e[0].events, EPOLLIN);
        assert_true(e[0].data.u64 == UINT64_MAX - 5);
    }
    assert_int_equal(read(pair[0], &c, 1), 1);
    assert_int_equal(poll_wait(&p, e, 4, 1), 0);
}

static void changes_interest_and_tag(void **state)
{
    struct epoll_event e[4];

    (void)state;
    assert_int_equal(poll_add(&p, pair[0], EPOLLOUT, 1), ERR_OK);
    assert_int_equal(poll_wait(&p, e, 4, -1), 1);
    assert_int_equal(e[0].events, EPOLLOUT);
    poll_change(&p, pair[0], EPOLLIN | EPOLLOUT, 2);
    assert_int_equal(poll_wait(&p, e, 4, -1), 1);
    assert_true(e[0].data.u64 == 2);
    poll_change(&p, pair[0], 0, 3);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(poll_wait(&p, e, 4, 0), 0);
    poll_change(&p, pair[0], EPOLLIN, 4);
    assert_int_equal(poll_wait(&p, e, 4, -1), 1);
    assert_true(e[0].data.u64 == 4);
    poll_remove(&p, pair[0]);
    assert_int_equal(poll_wait(&p, e, 4, 0), 0);
}

static void answers_no_more_than_asked(void **state)
{
    struct epoll_event e[2];

    (void)state;
    assert_int_equal(poll_add(&p, pair[0], EPOLLOUT, 1), ERR_OK);
    assert_int_equal(poll_add(&p, pair[1], EPOLLOUT, 2), ERR_OK);
    assert_int_equal(poll_wait(&p, e, 1, -1), 1);
    assert_int_equal(poll_wait(&p, e, 2, INT64_MAX), 2);
}

static void refuses_what_cannot_be_watched(void **state)
{
    (void)state;
    assert_int_equal(poll_add(&p, pair[0], EPOLLIN, 1), ERR_OK);
    assert_int_not_equal(poll_add(&p, pair[0], EPOLLIN, 1), ERR_OK);
    assert_int_not_equal(poll_add(&p, -1, EPOLLIN, 1), ERR_OK);
}

static void what_is_nested_is_told_as_one(void **state)
{
    struct epoll_event e[4];
    struct poll inner;
    char c;

    (void)state;
    assert_int_equal(poll_open(&inner), ERR_OK);
    assert_int_equal(poll_nest(&p, &inner, 77), ERR_OK);
    assert_int_equal(poll_add(&p, pair[0], EPOLLIN, 1), ERR_OK);
    assert_int_equal(poll_add(&inner, pair[1], EPOLLIN, 2), ERR_OK);
    assert_int_equal(poll_wait(&p, e, 4, 0), 0);
    assert_int_equal(write(pair[0], "x", 1), 1);
    assert_int_equal(poll_wait(&p, e, 4, -1), 1);
    assert_true(e[0].data.u64 == 77 && e[0].events == EPOLLIN);
    assert_int_equal(poll_wait(&inner, e, 4, 0), 1);
    assert_true(e[0].data.u64 == 2);
    assert_int_equal(read(pair[1], &c, 1), 1);
    assert_int_equal(poll_wait(&p, e, 4, 0), 0);
    poll_close(&inner);
}

static void what_moves_is_told_where_it_is(void **state)
{
    struct epoll_event e[4];
    struct poll other;

    (void)state;
    assert_int_equal(poll_open(&other), ERR_OK);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(poll_add(&p, pair[0], EPOLLIN, 1), ERR_OK);
    assert_int_equal(poll_move(&p, &other, pair[0], EPOLLIN | EPOLLOUT, 2), ERR_OK);
    assert_int_equal(poll_wait(&p, e, 4, 0), 0);
    assert_int_equal(poll_wait(&other, e, 4, 0), 1);
    assert_true(e[0].data.u64 == 2 && e[0].events == (EPOLLIN | EPOLLOUT));
    poll_close(&other);
    assert_int_equal(poll_add(&p, pair[0], EPOLLIN, 1), ERR_OK);
    assert_true(poll_move(&p, &other, pair[0], EPOLLIN, 2)); /* refused: it stays */
    assert_int_equal(poll_wait(&p, e, 4, 0), 1);
}

static void many_wakes_are_one(void **state)
{
    struct epoll_event e[2];
    int fd = -1;

    (void)state;
    assert_int_equal(poll_wake_open(&fd), ERR_OK);
    assert_int_equal(poll_add(&p, fd, EPOLLIN, 9), ERR_OK);
    poll_woken(fd); /* nobody woke: no waiting */
    assert_int_equal(poll_wait(&p, e, 2, 0), 0);
    poll_wake(fd);
    poll_wake(fd);
    assert_int_equal(poll_wait(&p, e, 2, -1), 1);
    assert_true(e[0].data.u64 == 9);
    poll_woken(fd);
    assert_int_equal(poll_wait(&p, e, 2, 0), 0);
    poll_wake_close(fd);
    poll_wake_close(-1);
}

static volatile sig_atomic_t was_heard;

static void heard(int number)
{
    (void)number;
    was_heard = 1;
}

static void a_signal_ends_the_wait_with_nothing(void **state)
{
    struct sigaction act = {.sa_handler = heard}, before;
    struct epoll_event e;

    (void)state;
    assert_int_equal(sigaction(SIGALRM, &act, &before), 0);
    alarm(1);
    /* longer than the system call can say is long all the same */
    assert_int_equal(poll_wait(&p, &e, 1, INT64_C(1) << 32), 0);
    assert_true(was_heard);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_what_is_ready_until_it_is_not, open_all, close_all),
        cmocka_unit_test_setup_teardown(changes_interest_and_tag, open_all, close_all),
        cmocka_unit_test_setup_teardown(answers_no_more_than_asked, open_all, close_all),
        cmocka_unit_test_setup_teardown(refuses_what_cannot_be_watched, open_all, close_all),
        cmocka_unit_test_setup_teardown(what_is_nested_is_told_as_one, open_all, close_all),
        cmocka_unit_test_setup_teardown(what_moves_is_told_where_it_is, open_all, close_all),
        cmocka_unit_test_setup_teardown(many_wakes_are_one, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_signal_ends_the_wait_with_nothing, open_all, close_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
