/*
 * stream - everything one node says to one other, in order and once, over a bus that may lose,
 *          repeat and delay: numbers, a window of what is not confirmed, and sending again.
 *
 *   push -> [ confirmed | sent, unconfirmed | unsent ]      window: the last two
 *
 * Owner:   a peer embeds one.      Thread: the cluster thread.
 * Numbers: from 0; after a gap everything from there on is sent again.
 * Epoch:   a node that takes another for dead, and finds it alive, begins a new stream to the same
 *          life: its epoch is a higher number. The other side does not know, and goes on with the
 *          old stream of its own: stream_inherit keeps that free of repeats.
 * Bound:   stream_is_full from `window_bytes` on, of items with PIECE_EXTRA each; pushing still
 *          works (whoever pushes looks first).
 * Order:   items arrive in the order they were pushed, each once, or not at all when the other
 *          life ends: then stream_forget tells the owner which.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "wire/envelope.h"

/* Somebody who wants to know when all pieces of a message have been confirmed, or given up. */
struct receipt {
    uint32_t refs;
    void (*on_all)(struct receipt *r); /* frees it */
};

/* One encoded item, shared by the streams to all whom it is for. */
struct piece {
    uint32_t refs, len;
    struct receipt *receipt; /* a count; null: nobody waits */
    char at[];               /* with its length in front */
};

enum {
    PIECE_EXTRA = 32,          /* what one costs besides its bytes: head, allocation, slot */
    STREAM_ASK_APART_MS = 200, /* one gap is complained of as often, not with every batch */
};

struct receipt *receipt_ref(struct receipt *r);                       /* null is fine, */
void receipt_unref(struct receipt *r);                                /* here too */
struct piece *piece_new(const struct envelope *e, struct receipt *r); /* one count, the caller's */
struct piece *piece_ref(struct piece *p);
void piece_unref(struct piece *p);

struct stream {
    /* outgoing: private to stream.c */
    struct piece **ring;       /* of a power of two */
    uint32_t ring_size, count; /* items held */
    uint32_t sent;             /* of them since a rewind */
    size_t sent_bytes;         /* of those: what is under way */
    uint32_t known;            /* of them ever: what may be confirmed */
    uint32_t unanswered;       /* batches of which the bus has not said who heard them */
    uint64_t heard;            /* items below this number may have been heard */
    uint64_t doubt[2];         /* and those from the one to below the other: not answered yet */
    uint64_t first;            /* number of the oldest held */
    size_t bytes;              /* held, PIECE_EXTRA included */
    size_t window_bytes;
    int64_t since_ms; /* since when the oldest that was sent waits */
    uint32_t epoch;
    /* incoming */
    uint32_t their_epoch; /* 0: nothing has come yet */
    uint64_t expected;    /* number of the next item to take */
    uint64_t told;        /* what was confirmed of those */
    bool holds;           /* confirms no more for a while */
    bool owes_ack;        /* has taken items since a batch with `seen` went out */
    int64_t owes_since_ms;
    bool misses;    /* a gap was seen: ask again */
    bool has_asked; /* for `expected`, at asked_ms */
    int64_t asked_ms;
};

/* epoch: not 0, higher than that of any earlier stream to the same life (peer.number is). */
void stream_init(struct stream *s, uint32_t epoch, size_t window_bytes);
void stream_fini(struct stream *s);

/* Before anything has come: what came over an earlier stream from the same life has been taken. */
void stream_inherit(struct stream *s, const struct stream *earlier);

/* ---- outgoing ---- */

void stream_push(struct stream *s, struct piece *p); /* takes a count of its own */
bool stream_is_full(const struct stream *s);
bool stream_has_unsent(const struct stream *s);
size_t stream_unsent_bytes(const struct stream *s);

/* Appends unsent items, as many as fit in `most` bytes but at least one if there is any; *first is
   the number of the first of them, without any: of the next one. They count as sent. Returns how
   many. */
uint32_t stream_take(struct stream *s, size_t most, struct buf *out, uint64_t *first,
                     int64_t now_ms);

/* A batch goes out; and the bus has said whether anybody heard it and its items below `end`. Who
   says nothing (null reply) may have. */
void stream_published(struct stream *s);
void stream_answered(struct stream *s, uint64_t end, bool may_be_heard);

/* Before stream_forget, of each batch that is not answered: its items from `first` to below `end`
   may have been heard. */
void stream_doubt(struct stream *s, uint64_t first, uint64_t end);

/* The other side has everything below `seen`; what is older than known is nothing new. ERR_BAD: it
   cannot have, and nothing has changed. */
MUST_USE enum err stream_confirm(struct stream *s, uint64_t seen, int64_t now_ms);

void stream_rewind(struct stream *s); /* everything unconfirmed is to be sent again */

/* For how long nothing has been confirmed of what was sent since a rewind; 0: nothing waits.
   Sending more does not shorten it. */
int64_t stream_waits_ms(const struct stream *s, int64_t now_ms);

/* The other life has ended: calls each for what it never confirmed, oldest first, and drops it.
   item: for envelope_read; waits: who waits for it, or null. may_be_read: it was sent, and the bus
   did not say that nobody heard it. each must not push here. */
void stream_forget(struct stream *s,
                   void (*each)(void *context, struct bytes item, bool may_be_read,
                                struct receipt *waits),
                   void *context);

/* Pushes all that `from` holds, in its order, and empties it. */
void stream_move(struct stream *s, struct stream *from);

/* ---- incoming ---- */

/* A batch from there, of these two lives: confirms what it has seen, and rewinds if that is where
   it misses something; sees a gap where it is empty. ERR_OK: now stream_accept each of its items.
   ERR_GONE: it comes from an earlier epoch, pass it over. ERR_BAD: it makes no sense, pass it over.
 */
MUST_USE enum err stream_read(struct stream *s, const struct batch *b, int64_t now_ms);

enum stream_verdict { STREAM_TAKE, STREAM_OLD, STREAM_GAP };

/* What to do with item `number`: take it (then it counts as arrived), it was there before, or
   something before it is missing: then `misses` is set, unless that was asked for just now. What
   was there before is owed a confirmation, too: the earlier one may be lost. */
enum stream_verdict stream_accept(struct stream *s, uint64_t number, int64_t now_ms);

/* While it holds, nothing more is confirmed, and the other side sends no more than may be under
   way. Not to the end: what is unconfirmed when a node has left counts as never taken. */
void stream_hold(struct stream *s, bool holds);

/* Fills in what a batch there says for the stream: epochs, oldest, first, seen, BATCH_MISSING. Then
   batch_write, then stream_take into the same buf: items follow their head without a copy. */
void stream_head(const struct stream *s, struct batch *b);

/* A batch with such a head went out: nothing is owed any more. */
void stream_acked(struct stream *s, int64_t now_ms);
