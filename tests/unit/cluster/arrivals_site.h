/*
 * arrivals_site - three nodes that know each other; what the directory says of their clients.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
#pragma once
#include "unit/cluster/arrivals_seams.h"
#include "unit/cluster/arrivals_steps.h"

/* ---- the directory ---- */

static inline const char *entry(int client)
{
    char key[64];

    snprintf(key, sizeof(key), "pushca:client:%016" PRIx64, hash_of(client));
    return fake_get(key);
}

/* The node the directory names; -1: none. */
static inline int owner(int client)
{
    const char *e = entry(client);

    return e && e[0] != '~' ? e[0] - 'a' : -1;
}

static inline bool all_whole(void)
{
    for (int i = 0; i < NODES; i++)
        if (!directory_is_whole(w.node[i].c.directory))
            return false;
    return true;
}

/* ---- opening and closing ---- */

static inline void open_node(struct node *n, int i)
{
    static const char *const ids[NODES] = {"a", "b", "c"};
    struct directory_settings set = {"pushca", ids[i], 0xa0 + (uint64_t)i, 5000, 100, 7000};
    const struct directory_events events = {&n->c, on_list, arrivals_on_moved, elsewhere_contest,
                                            arrivals_is_ours};
    struct cluster *c = &n->c;

    n->settings = (struct settings){.shards = 1};
    n->hub = (struct hub){.count = 1, .shards = n->shards, .key = w.key, .discard = discard};
    atomic_store(&n->hub.settings, &n->settings);
    n->shards[0] = &n->shard;
    n->shard.hub = &n->hub;
    n->shard.staged = n->to_cluster;
    index_init(&n->shard.index, &n->hub.key);
    presence_open(&n->shard.presence, 1000);
    n->hub.bus.inbox = &c->inbox;
    c->hub = &n->hub;
    c->own =
        (struct cluster_settings){.register_ms = 1000, .beat_ms = BEAT_MS, .window_bytes = 1 << 20};
    c->set = &c->own;
    c->id = ids[i];
    c->staged = n->to_shard;
    c->loop.now_ms = w.now_ms;
    wheel_init(&c->loop.wheel, w.now_ms);
    c->redis = &n->redis;
    c->members.set.id = ids[i];
    c->members.set.life = set.life;
    c->members.set.beat_ms = BEAT_MS;
    c->members.answered_ms = w.now_ms;
    arena_init(&c->arena);
    arrivals_open(c);
    c->directory = directory_open(&c->loop, &n->redis, &c->members, &set, &events);
    for (int j = 0; j < NODES; j++) {
        struct peer *p = &n->peers[j];

        *p = (struct peer){.number = (uint32_t)j + 1, .life = 0xa0 + (uint64_t)j};
        snprintf(p->id, sizeof(p->id), "%s", ids[j]);
        if (j != i)
            vec_push(&c->members.peers, p);
    }
}

static inline int setup(void **state)
{
    (void)state;
    fake_close();
    w = (struct world){.now_ms = 1000000, .key = {1, 2}};
    fake.now_ms = w.now_ms;
    for (int i = 0; i < NODES; i++)
        open_node(&w.node[i], i);
    for (int i = 0; i < NODES; i++)
        directory_on_master(w.node[i].c.directory, 0);
    pass(1000);
    assert_true(all_whole());
    return 0;
}

static inline void drop_notes(struct node *n, struct outbox *o)
{
    struct note *note;

    while ((note = pop_note(o)))
        note_free(&n->hub, note);
}

static inline void close_node(struct node *n)
{
    directory_close(n->c.directory);
    arrivals_close(&n->c);
    drop_notes(n, &n->to_shard[0]);
    drop_notes(n, &n->to_cluster[1]);
    for (int i = 0; i < NODES; i++)
        while (n->wires[i].first < n->wires[i].last)
            mem_free((char *)(uintptr_t)n->wires[i].item[n->wires[i].first++].at);
    vec_fini(&n->c.members.peers);
    arena_fini(&n->c.arena);
    index_fini(&n->shard.index);
    presence_close(&n->shard.presence);
}

static inline int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < w.sockets; i++)
        close_sock(&w.sock[i]);
    for (int i = 0; i < NODES; i++)
        close_node(&w.node[i]);
    fake_close();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
