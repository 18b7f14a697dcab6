#include "cluster/elsewhere.h"

#include "unit/cluster/arrivals_site.h"

/* ---- what may happen to Redis ---- */

/* All links break: what was given is not answered; then they stand again. */
static void new_links(void)
{
    for (int i = 0; i < NODES; i++)
        w.node[i].redis.cut = true;
    while (fake_answer(1))
        ;
    for (int i = 0; i < NODES; i++) {
        w.node[i].redis.cut = false;
        directory_on_master(w.node[i].c.directory, 0);
    }
}

/* The entries of all clients, as they were; null: there was none. */
struct saved {
    char *entry[CLIENTS];
};

static struct saved save(void)
{
    struct saved s;

    for (int i = 0; i < CLIENTS; i++)
        s.entry[i] = entry(i) ? strdup(entry(i)) : NULL;
    return s;
}

static void forget_saved(struct saved *s)
{
    for (int i = 0; i < CLIENTS; i++)
        free(s->entry[i]);
    *s = (struct saved){0};
}

/* Another process starts from what was saved. */
static void restore(const struct saved *s)
{
    char key[64];

    fake_flush();
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(key, sizeof(key), "pushca:client:%016" PRIx64, hash_of(i));
        if (s->entry[i])
            fake_set(key, s->entry[i], 0);
    }
    fake.run++;
    new_links();
}

static void assert_served_by(int node, int client)
{
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(is_served(i, client), i == node);
        assert_int_equal(elsewhere_has(&w.node[i].c, hash_of(client)),
                         i != node && has_sockets(i, client));
    }
    assert_int_equal(owner(client), node);
}

static int items_under_way(void)
{
    int n = 0;

    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES; j++)
            n += w.node[i].wires[j].last - w.node[i].wires[j].first;
    return n;
}

/* ---- one after the other ---- */

static void the_newer_socket_is_served_then_the_older_one(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    connect_to(1, 0);
    settle();
    assert_served_by(1, 0);
    close_sock(&w.sock[1]);
    /* there is no moment in which it is nowhere */
    for (bool any = true; any;) {
        any = fake_answer(1);
        assert_int_not_equal(owner(0), -1);
        for (int i = 0; i < NODES && !any; i++)
            any = notes_step(i) || wire_step(i, (i + 1) % 3) || wire_step(i, (i + 2) % 3);
    }
    assert_served_by(0, 0); /* and no time has passed */
    close_sock(&w.sock[0]);
    settle();
    assert_int_equal(owner(0), -1);
}

static void who_lost_the_older_socket_waits_no_more(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    connect_to(1, 0);
    settle();
    close_sock(&w.sock[0]);
    settle();
    assert_served_by(1, 0);
    close_sock(&w.sock[1]);
    while (notes_step(1))
        ;
    assert_int_equal(items_under_way(), 0); /* nobody has to hear of it */
    settle();
    assert_int_equal(owner(0), -1);
}

static void three_nodes_have_it(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        connect_to(i, 0);
        settle();
    }
    assert_served_by(2, 0);
    close_sock(&w.sock[2]);
    settle();
    pass(200);
    assert_served_by(is_served(1, 0) ? 1 : 0, 0);
    close_sock(&w.sock[is_served(1, 0) ? 1 : 0]);
    settle();
    pass(200);
    assert_served_by(w.sock[0].closed ? 1 : 0, 0);
}

static void it_comes_back_to_the_node_of_the_older_socket(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    connect_to(1, 0);
    settle();
    connect_to(0, 0);
    settle();
    assert_served_by(0, 0);
    close_sock(&w.sock[1]);
    close_sock(&w.sock[2]);
    settle();
    assert_served_by(0, 0); /* by the first one, which was left out before */
}

/* A client connects to node 0, then to node 1, and that one closes. The number of the older one. */
static int lose_the_newer_socket(void)
{
    int first = w.sockets;

    connect_to(0, 0);
    settle();
    connect_to(1, 0);
    settle();
    close_sock(&w.sock[first + 1]);
    return first;
}

/* It leaves while its older socket is about to be served, or has just closed. */
static void both_sockets_close_at_once(void **state)
{
    (void)state;
    for (int steps = 0; steps < 12; steps++) {
        int first = lose_the_newer_socket();

        for (int i = 0; i < steps; i++)
            if (!fake_answer(1) && !notes_step(i % 3) && !wire_step(1, 0))
                notes_step(0);
        close_sock(&w.sock[first]);
        settle();
        pass(600);
        assert_int_equal(owner(0), -1);
        assert_false(is_served(0, 0) || is_served(1, 0));
    }
}

/* ---- a Redis that knows an older truth ---- */

