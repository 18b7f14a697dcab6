/*
 * stream - everything one node says to one other, in order and once, over a bus that may lose,
 *          repeat and delay: numbers, a window of what is not confirmed, and sending again.
 *
 *   push -> [ confirmed | sent, unconfirmed | unsent ]      window: the last two
 *
 * Owner:   a peer embeds one.      Thread: the cluster thread.
 * Bound:   stream_is_full from `window_bytes` on; pushing still works (whoever pushes looks first).
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

/* One encoded item, shared by the streams to all whom it is for. */
struct piece {
    uint32_t refs;
    size_t len;
    char at[];
};
struct piece *piece_new(const struct envelope *e); /* one count, the caller's */
struct piece *piece_ref(struct piece *p);
void piece_unref(struct piece *p);

struct stream {
    /* outgoing: private to stream.c */
    struct piece **ring;             /* of a power of two */
    uint32_t ring_size, count, sent; /* items held; of them sent at least once since a rewind */
    uint64_t first;                  /* number of the oldest held */
    size_t bytes;                    /* held */
    size_t window_bytes;
    int64_t sent_ms; /* when something was last sent or confirmed while any is unconfirmed */
    /* incoming */
    uint64_t expected; /* number of the next item to take */
    bool owes_ack;     /* has taken items since a batch with `seen` went out */
    int64_t owes_since_ms;
    bool misses; /* a gap was seen: ask again */
};

void stream_init(struct stream *s, size_t window_bytes);
void stream_fini(struct stream *s);

/* ---- outgoing ---- */

void stream_push(struct stream *s, struct piece *p); /* takes a count of its own */
bool stream_is_full(const struct stream *s);
bool stream_has_unsent(const struct stream *s);

/* Appends unsent items, as many as fit in `most` bytes but at least one; *first is the number of
   the first of them. They count as sent. Returns how many. */
uint32_t stream_take(struct stream *s, size_t most, struct buf *out, uint64_t *first,
                     int64_t now_ms);

/* The other side has everything below `seen`. ERR_BAD: it cannot have. */
MUST_USE enum err stream_confirm(struct stream *s, uint64_t seen, int64_t now_ms);

/* Everything unconfirmed is to be sent again. */
void stream_rewind(struct stream *s);

/* Unconfirmed since, at now_ms; 0: nothing is, or nothing was sent. */
int64_t stream_waits_ms(const struct stream *s, int64_t now_ms);

/* The other life has ended: calls each for what it never confirmed, oldest first, and drops it. */
void stream_forget(struct stream *s, void (*each)(void *context, struct bytes item), void *context);

/* ---- incoming ---- */

enum stream_verdict { STREAM_TAKE, STREAM_OLD, STREAM_GAP };

/* What to do with item `number`: take it (then it counts as arrived), it was there before, or
   something before it is missing (then `misses` is set). */
enum stream_verdict stream_accept(struct stream *s, uint64_t number, int64_t now_ms);

/* A batch that carries `expected` as seen went out: nothing is owed any more. */
void stream_acked(struct stream *s);
