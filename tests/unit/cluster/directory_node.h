/*
 * directory_node - a node that is no more than a directory, and what it was told.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
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
    int lists, moved, contests;
    bool lists_late; /* the test lists itself */
    uint64_t last_moved, contested;
    uint32_t contested_by;
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

static inline void on_put(void *context, uint64_t hash, uint64_t token, enum directory_put put)
{
    (void)context;
    (void)hash;
    w.said[w.n].token = token;
    w.said[w.n++].answer = (int)put;
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

static inline void on_contest(void *context, uint64_t hash, struct peer *peer)
{
    struct node *n = context;

    n->contests++;
    n->contested = hash;
    n->contested_by = peer->number;
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
