/*
 * directory_site - three directories on a Redis in memory; the test says who knows whom.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
/* long: what two tests share, as one piece */
#pragma once
#include "cluster/directory.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/log.h"
#include "cluster/membership.h"
#include "flow/loop.h"
#include "unit/cluster/fake_redis.h"

enum { NODES = 3, CLIENTS = 64, SAID = 256 };

/* Nodes that share a Redis in memory; the test says who knows whom. */
struct node {
    struct redis redis;
    struct membership members;
    struct peer peers[NODES];
    struct directory *d;
    uint64_t here[CLIENTS]; /* 0: free */
    int lists, moved, elsewhere;
    bool lists_late; /* the test lists itself */
    uint64_t last_moved, last_elsewhere;
};

static struct world {
    struct loop loop;
    struct node node[NODES];
    /* answers in the order in which they came */
    struct {
        uint64_t token;
        int answer;
        uint32_t peer;
    } said[SAID];
    int n;
} w;

static inline void on_found(void *context, uint64_t token, enum directory_answer answer,
                            struct peer *peer)
{
    (void)context;
    w.said[w.n].token = token;
    w.said[w.n].answer = (int)answer;
    w.said[w.n++].peer = peer ? peer->number : 0;
}

static inline void on_put(void *context, uint64_t token, bool written)
{
    (void)context;
    w.said[w.n].token = token;
    w.said[w.n++].answer = written;
}

static inline void list_now(struct node *n)
{
    for (int i = 0; i < CLIENTS; i++)
        if (n->here[i])
            directory_put_again(n->d, n->here[i]);
    directory_listed(n->d);
}

static inline void on_list(void *context)
{
    struct node *n = context;

    n->lists++;
    if (!n->lists_late)
        list_now(n);
}

static inline void on_moved(void *context, uint64_t hash)
{
    struct node *n = context;

    n->moved++;
    n->last_moved = hash;
}

static inline void on_elsewhere(void *context, uint64_t hash)
{
    struct node *n = context;

    n->elsewhere++;
    n->last_elsewhere = hash;
}

static inline bool is_here(void *context, uint64_t hash)
{
    const struct node *n = context;

    for (int i = 0; i < CLIENTS; i++)
        if (n->here[i] == hash)
            return true;
    return false;
}

static inline void here(struct node *n, uint64_t hash)
{
    for (int i = 0; i < CLIENTS; i++)
        if (!n->here[i]) {
            n->here[i] = hash;
            return;
        }
    fail();
}

static inline void not_here(struct node *n, uint64_t hash)
{
    for (int i = 0; i < CLIENTS; i++)
        if (n->here[i] == hash)
            n->here[i] = 0;
}

static inline void knows(struct node *n, const struct node *other)
{
    int i = (int)(other - w.node);
    struct peer *p = &n->peers[i];

    *p = (struct peer){.number = (uint32_t)(i + 1), .life = other->members.set.life};
    snprintf(p->id, sizeof(p->id), "%s", other->members.set.id);
    vec_push(&n->members.peers, p);
}

static inline void forgets(struct node *n, int other)
{
    for (uint32_t i = 0; i < n->members.peers.len; i++)
        if (n->members.peers.at[i] == &n->peers[other])
            vec_swap_remove(&n->members.peers, i);
}

static inline void end_life(struct node *n, const char *id, uint64_t life)
{
    n->members.ended[n->members.ended_next++ % MEMBERSHIP_ENDED] = (struct ended){life, true};
    directory_sweep(n->d, id, life);
}

static inline void open_node(struct node *n)
{
    const struct directory_settings set = {"pushca", n->members.set.id, n->members.set.life, 5000,
                                           8};
    const struct directory_events events = {n, on_list, on_moved, on_elsewhere, is_here};

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
