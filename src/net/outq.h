/*
 * outq - frames waiting to leave through one socket, oldest first.
 *
 * Owner:   the conn that embeds it.       Thread:  the conn's home shard.
 * Bound:   bytes waiting besides one frame, which is the one being written, or a larger one behind
 *          it; over it push answers ERR_FULL and changes nothing. A frame larger than the limit
 *          itself may wait while all before it have at most twice the limit left to send.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/err.h"

struct frame;

struct outq {
    /* private to outq.c; two slots embedded to save an allocation per socket */
    struct frame *first[2];
    struct frame **slots; /* ring of cap entries; null: first[] is the ring */
    uint32_t head, len, cap;
    uint32_t spared;  /* this many stand before the one the limit does not count; 0: the head */
    size_t head_sent; /* bytes of the oldest frame the kernel already has */
    size_t bytes;     /* not yet sent, all frames */
};

void outq_init(struct outq *q);

/* Drops what is left, counting it as dropped with a closed socket. */
void outq_fini(struct outq *q);

/* Shares f. O(1). */
MUST_USE enum err outq_push(struct outq *q, struct frame *f, size_t limit);

/* Drops every frame no byte of which was sent, or is among the next `promised` ones, counting it as
   dropped over the queue limit. */
void outq_cut(struct outq *q, size_t promised);

/* Fills iov with what is next to send, at most max entries and max_bytes; borrowed until the next
   call that changes q. Returns the number of entries. */
int outq_peek(const struct outq *q, struct iovec *iov, int max, size_t max_bytes);

/* Forgets the first n bytes: the kernel has them. Frames sent whole are counted as delivered. */
void outq_sent(struct outq *q, size_t n);
