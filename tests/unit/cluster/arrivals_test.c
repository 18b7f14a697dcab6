#include "cluster/arrivals.h"

#include "unit/cluster/arrivals_site.h"

static void who_comes_is_let_in_when_written(void **state)
{
    const struct sock *k = connect_to(0, 0);

    (void)state;
    assert_true(cluster_step(&w.node[0]));
    assert_false(shard_step(&w.node[0]));
    assert_true(fake_answer(1));
    assert_int_equal(owner(0), 0);
    assert_false(is_served(0, 0));
    assert_true(arrivals_is_here(&w.node[0].c, hash_of(0)));
    assert_true(shard_step(&w.node[0]));
    assert_non_null(k->session);
    assert_true(is_served(0, 0));
    assert_int_equal(w.node[0].moved, 0);
    close_sock(&w.sock[0]);
    settle();
    assert_false(arrivals_is_here(&w.node[0].c, hash_of(0)));
    assert_int_equal(owner(0), -1);
}

static void who_is_not_written_in_time_is_let_in(void **state)
{
    const struct sock *k = connect_to(0, 0);

    (void)state;
    cluster_step(&w.node[0]);
    clock_step(900);
    assert_false(shard_step(&w.node[0]));
    clock_step(200);
    assert_true(shard_step(&w.node[0]));
    assert_non_null(k->session);
    /* while the bus is away nobody waits */
    w.node[1].c.beat.away_ms = 1;
    k = connect_to(1, 1);
    cluster_step(&w.node[1]);
    assert_true(shard_step(&w.node[1]));
    assert_non_null(k->session);
}

static void who_has_moved_waits_until_the_others_know(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    close_sock(&w.sock[0]);
    connect_to(1, 0);
    cluster_step(&w.node[1]);
    fake_answer(1);
    assert_int_equal(w.node[1].moved, 2);
    assert_true(wire_step(1, 0));
    assert_false(shard_step(&w.node[1]));
    assert_true(wire_step(1, 2));
    assert_true(shard_step(&w.node[1]));
    assert_true(is_served(1, 0));
    settle();
    assert_int_equal(owner(0), 1);
    /* not for ever */
    close_sock(&w.sock[1]);
    connect_to(2, 0);
    cluster_step(&w.node[2]);
    fake_answer(1);
    clock_step(200);
    assert_false(shard_step(&w.node[2]));
    clock_step(200);
    assert_true(shard_step(&w.node[2]));
}

/* Each as soon as both others know, and not before. */
static void many_who_have_moved_wait_for_their_own_items(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        connect_to(0, i);
    settle();
    for (int i = 0; i < CLIENTS; i++) {
        close_sock(&w.sock[i]);
        connect_to(1, i);
        cluster_step(&w.node[1]);
        fake_answer(1);
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(wire_step(1, 0));
        assert_false(shard_step(&w.node[1]));
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(wire_step(1, 2));
        assert_true(shard_step(&w.node[1]));
        assert_false(shard_step(&w.node[1]));
        assert_true(is_served(1, i));
    }
}

/* Nobody need be lost who is neither waiting any more nor there yet. */
static void who_is_on_the_way_is_written_again_with_the_others(void **state)
{
    (void)state;
    connect_to(0, 0);
    connect_to(0, 1);
    cluster_step(&w.node[0]);
    cluster_step(&w.node[0]);
    fake_answer(2);
    assert_true(shard_step(&w.node[0])); /* one is there */
    fake_flush();
    directory_on_master(w.node[0].c.directory, 0);
    while (fake_answer(1) || w.node[0].c.listing)
        arrivals_list_some(&w.node[0].c);
    assert_true(directory_is_whole(w.node[0].c.directory));
    assert_int_equal(owner(0), 0);
    assert_int_equal(owner(1), 0);
    assert_true(shard_step(&w.node[0]));
    assert_true(is_served(0, 1));
}

/* Two sockets of one client at once, and the one that is in goes before the other is. */
static void a_second_socket_on_its_way_keeps_the_entry(void **state)
{
    const struct sock *k = connect_to(0, 0);

    (void)state;
    k = connect_to(0, 0);
    cluster_step(&w.node[0]);
    cluster_step(&w.node[0]);
    fake_answer(2);
    shard_step(&w.node[0]);
    clock_step(100);
    close_sock(&w.sock[0]);
    settle();
    assert_non_null(k->session);
    assert_true(is_served(0, 0));
    assert_int_equal(owner(0), 0);
    assert_true(arrivals_is_here(&w.node[0].c, hash_of(0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_comes_is_let_in_when_written),
        TEST(who_is_not_written_in_time_is_let_in),
        TEST(who_has_moved_waits_until_the_others_know),
        TEST(many_who_have_moved_wait_for_their_own_items),
        TEST(who_is_on_the_way_is_written_again_with_the_others),
        TEST(a_second_socket_on_its_way_keeps_the_entry),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