static void who_moved_since_redis_was_saved_stays_where_it_is(void **state)
{
    struct saved s;

    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        connect_to(0, i);
    settle();
    s = save();
    for (int i = 0; i < CLIENTS; i++) {
        if (i % 2)
            close_sock(&w.sock[i]); /* the others' older sockets stay */
        connect_to(1, i);
        settle();
        assert_served_by(1, i);
    }
    restore(&s);
    assert_int_equal(owner(0), 0);
    while (items_under_way() || fake.first < fake.last) {
        settle();
        for (int i = 0; i < CLIENTS; i++)
            assert_true(is_served(1, i)); /* all the time */
    }
    pass(1000);
    for (int i = 0; i < CLIENTS; i++)
        assert_served_by(1, i);
    assert_true(all_whole());
    forget_saved(&s);
}

static void what_was_said_before_redis_stopped_counts_when_it_is_heard(void **state)
{
    struct saved s;

    (void)state;
    connect_to(0, 0);
    settle();
    s = save();
    connect_to(1, 0);
    cluster_step(&w.node[1]);
    fake_answer(1); /* written, and MOVED is on its way */
    restore(&s);
    pass(2000);
    assert_served_by(1, 0);
    forget_saved(&s);
}

static void who_reconnects_to_another_node_while_redis_is_emptied(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    fake_flush();
    connect_to(1, 0); /* finds no entry: nobody is told */
    settle();
    assert_true(is_served(0, 0) && is_served(1, 0));
    pass(2000);
    assert_served_by(1, 0);
    assert_true(all_whole());
}

static void who_left_since_redis_was_saved_is_gone(void **state)
{
    struct saved s;

    (void)state;
    connect_to(0, 0);
    connect_to(1, 1);
    settle();
    s = save();
    close_sock(&w.sock[0]);
    settle();
    restore(&s);
    assert_int_equal(owner(0), 0);
    pass(1000);
    assert_int_equal(owner(0), -1);
    assert_served_by(1, 1);
    forget_saved(&s);
}

/* ---- nodes and Redis that fail ---- */

static void kill_node(int i)
{
    w.node[i].cut = true;
    w.node[i].redis.cut = true;
    for (int j = 0; j < NODES; j++) {
        struct membership *m = &w.node[j].c.members;

        if (j == i)
            continue;
        for (uint32_t k = 0; k < m->peers.len; k++)
            if (m->peers.at[k] == &w.node[j].peers[i])
                vec_swap_remove(&m->peers, k);
        m->ended[m->ended_next++] = (struct ended){.life = w.node[j].peers[i].life, .died = true};
        directory_sweep(w.node[j].c.directory, w.node[j].peers[i].id, w.node[j].peers[i].life);
        elsewhere_on_gone(&w.node[j].c, &w.node[j].peers[i]);
    }
}

static void a_node_that_dies_leaves_the_client_to_the_older_socket(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    connect_to(1, 0);
    settle();
    kill_node(1);
    pass(100);
    assert_true(is_served(0, 0));
    assert_int_equal(owner(0), 0);
}

static void while_nobody_is_sure_it_stays_left_out(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    connect_to(1, 0);
    settle();
    fake_flush();
    close_sock(&w.sock[1]);
    settle();
    clock_step(50);
    settle();
    assert_false(is_served(0, 0)); /* node 2 may have it: its clients are not written yet */
    assert_true(elsewhere_has(&w.node[0].c, hash_of(0)));
    pass(1500);
    assert_served_by(0, 0);
}

static void a_full_redis_does_not_keep_it_left_out(void **state)
{
    (void)state;
    connect_to(0, 0);
    settle();
    connect_to(1, 0);
    settle();
    fake.full = true;
    close_sock(&w.sock[1]);
    pass(500);
    assert_true(is_served(0, 0));
    assert_int_equal(owner(0), -1);
    assert_false(directory_is_whole(w.node[0].c.directory));
    fake.full = false;
    pass(2000);
    assert_served_by(0, 0);
}

static void redis_breaks_off_in_the_middle(void **state)
{
    (void)state;
    for (int steps = 0; steps < 20; steps++) {
        int first = lose_the_newer_socket();

        for (int i = 0; i < steps; i++)
            if (!fake_answer(1) && !notes_step(i % 3))
                wire_step(i % 2, 1 - i % 2);
        new_links();
        pass(3000);
        assert_served_by(0, 0);
        close_sock(&w.sock[first]);
        settle();
        assert_int_equal(owner(0), -1);
    }
}

/* ---- in any order ---- */

static struct dice {
    uint64_t state;
} dice;

static uint32_t roll(uint32_t sides)
{
    dice.state = dice.state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(dice.state >> 33) % sides;
}

static void any_step(void)
{
    int i = (int)roll(NODES), j = (int)roll(NODES);

    switch (roll(5)) {
    case 0:
    case 1:
        fake_answer(1);
        break;
    case 2:
        if (i != j)
            wire_step(i, j);
        break;
    case 3:
        shard_step(&w.node[i]);
        break;
    default:
        cluster_step(&w.node[i]);
        break;
    }
    for (i = 0; i < NODES; i++)
        if (w.node[i].c.listing)
            arrivals_list_some(&w.node[i].c);
}

static void close_any(void)
{
    struct sock *k = w.sockets ? &w.sock[roll((uint32_t)w.sockets)] : NULL;

    if (k)
        close_sock(k);
}

