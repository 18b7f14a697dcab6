/*
 * buf - a growable run of bytes, written at its end.
 *
 * Owner:   whoever embeds it; {0} is a valid empty one.      Thread: its owner's.
 * Bound:   none here: the caller compares len with its limit before it appends.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"

struct buf {
    char *at;
    size_t len, cap;
};

void buf_fini(struct buf *b);

/* Room for n more bytes behind len; returns where they go. Grows by doubling. */
char *buf_reserve(struct buf *b, size_t n) __attribute__((returns_nonnull));

void buf_add(struct buf *b, struct bytes more);
void buf_add_char(struct buf *b, char c);
void buf_add_number(struct buf *b, uint64_t n); /* in decimal */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forgets the first n bytes, moving the rest down. */
void buf_drop(struct buf *b, size_t n);

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->at, b->len};
}
