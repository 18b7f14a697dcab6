#include "cluster/resolve.h"

#include <netinet/in.h>
#include <time.h>
#include "unit/base/dice.h"

/* Looks until it is known. */
static enum err wait_for(struct resolve *r, uint32_t nth, struct sockaddr_storage *to,
                         socklen_t *len)
{
    static const struct timespec apart = {0, 1000000};
    enum err e;

    while ((e = resolve_poll(r, nth, to, len)) == ERR_AGAIN)
        nanosleep(&apart, NULL);
    return e;
}

static void literals_are_known_at_once(void **state)
{
    struct resolve *four = resolve_start("127.0.0.1", 80), *six = resolve_start("::1", 81);
    struct sockaddr_storage to;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    socklen_t len;

    (void)state;
    assert_int_equal(resolve_poll(four, 0, &to, &len), ERR_OK);
    assert_int_equal(len, sizeof(in));
    memcpy(&in, &to, sizeof(in));
    assert_int_equal(in.sin_family, AF_INET);
    assert_int_equal(ntohs(in.sin_port), 80);
    assert_int_equal(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(resolve_poll(six, 7, &to, &len), ERR_OK);
    assert_int_equal(len, sizeof(in6));
    memcpy(&in6, &to, sizeof(in6));
    assert_int_equal(in6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(in6.sin6_port), 81);
    assert_int_equal(resolve_count(six), 1);
    resolve_drop(four);
    resolve_drop(six);
    resolve_drop(NULL);
}

static void names_are_looked_up(void **state)
{
    struct resolve *r = resolve_start("localhost", 4242);
    struct sockaddr_storage to;
    socklen_t len;

    (void)state;
    assert_int_equal(wait_for(r, 0, &to, &len), ERR_OK);
    assert_true(resolve_count(r) >= 1);
    for (uint32_t nth = 0; nth < 2 * RESOLVE_ADDRESSES; nth++) {
        assert_int_equal(resolve_poll(r, nth, &to, &len), ERR_OK);
        assert_true(to.ss_family == AF_INET || to.ss_family == AF_INET6);
    }
    resolve_drop(r);
}

static void what_is_no_name_fails(void **state)
{
    /* a label too long to be asked for anywhere */
    struct resolve *r =
        resolve_start("a123456789b123456789c123456789d123456789e123456789f123456789g123456789x", 1);
    struct sockaddr_storage to;
    socklen_t len;

    (void)state;
    assert_int_equal(wait_for(r, 0, &to, &len), ERR_GONE);
    assert_int_equal(wait_for(r, 1, &to, &len), ERR_GONE);
    assert_int_equal(resolve_count(r), 0);
    resolve_drop(r);
}

/* Dropped at any moment; past the helpers' number a start fails, and later succeeds again. */
static void may_be_dropped_while_it_works(void **state)
{
    struct resolve *many[4 * RESOLVE_THREADS], *last;
    struct sockaddr_storage to;
    socklen_t len;
    enum err e;

    (void)state;
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < 4 * RESOLVE_THREADS; i++)
            many[i] = resolve_start("localhost", 1);
        for (size_t i = 0; i < 4 * RESOLVE_THREADS; i++)
            resolve_drop(many[i]);
    }
    do {
        last = resolve_start("localhost", 1);
        e = wait_for(last, 0, &to, &len);
        resolve_drop(last);
    } while (e == ERR_FULL);
    assert_int_equal(e, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_known_at_once),
        cmocka_unit_test(names_are_looked_up),
        cmocka_unit_test(what_is_no_name_fails),
        cmocka_unit_test(may_be_dropped_while_it_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
