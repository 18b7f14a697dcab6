#include "hub/fanout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/meter.h"
#include "flow/frame.h"
#include "flow/thread.h"
#include "hub/shard.h"
#include "net/ws_conn.h"

/* One shard of a node, and the inbox of a cluster thread that does not run. */
static const struct settings set = {
    .shards = 1, .sockets = 16, .memory_bytes = 1 << 30, .inbox_bytes = 1 << 20};
static const struct identity far = {{{"w", 1}, {"a", 1}, {"d", 1}, {"p", 1}}};
static struct hub hub;
static struct inbox cluster;
static struct shard *shard;
static struct frame *frame;

static int begin(void **state)
{
    static const struct hash_key key = {1, 2};

    (void)state;
    hub = (struct hub){.count = 0};
    assert_int_equal(inbox_open(&cluster), ERR_OK);
    assert_int_equal(hub_open(&hub, &set), ERR_OK);
    hub_join(&hub, &cluster, &key);
    shard = hub.shards[0];
    thread_settle(shard);
    frame = ws_frame(FRAME_PLAIN, WS_TEXT, BYTES("x"), BYTES(""));
    return 0;
}

static int end(void **state)
{
    (void)state;
    frame_unref(frame);
    hub_close(&hub);
    inbox_close(&cluster);
    return 0;
}

/* Messages for other nodes that this shard has staged. */
static int forwarded(void)
{
    int n = 0;

    for (struct inbox_link *i = shard->staged[hub.count].first; i; i = i->next)
        n += container_of(i, struct note, link)->kind == NOTE_FORWARD;
    return n;
}

/* The bus may close between two messages of one command: it was accepted. */
static void what_is_admitted_is_not_refused_any_more(void **state)
{
    struct filter f = {.like = far};

    (void)state;
    atomic_store(&hub.bus.away, false);
    assert_int_equal(fanout_send(shard, &f, frame, &(struct order){0}), ERR_OK);
    assert_int_equal(forwarded(), 1);
    atomic_store(&hub.bus.full, true);
    assert_int_equal(fanout_send(shard, &f, frame, &(struct order){0}), ERR_BUSY);
    assert_int_equal(forwarded(), 1);
    fanout_send_admitted(shard, &f, frame);
    assert_int_equal(forwarded(), 2);
    atomic_store(&hub.bus.away, true);
    fanout_send_admitted(shard, &f, frame);
    assert_int_equal(forwarded(), 3);
}

static void who_is_here_is_known(void **state)
{
    struct filter f = {.like = far};
    uint64_t hash = identity_hash(&hub.key, &far);

    (void)state;
    assert_false(fanout_is_here(shard, &f));
    presence_add(&shard->presence, hash);
    assert_true(fanout_is_here(shard, &f));
    presence_remove(&shard->presence, hash);
    assert_false(fanout_is_here(shard, &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_admitted_is_not_refused_any_more, begin, end),
        cmocka_unit_test_setup_teardown(who_is_here_is_known, begin, end),
    };

    meter_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
