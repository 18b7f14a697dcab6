/*
 * arrivals_world - nodes made of the real arrivals, directory, sessions and presence, with a Redis
 * in memory, and wires that carry what nodes say to each other when the test lets them: every order
 * in which things may happen can be made.
 *
 *   shard <---- notes ----> arrivals ---- wires ----> the others' arrivals
 *                              |
 *                       directory ---- commands ----> Redis in memory
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
#pragma once
#include "cluster/arrivals.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/log.h"
#include "base/mem.h"
#include "cluster/elsewhere.h"
#include "cluster/node.h"
#include "hub/session.h"
#include "unit/cluster/fake_redis.h"

enum { NODES = 3, CLIENTS = 4, SOCKETS = 4096, ITEMS = 4096, BEAT_MS = 500 };

/* A client's socket, from its handshake to its end. */
struct sock {
    struct session *session; /* null: not let in yet, or closed */
    int node, client;
    bool closed;
};

/* The test's own; to the cluster it is opaque. */
struct arrival {
    struct sock *sock;
    uint64_t hash;
    bool is_registered;
};

struct wire {
    struct bytes item[ITEMS]; /* owned; envelope_read takes them */
    int first, last;
};

struct node {
    struct redis redis;
    struct cluster c;
    struct hub hub;
    struct shard shard, *shards[1];
    struct settings settings;
    struct outbox to_shard[2], to_cluster[2];
    struct peer peers[NODES];
    struct wire wires[NODES]; /* to each of the others */
    int moved;                /* MOVED that it sent */
    bool cut;                 /* nothing comes, nothing goes */
};

static struct world {
    struct node node[NODES];
    struct sock sock[SOCKETS];
    int sockets;
    int64_t now_ms;
    struct hash_key key;
} w;

static inline struct node *node_of(struct cluster *c)
{
    return container_of(c, struct node, c);
}

static inline struct identity identity_of(int client)
{
    static const char *const accounts[CLIENTS] = {"ann", "bob", "cyn", "dan"};

    return (struct identity){
        {BYTES("w"), bytes_text(accounts[client]), BYTES("phone"), BYTES("app")}};
}

static inline uint64_t hash_of(int client)
{
    struct identity who = identity_of(client);

    return identity_hash(&w.key, &who);
}
