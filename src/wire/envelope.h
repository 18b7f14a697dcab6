/*
 * envelope - what nodes of a cluster say to each other: items in batches, as bytes.
 *
 * A batch goes from one node to another. Its items are numbered one after the other, so that what
 * was lost is asked for again and what came twice is taken once (cluster/stream.h).
 *
 *   batch  := "PC1" flags(1) from(len8 text) from_life(8) to_life(8) first(8) seen(8) item*
 *   item   := length(4) kind(1) present(2) member*      numbers little-endian, texts with length
 *
 * Owner:   views into what was read.      Thread: any.
 * Limits:  items up to 64 MiB; dimensions and lists are checked against `limits` when read: bytes
 *          from Redis are taken for hostile, too.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/identity.h"

enum envelope_kind {
    ENVELOPE_SEND,    /* filter, text, order_key, hops: to all that match, or to the one client */
    ENVELOPE_FIND,    /* filter, text, order_key, a = attempts: choose one receiver; to the filter's
                         home node */
    ENVELOPE_COUNT,   /* filter, name, shard: how many match? */
    ENVELOPE_COUNTED, /* name, shard, a = ready, b = all */
    ENVELOPE_PICK,    /* filter, text, order_key, a = rank, b = attempts left, ready_only */
    ENVELOPE_ACKED,   /* filter (direct), text with its id in front, order_key, id, name, shard,
                         wait_ms, hops */
    ENVELOPE_OUTCOME, /* name, shard, a = outcome */
    ENVELOPE_MOVED,   /* hash: this client is with me now */
    ENVELOPE_GONE,    /* hash: ... and no longer */
    ENVELOPE_BYE,     /* I read everything up to here and end */
    ENVELOPE_KINDS,
};

struct envelope {
    enum envelope_kind kind;
    struct filter filter;
    struct bytes text;
    struct bytes id; /* internal message id */
    uint64_t name, hash, order_key;
    int64_t wait_ms;
    uint32_t shard, a, b;
    uint8_t hops;
    bool ready_only;
};

enum { BATCH_BEAT = 1, BATCH_MISSING = 2 }; /* flags: answer soon; I miss what comes after `seen` */

struct batch {
    uint8_t flags;
    struct bytes from;           /* instance id */
    uint64_t from_life, to_life; /* incarnations: a batch to or from another life is not read */
    uint64_t first;              /* number of its first item; without items: of the next one */
    uint64_t seen;               /* all items below this number have arrived here */
    struct bytes items;
};

/* Appends one item. Members that are empty or 0 take no room. */
void envelope_write(struct buf *out, const struct envelope *e);

/* Appends a batch's head; its items are appended behind it as they are. */
void batch_write(struct buf *out, const struct batch *b);

/* ERR_BAD: this is no batch. */
MUST_USE enum err batch_read(struct bytes text, struct batch *out);

/* Takes the first item off *items, unread. ERR_BAD: torn. */
MUST_USE enum err batch_next(struct bytes *items, struct bytes *item);

struct envelope_limits {
    size_t dimension_bytes, exclude_entries;
};

/* The exclude list goes to the arena. ERR_BAD: malformed or over a limit. */
MUST_USE enum err envelope_read(struct bytes item, const struct envelope_limits *limits,
                                struct arena *arena, struct envelope *out);
