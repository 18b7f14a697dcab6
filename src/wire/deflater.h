/*
 * deflater - messages become compressed ones.
 *
 * Standard: RFC 7692, section 7.2.1, over RFC 1951.
 * Owner:    who made it: a connection that keeps its context, or a thread, for all messages that
 *           keep none.      Thread: the owner's.
 * Bound:    deflater_bytes, held from the start to the end.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

struct deflater;

/* bits: of the window, 9 to 15. forgets: every message stands for itself. budget: memory of the
   process over which it is refused, ERR_FULL; 0: any. */
MUST_USE enum err deflater_new(unsigned bits, unsigned level, bool forgets, int64_t budget,
                               struct deflater **out);
void deflater_free(struct deflater *d); /* null is fine */

/* Appends text compressed, without the four bytes that every message would end with. Text is not
   empty. ERR_TOO_BIG: that would be more than `most` bytes, and out is as before; of a deflater
   that keeps its context `most` must be SIZE_MAX: what it took must be sent. */
MUST_USE enum err deflater_add(struct deflater *d, struct bytes text, struct buf *out, size_t most);

/* At most so much it holds, with a window of so many bits. */
size_t deflater_bytes(unsigned bits);
