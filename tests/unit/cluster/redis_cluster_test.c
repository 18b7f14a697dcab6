#include "unit/cluster/redis_nodes.h"

#include "cluster/redis_slot.h"

static struct nodes nodes;
static struct site site;

static int end(void **state)
{
    (void)state;
    if (site.redis)
        site_close(&site);
    nodes_end(&nodes);
    return 0;
}

static void open_site(void)
{
    site_prepare(&site);
    site.set.nodes = nodes.seeds;
    site.set.database = 3; /* a Redis Cluster has but one */
    site_open(&site);
}

static void begin(void)
{
    server_needed();
    nodes_start(&nodes);
    open_site();
}

/* Which of the servers has it; -1: nobody. */
static int home_of(const char *key)
{
    for (int i = 0; i < NODES; i++)
        if (nodes.at[i].pid && server_says(&nodes.at[i], NULL, "GET %s", key))
            return i;
    return -1;
}

/* A key {n} in the part of the i-th master. */
static void key_at(int i, char key[16])
{
    for (int n = 0;; n++) {
        int slot = redis_slot(bytes_of(key, (size_t)snprintf(key, 16, "k%d", n)));

        if (slot / 5461 == i)
            return;
    }
}

static void keys_go_where_they_belong(void **state)
{
    struct answer a[100] = {0}, b;

    (void)state;
    begin();
    redis_subscribe(site.redis, BYTES("one"));
    redis_subscribe(site.redis, BYTES("two"));
    redis_subscribe(site.redis, BYTES("three"));
    redis_subscribe(site.redis, BYTES("four"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    assert_int_equal(redis_masters(site.redis), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(site.masters[i], 1);
    for (int i = 0; i < 100; i++)
        site_give(&site, &a[i], "SET key:%d %d", i, i);
    for (int i = 0; i < 100; i++)
        SITE_AWAIT(&site, a[i].count);
    for (int i = 0; i < 100; i++)
        assert_string_equal(a[i].text, "OK");
    SITE_ASK(&site, &b, "GET key:77");
    assert_string_equal(b.text, "77");
    assert_int_equal(server_number(&nodes.at[0], "DBSIZE") + server_number(&nodes.at[1], "DBSIZE") +
                         server_number(&nodes.at[2], "DBSIZE"),
                     100);
    redis_publish(site.redis, BYTES("one"), BYTES("x"), NULL, NULL);
    redis_publish(site.redis, BYTES("two"), BYTES("x"), NULL, NULL);
    redis_publish(site.redis, BYTES("three"), BYTES("x"), NULL, NULL);
    redis_publish(site.redis, BYTES("four"), BYTES("x"), NULL, NULL);
    SITE_AWAIT(&site, site.messages == 4);
}

static void each_master_has_a_tag(void **state)
{
    struct answer a;
    bool seen[3] = {0};

    (void)state;
    begin();
    SITE_AWAIT(&site, site.up);
    for (uint32_t i = 0; i < 3; i++) {
        char key[64];
        struct answer size = {0};

        snprintf(key, sizeof(key), "mark:{%s}:me", redis_tag_of(site.redis, i));
        assert_int_equal(redis_master_of(site.redis, bytes_text(key)), i);
        SITE_ASK(&site, &a, "SET %s 1", key);
        assert_string_equal(a.text, "OK");
        assert_true(home_of(key) >= 0);
        assert_false(seen[home_of(key)]);
        seen[home_of(key)] = true;
        redis_command_on(site.redis, i, &BYTES("DBSIZE"), 1, answer_done, &size);
        SITE_AWAIT(&site, size.count);
        assert_int_equal(size.integer, 1);
    }
    redis_command_on(site.redis, 7, &BYTES("DBSIZE"), 1, answer_done, &a);
    a.count = 0;
    SITE_AWAIT(&site, a.count);
    assert_int_equal(a.type, 0);
}

/* Who saw slots move and who did not tell a master by the same tag. */
static void tags_are_the_same_for_all(void **state)
{
    int slot = redis_slot(BYTES("0")), from = slot / 5461, to = (from + 1) % 3;
    static struct site other;
    char key[16], tag[16];

    (void)state;
    begin();
    SITE_AWAIT(&site, site.up);
    key_at(to, key);
    snprintf(tag, sizeof(tag), "%s",
             redis_tag_of(site.redis, redis_master_of(site.redis, bytes_text(key))));
    assert_string_not_equal(tag, "0");
    for (int i = 0; i < 3; i++) /* the smallest number goes to another master */
        assert_true(
            server_says(&nodes.at[i], "OK", "CLUSTER SETSLOT %d NODE %s", slot, nodes.ids[to]));
    SITE_AWAIT(&site, redis_master_of(site.redis, BYTES("0")) ==
                          redis_master_of(site.redis, bytes_text(key)));
    site_prepare(&other);
    other.set.nodes = nodes.seeds;
    site_open(&other);
    SITE_AWAIT(&other, other.up);
    for (int i = 0; i < 3; i++) {
        key_at(i, key);
        assert_string_equal(
            redis_tag_of(site.redis, redis_master_of(site.redis, bytes_text(key))),
            redis_tag_of(other.redis, redis_master_of(other.redis, bytes_text(key))));
    }
    site_close(&other);
}

/* ---- failover ---- */

static void a_replica_takes_over(void **state)
{
    char key[16];
    struct answer a;

    (void)state;
    server_needed();
    nodes_start(&nodes);
    node_start(&nodes, 3);
    node_meet(&nodes, 3);
    node_await(&nodes, 3, nodes.ids[2], "CLUSTER NODES");
    assert_true(server_says(&nodes.at[3], "OK", "CLUSTER REPLICATE %s", nodes.ids[2]));
    node_await(&nodes, 3, "master_link_status:up", "INFO replication");
    for (int i = 0; i < 3; i++)
        node_await(&nodes, i, "slave", "CLUSTER NODES");
    open_site();
    site.set.answer_ms = 1000;
    key_at(2, key);
    redis_subscribe(site.redis, bytes_text(key));
    SITE_AWAIT(&site, site.up && site.subscribed);
    SITE_ASK(&site, &a, "SET %s before", key);
    SITE_AWAIT(&site, server_number(&nodes.at[3], "DBSIZE") == 1); /* it is copied */
    server_kill(&nodes.at[2]);
    SITE_AWAIT(&site, !site.up);
    key_at(0, key); /* the others go on */
    SITE_ASK(&site, &a, "SET %s on", key);
    key_at(2, key);
    SITE_AWAIT(&site, site.up && site.subscribed);
    assert_int_equal(redis_masters(site.redis), 3);
    SITE_ASK(&site, &a, "GET %s", key);
    assert_string_equal(a.text, "before");
    redis_publish(site.redis, bytes_text(key), BYTES("hello"), NULL, NULL);
    SITE_AWAIT(&site, site.messages == 1);
    assert_int_equal(site.masters[redis_master_of(site.redis, bytes_text(key))], 2);

    server_start(&nodes.at[2]); /* comes back as a replica: nobody minds */
    node_await(&nodes, 2, "myself,slave", "CLUSTER NODES");
    site_turn_ms(&site, 1500);
    assert_true(site.up && site.subscribed);
    SITE_ASK(&site, &a, "GET %s", key);
    assert_string_equal(a.text, "before");
}

/* ---- migration ---- */

enum { COUNTERS = 4 };

static char aside[16]; /* a key in a slot that stays */

static struct counter {
    char key[32];
    long long given, answered, wrong;
} counters[COUNTERS];

static void count_on(void *context, const struct redisReply *reply)
{
    struct counter *c = context;

    c->answered++;
    c->wrong += !reply || reply->type != REDIS_REPLY_INTEGER || reply->integer != c->answered;
}

static void count_one(int i)
{
    counters[i].given++;
    redis_command(site.redis, (struct bytes[]){BYTES("INCR"), bytes_text(counters[i].key)}, 2, 1,
                  count_on, &counters[i]);
}

/* Between the answers of the counters, and given more of them there. */
static void count_more(void *context, const struct redisReply *reply)
{
    static int turn;

    (void)context;
    (void)reply;
    count_one(turn++ % COUNTERS);
}

static void count(int times)
{
    for (int t = 0; t < times; t++) {
        for (int i = 0; i < COUNTERS; i++)
            count_one(i);
        redis_command(site.redis, (struct bytes[]){BYTES("GET"), bytes_text(aside)}, 2, 1,
                      count_more, NULL);
    }
    loop_turn(&site.loop, 0);
}

static void migrate(int slot, int from, int to)
{
    struct nodes *n = &nodes;

    assert_true(
        server_says(&n->at[to], "OK", "CLUSTER SETSLOT %d IMPORTING %s", slot, n->ids[from]));
    count(50);
    assert_true(
        server_says(&n->at[from], "OK", "CLUSTER SETSLOT %d MIGRATING %s", slot, n->ids[to]));
    count(50);
    for (int i = 0; i < COUNTERS; i++) {
        if (i == COUNTERS / 2)
            site_turn_ms(&site, 50);
        assert_true(server_says(&n->at[from], "OK", "MIGRATE 127.0.0.1 %d %s 0 1000",
                                (int)n->at[to].port, counters[i].key));
        count(50);
    }
    assert_true(server_says(&n->at[to], "OK", "CLUSTER SETSLOT %d NODE %s", slot, n->ids[to]));
    count(50);
    assert_true(server_says(&n->at[from], "OK", "CLUSTER SETSLOT %d NODE %s", slot, n->ids[to]));
    count(50);
    loop_turn(&site.loop, 0);
    count(50);
}

static bool all_counted(void)
{
    for (int i = 0; i < COUNTERS; i++)
        if (counters[i].answered != counters[i].given)
            return false;
    return true;
}

/* To a node that had no slots, and is in nobody's map; back and forth; while commands go on. */
static void a_slot_moves_under_the_load(void **state)
{
    int slot = redis_slot(BYTES("p:node:1")), from = slot / 5461;

    (void)state;
    server_needed();
    nodes_start(&nodes);
    node_start(&nodes, 3);
    node_meet(&nodes, 3);
    node_await(&nodes, 3, "cluster_state:ok", "CLUSTER INFO");
    open_site();
    memset(counters, 0, sizeof(counters));
    for (int i = 0; i < COUNTERS; i++)
        snprintf(counters[i].key, sizeof(counters[i].key), "{p:node:1}:%d", i);
    key_at(from, aside);
    redis_subscribe(site.redis, BYTES("p:node:1"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    count(50);
    SITE_AWAIT(&site, all_counted());
    for (int round = 0; round < 4; round++) {
        int to = round % 2 ? from : 3, messages = site.messages;

        migrate(slot, round % 2 ? 3 : from, to);
        SITE_AWAIT(&site, all_counted());
        for (int i = 0; i < COUNTERS; i++)
            assert_int_equal(counters[i].wrong, 0);
        SITE_AWAIT(&site, site.unsubscribed == round + 1 && site.subscribed);
        SITE_AWAIT(&site, redis_masters(site.redis) == (to == 3 ? 4 : 3));
        redis_publish(site.redis, BYTES("p:node:1"), BYTES("x"), NULL, NULL);
        SITE_AWAIT(&site, site.messages == messages + 1);
        assert_int_equal(server_number(&nodes.at[to], "CLUSTER COUNTKEYSINSLOT %d", slot),
                         COUNTERS);
    }
    assert_int_equal(site.downs, 0);
    assert_true(site.masters[redis_master_of(site.redis, BYTES("p:node:1"))] >= 5);
}

/* Each slot that has moved is told by the first command for it; what is done for all of them is
   done now and then. */
static void a_reshard_is_taken_in_few_steps(void **state)
{
    enum { MOVED = 24, STEP_MS = 110 };
    int64_t began_ms;
    int told = 0;

    (void)state;
    begin();
    SITE_AWAIT(&site, site.up);
    site_turn_ms(&site, 1200);
    memset(site.masters, 0, sizeof(site.masters));
    began_ms = clock_mono_ms();
    for (int n = 0, moved = 0; moved < MOVED; n++) {
        char key[16];
        struct answer a;
        int slot = redis_slot(bytes_of(key, (size_t)snprintf(key, sizeof(key), "k%d", n)));

        if (slot / 5461 != 0)
            continue;
        for (int i = 1; i >= 0; i--)
            assert_true(
                server_says(&nodes.at[i], "OK", "CLUSTER SETSLOT %d NODE %s", slot, nodes.ids[1]));
        SITE_ASK(&site, &a, "GET %s", key);
        assert_int_equal(a.type, REDIS_REPLY_NIL);
        site_turn_ms(&site, STEP_MS);
        moved++;
    }
    for (int i = 0; i < 3; i++)
        told += site.masters[i];
    assert_true(told >= 2);                                             /* both, */
    assert_true(told <= 2 * ((clock_mono_ms() - began_ms) / 1000 + 2)); /* once a second */
    assert_int_equal(site.downs, 0);
}

/* ---- down ---- */

static void a_cluster_that_is_down_is_waited_for_a_while(void **state)
{
    char key[16];
    struct answer a = {0}, b = {0}, lost = {0};

    (void)state;
    begin();
    key_at(0, key);
    SITE_AWAIT(&site, site.up);
    assert_true(server_says(&nodes.at[0], "OK", "CLUSTER DELSLOTS 5460"));
    node_await(&nodes, 0, "cluster_state:fail", "CLUSTER INFO");
    site_give(&site, &a, "SET %s 1", key);
    site_give(&site, &b, "INCR %s", key);
    site_turn_ms(&site, 300);
    assert_int_equal(a.count + b.count, 0);
    assert_true(server_says(&nodes.at[0], "OK", "CLUSTER ADDSLOTS 5460"));
    SITE_AWAIT(&site, a.count && b.count);
    assert_string_equal(a.text, "OK");
    assert_int_equal(b.integer, 2);
    SITE_AWAIT(&site, site.up);

    assert_true(server_says(&nodes.at[0], "OK", "CLUSTER DELSLOTS 5460"));
    node_await(&nodes, 0, "cluster_state:fail", "CLUSTER INFO");
    site_give(&site, &lost, "SET %s 2", key);
    SITE_AWAIT(&site, lost.count);
    assert_int_equal(lost.type, 0);
}

static void a_frozen_node_is_followed_to_its_end(void **state)
{
    struct answer a[60] = {0};

    (void)state;
    server_needed();
    nodes_start(&nodes);
    site_prepare(&site);
    site.set.nodes = nodes.seeds;
    site.set.answer_ms = 300;
    site_open(&site);
    redis_subscribe(site.redis, BYTES("one"));
    redis_subscribe(site.redis, BYTES("three"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    for (int i = 0; i < 3; i++)
        kill(nodes.at[i].pid, SIGSTOP);
    for (int i = 0; i < 60; i++)
        site_give(&site, &a[i], "INCR n%d", i);
    for (int i = 0; i < 60; i++)
        SITE_AWAIT(&site, a[i].count);
    for (int i = 0; i < 60; i++)
        assert_int_equal(a[i].type, 0);
    SITE_AWAIT(&site, !site.up && !site.subscribed);
    for (int i = 0; i < 3; i++)
        kill(nodes.at[i].pid, SIGCONT);
    SITE_AWAIT(&site, site.up && site.subscribed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(keys_go_where_they_belong, end),
        cmocka_unit_test_teardown(each_master_has_a_tag, end),
        cmocka_unit_test_teardown(tags_are_the_same_for_all, end),
        cmocka_unit_test_teardown(a_replica_takes_over, end),
        cmocka_unit_test_teardown(a_slot_moves_under_the_load, end),
        cmocka_unit_test_teardown(a_reshard_is_taken_in_few_steps, end),
        cmocka_unit_test_teardown(a_cluster_that_is_down_is_waited_for_a_while, end),
        cmocka_unit_test_teardown(a_frozen_node_is_followed_to_its_end, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
