/*
 * bus - what the shards of a cluster node see of the cluster, and how they speak with its thread:
 *       flags to ask, notes to post.
 *
 * Owner:   the hub; the cluster thread (room cluster) sets the flags and reads the inbox.
 * Thread:  flags from any; the members a shard knows are its own.
 * Rule:    what needs another node is asked for before anything is done: `away` or `full` refuses
 *          all of it, and no local copy is sent. What was accepted is kept until it is delivered.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"
#include "hub/note.h"

struct hub;
struct inbox;
struct notification;
struct shard;
struct value_counts;

struct bus {
    struct inbox *inbox;         /* the cluster thread's; null: this server stands alone */
    struct value_counts *values; /* of this process; null: alone */
    _Atomic uint64_t life;       /* of this process among those of its instance id */
    _Atomic bool away;           /* the bus cannot be used: Redis is away, or does not echo */
    _Atomic bool full;           /* too much is unconfirmed */
    _Atomic bool deaf;           /* away, but others are not: clients are sent elsewhere */
    _Atomic bool joined;         /* the others know us */
    _Atomic uint32_t peers;      /* living ones */
};

/* Another node, for open-connection. */
struct member {
    const char *id;
    const char *external_url, *internal_url, *browser_url; /* end with '/' */
    bool takes_clients;
};

/* Immutable; counted: each shard holds one. */
struct members {
    _Atomic uint32_t refs;
    uint32_t count;
    struct member *at; /* in the same block */
};

/* Copies; one count, the caller's. */
struct members *members_new(const struct member *at, uint32_t count);
struct members *members_ref(struct members *m);
void members_unref(struct members *m); /* null is fine */

/* Null: no living node of that name is known, or it takes no clients. */
const struct member *members_find(const struct members *m, struct bytes id);

static inline bool bus_is_on(const struct bus *b)
{
    return b->inbox != NULL;
}

/* Can nothing be sent to other nodes now? */
static inline bool bus_is_closed(const struct bus *b)
{
    return b->inbox && (atomic_load_explicit(&b->away, memory_order_relaxed) ||
                        atomic_load_explicit(&b->full, memory_order_relaxed));
}

/* Is there anybody else? While the bus is away there may be. */
static inline bool bus_has_peers(const struct bus *b)
{
    return b->inbox && (atomic_load_explicit(&b->peers, memory_order_relaxed) > 0 ||
                        atomic_load_explicit(&b->away, memory_order_relaxed));
}

enum forward_kind {
    FORWARD_SEND,
    FORWARD_FIND,
    FORWARD_ACKED,
    FORWARD_ACKNOWLEDGE, /* message_id, and filter_hash: of the client that says so */
};

/* To the cluster thread; takes a count of n. attempts: of FIND. */
void bus_forward(struct shard *s, struct notification *n, enum forward_kind kind,
                 uint32_t attempts);

/* A client of ours has come, and its arrival waits for the answer; or its last session has gone. */
void bus_register(struct shard *s, uint64_t hash, struct arrival *a);
void bus_unregister(struct shard *s, uint64_t hash);

/* NOTE_ELSEWHERE, NOTE_MEMBERS */
void bus_on_elsewhere(struct shard *s, struct note *n);
void bus_on_members(struct shard *s, struct note *n);