/* A node has no Redis, or is not heard; or Redis is full. */
static void any_failure(void)
{
    struct node *n = &w.node[roll(NODES)];

    switch (roll(3)) {
    case 0:
        fake.full = !fake.full;
        break;
    case 1:
        n->cut = !n->cut;
        break;
    default:
        n->redis.cut = !n->redis.cut;
        if (!n->redis.cut)
            directory_on_master(n->c.directory, 0);
        break;
    }
}

static void all_is_well_again(void)
{
    fake.full = false;
    for (int i = 0; i < NODES; i++) {
        struct node *n = &w.node[i];

        n->cut = false;
        if (n->redis.cut)
            directory_on_master(n->c.directory, 0);
        n->redis.cut = false;
    }
}

enum weather { GENTLE = 12, FORGETFUL = 16, STORMY = 20 };

static void redis_forgets(struct saved *s, uint32_t how)
{
    switch (how) {
    case 0:
        fake_flush();
        break;
    case 1:
        forget_saved(s);
        *s = save();
        break;
    case 2:
        restore(s);
        break;
    default:
        new_links();
        break;
    }
}

static void any_action(struct saved *s, enum weather weather)
{
    uint32_t n = roll(weather);

    if (n < 5)
        connect_to((int)roll(NODES), (int)roll(2));
    else if (n < 9)
        close_any();
    else if (n < GENTLE)
        clock_step(10 * (int64_t)roll(40));
    else if (n < FORGETFUL)
        redis_forgets(s, n - GENTLE);
    else
        any_failure();
}

/* Where it is, it is once; and the directory says so. */
static void assert_right(uint64_t seed)
{
    for (int client = 0; client < CLIENTS; client++) {
        int served = 0, sockets = 0, at = -1;

        for (int i = 0; i < NODES; i++) {
            bool left_out = has_sockets(i, client) && !is_served(i, client);

            sockets += has_sockets(i, client);
            served += is_served(i, client);
            at = is_served(i, client) ? i : at;
            if (elsewhere_has(&w.node[i].c, hash_of(client)) != left_out)
                fail_msg("seed %" PRIu64 ": node %d does not know its own client %d", seed, i,
                         client);
        }
        if (served != (sockets > 0) || owner(client) != at)
            fail_msg("seed %" PRIu64 ": client %d has sockets on %d nodes, is served by %d, is on "
                     "%d and written as on %d",
                     seed, client, sockets, served, at, owner(client));
    }
    if (!all_whole())
        fail_msg("seed %" PRIu64 ": not whole", seed);
}

static void live(uint64_t seed, enum weather weather)
{
    struct saved s = {0};

    dice.state = seed;
    for (int i = 0; i < 60; i++) {
        any_action(&s, weather);
        for (uint32_t n = roll(8); n > 0; n--)
            any_step();
    }
    all_is_well_again();
    pass(2500);
    assert_right(seed);
    for (int i = 0; i < w.sockets; i++)
        close_sock(&w.sock[i]);
    pass(1000);
    assert_right(seed);
    forget_saved(&s);
}

static void live_often(uint64_t from, uint64_t count, enum weather weather)
{
    for (uint64_t seed = from; seed < from + count; seed++) {
        void *state = NULL;

        live(seed, weather);
        teardown(&state);
        setup(&state);
    }
}

static void whatever_the_order_one_node_serves(void **state)
{
    (void)state;
    live_often(1, 300, GENTLE);
}

static void whatever_redis_forgets_one_node_serves(void **state)
{
    (void)state;
    live_often(1001, 300, FORGETFUL);
}

static void whatever_fails_one_node_serves(void **state)
{
    (void)state;
    live_often(2001, 300, STORMY);
}

/* Each connect is answered before the next one: then it is the last one that counts. */
static void the_later_connect_wins(void **state)
{
    (void)state;
    dice.state = 7;
    for (int i = 0; i < 500; i++) {
        int node = (int)roll(NODES);

        connect_to(node, 0);
        settle();
        assert_served_by(node, 0);
        if (roll(2))
            close_any();
        if (roll(3) == 0)
            settle();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newer_socket_is_served_then_the_older_one),
        TEST(who_lost_the_older_socket_waits_no_more),
        TEST(three_nodes_have_it),
        TEST(it_comes_back_to_the_node_of_the_older_socket),
        TEST(both_sockets_close_at_once),
        TEST(who_moved_since_redis_was_saved_stays_where_it_is),
        TEST(what_was_said_before_redis_stopped_counts_when_it_is_heard),
        TEST(who_reconnects_to_another_node_while_redis_is_emptied),
        TEST(who_left_since_redis_was_saved_is_gone),
        TEST(a_node_that_dies_leaves_the_client_to_the_older_socket),
        TEST(while_nobody_is_sure_it_stays_left_out),
        TEST(a_full_redis_does_not_keep_it_left_out),
        TEST(redis_breaks_off_in_the_middle),
        TEST(whatever_the_order_one_node_serves),
        TEST(whatever_redis_forgets_one_node_serves),
        TEST(whatever_fails_one_node_serves),
        TEST(the_later_connect_wins),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
