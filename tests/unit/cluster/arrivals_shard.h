/*
 * arrivals_shard - a node's shard: sockets come as in api/ws_server.c, sessions and presence are
 * the real ones.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
#pragma once
#include "unit/cluster/arrivals_world.h"
#include "flow/thread.h"

/* ---- the shard: as api/ws_server.c ---- */

static inline bool must_register(const struct shard *s, const struct arrival *a)
{
    struct identity who = identity_of(a->sock->client);
    const struct client *c = index_find(&s->index, &who, a->hash);

    return !a->is_registered && (!c || !client_is_here(c));
}

static inline void close_sock(struct sock *k)
{
    struct shard *s = &w.node[k->node].shard;

    k->closed = true;
    if (!k->session)
        return;
    thread_settle(s);
    session_free(s, k->session);
    k->session = NULL;
}

static inline void adopt(struct node *n, struct arrival *a)
{
    struct shard *s = &n->shard;
    struct identity who = identity_of(a->sock->client);

    thread_settle(s);
    if (must_register(s, a)) {
        a->is_registered = true;
        bus_register(s, a->hash, a);
        return;
    }
    a->sock->session = session_new(s, &who, a->hash);
    if (a->sock->closed)
        close_sock(a->sock);
    mem_free(a);
}

static inline struct sock *connect_to(int node, int client)
{
    struct sock *k = &w.sock[w.sockets++];
    struct arrival *a = mem_new(struct arrival);

    assert_true(w.sockets < SOCKETS);
    *k = (struct sock){.node = node, .client = client};
    *a = (struct arrival){.sock = k, .hash = hash_of(client)};
    adopt(&w.node[node], a);
    return k;
}

/* Is it served by this node, as its shard sees it? */
static inline bool is_served(int node, int client)
{
    struct identity who = identity_of(client);
    const struct client *c = index_find(&w.node[node].shard.index, &who, hash_of(client));

    return c && client_is_here(c);
}

static inline bool has_sockets(int node, int client)
{
    for (int i = 0; i < w.sockets; i++)
        if (w.sock[i].node == node && w.sock[i].client == client && !w.sock[i].closed)
            return true;
    return false;
}
