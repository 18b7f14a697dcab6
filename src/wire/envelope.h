/*
 * envelope - what nodes of a cluster say to each other: items in batches, as bytes.
 *
 * A batch goes from one node to another. Its items are numbered one after the other, so that what
 * was lost is asked for again and what came twice is taken once (cluster/stream.h).
 *
 *   batch  := "PC1" flags(1) length(1) from from_life(8) to_life(8) epoch(4) to_epoch(4)
 *             oldest(8) first(8) seen(8) now(8) item*
 *   item   := length(4) kind(1) present(3) member*      numbers little-endian
 *   member := name(8) hash(8) order_key(8) wait_ms(8) stamp_ms(8) shard(4) a(4) b(4)
 *             hops(1) dimension{4} exclude id origin text     those present, in this order
 *   dimension := length(2) bytes      exclude := count(4) (dimension{4})*
 *   id, origin := length(1) bytes     text := length(4) bytes
 *
 * Owner:   views into what was read.      Thread: any.
 * Limits:  ENVELOPE_BYTES an item; dimensions and lists are checked against `limits` when read:
 *          bytes from Redis are taken for hostile, too. One value has one form: what is read and
 *          written again is the same bytes.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/identity.h"

enum {
    ENVELOPE_BYTES = 64 * 1024 * 1024, /* of an item */
    ENVELOPE_ORIGIN_BYTES = 63,        /* of an instance id */
    ENVELOPE_ID_BYTES = 47,            /* of an internal message id (hub/notification.h) */
    ENVELOPE_WAIT_MS = 24 * 60 * 60 * 1000,
    BATCH_HEAD_BYTES = 3 + 1 + 1 + 255 + 2 * 4 + 6 * 8, /* at most, before the items */
};

enum envelope_kind {
    ENVELOPE_SEND,    /* filter, text, order_key, hops: to all that match, or to the one client;
                         stamp_ms of what is for all; a of what every node was asked for: HAD;
                         name: its sender waits until you confirm it */
    ENVELOPE_FIND,    /* filter, text, order_key, a = attempts: choose one receiver; to the filter's
                         home node; name as SEND */
    ENVELOPE_COUNT,   /* filter, name, shard: how many match? */
    ENVELOPE_COUNTED, /* name, shard, a = ready, b = all */
    ENVELOPE_PICK,    /* filter, text, order_key, a = rank, b = attempts left, ready_only */
    ENVELOPE_ACKED,   /* filter (direct: whole), text with its id in front, order_key, id (not
                         empty), name, shard, wait_ms, hops, a as SEND */
    ENVELOPE_OUTCOME, /* name, shard, a = outcome */
    ENVELOPE_MOVED,   /* hash: this client is with me now; a = 1: you have asked */
    ENVELOPE_BYE,     /* I read everything up to here and end */
    ENVELOPE_RESUME,  /* name = a former life of mine, a = its stream's epoch: the next b items were
                         in that stream, from number hash on; you may have read some */
    ENVELOPE_WHOSE, /* hash, a = enum envelope_whose: is this client with you? MOVED, or LEFT, also
                       when you lose it later */
    ENVELOPE_LEFT,  /* hash, a = enum envelope_left: it is not with me (any more) */
    ENVELOPE_HAD,   /* a of your SEND or ACKED, which every node was asked for; b = 1: its client is
                       with me */
    ENVELOPE_ACKNOWLEDGE, /* id (not empty) of a message, hash: this client has acknowledged it */
    ENVELOPE_KINDS,
};

enum envelope_whose {
    WHOSE_WAIT,    /* I have an older socket of it, and leave that out */
    WHOSE_CONTEST, /* I serve it, and the directory names you */
};

enum envelope_left {
    LEFT_GONE,      /* I have no socket of it */
    LEFT_ELSEWHERE, /* I have one, and think that another node has it */
    LEFT_YOURS,     /* the directory names you now */
};

struct envelope {
    enum envelope_kind kind;
    struct filter filter;
    struct bytes text;
    struct bytes id;     /* internal message id */
    struct bytes origin; /* of ACKED that was passed on: the node that asked; its life is in hash */
    uint64_t name, hash, order_key;
    int64_t wait_ms;   /* 0 .. ENVELOPE_WAIT_MS */
    uint64_t stamp_ms; /* when it was accepted, by the clock that the batch's now_ms is of */
    uint32_t shard, a, b;
    uint8_t hops;
    bool ready_only;
};

enum { BATCH_BEAT = 1, BATCH_MISSING = 2 }; /* flags: answer soon; I miss what comes after `seen` */

struct batch {
    uint8_t flags;
    struct bytes from;           /* instance id */
    uint64_t from_life, to_life; /* incarnations: a batch to or from another life is not read */
    uint32_t epoch;              /* of the stream that its items belong to (cluster/stream.h) */
    uint32_t to_epoch;           /* of the stream that `seen` belongs to */
    uint64_t oldest;             /* all items below this number have been confirmed */
    uint64_t first;              /* number of its first item; without items: of the next one */
    uint64_t seen;               /* all items below this number have arrived here */
    uint64_t now_ms;             /* by the sender's own monotonic clock */
    struct bytes items;
};

/* Appends one item. Members that are empty or 0 take no room; whatever the kind, all others are
   written. What goes in obeys the limits of whoever will read it. */
void envelope_write(struct buf *out, const struct envelope *e);

/* The same in two steps: how long it becomes; and it itself, which returns where it ends. */
size_t envelope_size(const struct envelope *e);
char *envelope_put(char *to, const struct envelope *e);

/* Appends a batch's head and then its items as they are: either here, or behind it by the caller.
 */
void batch_write(struct buf *out, const struct batch *b);

/* ERR_BAD: this is no batch. */
MUST_USE enum err batch_read(struct bytes text, struct batch *out);

/* Takes the first item off *items, which are not empty; *item is what follows its length, unread.
   ERR_BAD: torn, or longer than ENVELOPE_BYTES; *items has not changed. */
MUST_USE enum err batch_next(struct bytes *items, struct bytes *item);

struct envelope_limits {
    size_t dimension_bytes, exclude_entries;
};

/* item: as batch_next gives it. The exclude list goes to the arena. ERR_BAD: malformed, over a
   limit, text that is no UTF-8, something left over, or what its kind needs is not there. */
MUST_USE enum err envelope_read(struct bytes item, const struct envelope_limits *limits,
                                struct arena *arena, struct envelope *out);
