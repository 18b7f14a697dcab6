/*
 * directory_site - three directories on a Redis in memory; the test says who knows whom.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
#pragma once
#include "unit/cluster/directory_node.h"

static inline void end_life(struct node *n, const char *id, uint64_t life)
{
    n->members.ended[n->members.ended_next++ % MEMBERSHIP_ENDED] =
        (struct ended){.life = life, .died = true};
    directory_sweep(n->d, id, life);
}

static inline void open_node(struct node *n)
{
    const struct directory_settings set = {
        "pushca", n->members.set.id, n->members.set.life, 5000, 8, 7000};
    const struct directory_events events = {n, on_list, on_moved, on_contest, is_here};

    n->d = directory_open(&w.loop, &n->redis, &n->members, &set, &events);
}

static inline int setup(void **state)
{
    static const char *const ids[NODES] = {"a", "b", "c"};

    (void)state;
    fake_close();
    w = (struct world){0};
    w.loop.now_ms = fake.now_ms = 1000000;
    wheel_init(&w.loop.wheel, w.loop.now_ms);
    for (int i = 0; i < NODES; i++) {
        struct node *n = &w.node[i];

        n->members.set.id = ids[i];
        n->members.set.life = 0xa0 + (uint64_t)i;
        n->members.set.beat_ms = 500;
        n->members.answered_ms = w.loop.now_ms;
        n->members.events = (struct membership_events){0};
    }
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES; j++)
            if (i != j)
                knows(&w.node[i], &w.node[j]);
    for (int i = 0; i < NODES; i++)
        open_node(&w.node[i]);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        directory_close(w.node[i].d);
        vec_fini(&w.node[i].members.peers);
    }
    fake_close();
    return 0;
}

/* So much time, in beats, with all that is given carried out. */
static inline void pass(int64_t ms)
{
    for (int64_t until = w.loop.now_ms + ms; w.loop.now_ms < until;) {
        w.loop.now_ms = fake.now_ms = w.loop.now_ms + 10;
        wheel_run(&w.loop.wheel, w.loop.now_ms, 100);
        for (int i = 0; i < NODES && w.loop.now_ms % 500 == 0; i++) {
            w.node[i].members.answered_ms = w.loop.now_ms;
            directory_beat(w.node[i].d);
        }
        fake_answer_all();
    }
}

static inline void all_whole(void)
{
    pass(1000);
    for (int i = 0; i < NODES; i++)
        assert_true(directory_is_whole(w.node[i].d));
}

static inline void assert_answer(int node, uint64_t hash, enum directory_answer answer,
                                 uint32_t peer)
{
    w.n = 0;
    directory_verify(w.node[node].d, hash, on_found, NULL, 9);
    fake_answer_all();
    assert_int_equal(w.n, 1);
    assert_int_equal(w.said[0].token, 9);
    assert_int_equal(w.said[0].answer, answer);
    assert_int_equal(w.said[0].peer, peer);
}

static inline const char *entry(uint64_t hash)
{
    char key[64];

    snprintf(key, sizeof(key), "pushca:client:%016" PRIx64, hash);
    return fake_get(key);
}

/* It says at most whose it was. */
static inline bool has_left(uint64_t hash)
{
    return !entry(hash) || entry(hash)[0] == '~';
}

static inline void set_entry(uint64_t hash, const char *value)
{
    char key[64];

    snprintf(key, sizeof(key), "pushca:client:%016" PRIx64, hash);
    fake_set(key, value, 0);
}

static inline void put(int node, uint64_t hash)
{
    here(&w.node[node], hash);
    directory_put(w.node[node].d, hash, NULL, NULL, 0);
}

#define OWNED_BY_A "a 00000000000000a0"
#define OWNED_BY_B "b 00000000000000a1"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
