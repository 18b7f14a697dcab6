/*
 * inflater - compressed messages of one connection become what they were.
 *
 * Standard: RFC 7692, section 7.2.2, over RFC 1951. Blocks with BFINAL set may stand anywhere.
 * Owner:    whoever embeds it.      Thread: its connection's.
 * Bound:    the output's limit, found before a byte over it is kept; memory grows with what came
 *           out, never with what went in. Nothing is held between messages unless context is kept.
 * Errors:   after any of them it is spent: only inflater_fini.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

struct z_stream_s;

struct inflater {
    /* private to inflater.c */
    struct z_stream_s *z; /* null: nothing has begun */
    int64_t budget;
    uint8_t bits;
    bool forgets;
    bool is_at_end; /* of a block, on a whole byte: a message may end here */
};

/* bits: of the sender's window. forgets: context ends with each message. budget: memory of the
   process over which a message is refused; 0: any. */
void inflater_init(struct inflater *i, unsigned bits, bool forgets, int64_t budget);
void inflater_fini(struct inflater *i);

/* Appends to out what the next bytes of a message hold; WS_PADDING bytes behind it are readable.
   ERR_BAD: they are not compressed data. ERR_TOO_BIG: out would get longer than limit, which it is
   not before. ERR_FULL: over the budget. What came out before an error is appended. */
MUST_USE enum err inflater_add(struct inflater *i, struct bytes in, struct buf *out, size_t limit);

/* The message ends here: appends what was still to come. Errors as above. */
MUST_USE enum err inflater_end(struct inflater *i, struct buf *out, size_t limit);

/* At most so much it holds, with a window of so many bits. */
size_t inflater_bytes(unsigned bits);
