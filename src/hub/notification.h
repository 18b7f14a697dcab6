/*
 * notification - a message on its way to other shards: whom it is for, and the one frame that every
 *                receiver gets. Immutable once made.
 *
 * Owner:   counted; the last notification_unref frees it, on whatever thread.      Thread: any.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "flow/frame.h"
#include "wire/identity.h"

struct notification {
    _Atomic uint32_t refs;
    struct filter filter; /* its own copies, in the same block */
    struct frame *frame;  /* holds a count */
    uint64_t order_key;   /* not 0: stick to one socket of a pool for this sender */
    uint64_t filter_hash; /* of the normalised filter: its home and its findAny turn */
    int64_t accepted_ms;  /* of another node's for many: for who was here by then; 0: for all */
    /* of acknowledged ones, and of those whose sender waits for OUTCOME_TAKEN */
    uint64_t ask;        /* name at the asker; 0: no outcome wanted */
    uint32_t asker;      /* shard number, */
    uint32_t peer;       /* of that node; 0: ours */
    uint32_t bytes;      /* of this block */
    uint8_t hops;        /* how often it was passed on from node to node */
    int64_t wait_ms;     /* how long an acknowledge counts */
    char message_id[48]; /* internal id, zero-terminated */
};

/* Copies the filter, shares the frame. One count, the caller's. */
struct notification *notification_new(const struct filter *f, struct frame *frame);
size_t notification_bytes(const struct notification *n); /* that it and its frame hold */
struct notification *notification_ref(struct notification *n);
void notification_unref(struct notification *n);
