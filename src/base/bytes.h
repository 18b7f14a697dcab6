/*
 * bytes - a view of somebody else's bytes: pointer and length, no terminator.
 *
 * Owner:   never; valid as long as what it looks at.   Thread: any.
 * Errors:  none. An empty view may have a null pointer.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *at;
    size_t len;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const char *at, size_t len)
{
    return (struct bytes){at, len};
}

static inline struct bytes bytes_text(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool bytes_starts(struct bytes b, struct bytes prefix)
{
    return b.len >= prefix.len && (prefix.len == 0 || memcmp(b.at, prefix.at, prefix.len) == 0);
}

bool bytes_same_letters(const char *a, const char *b, size_t len); /* of bytes_equal_nocase */

/* ASCII letters compare without case; all other bytes exactly (RFC 9110, section 5.1). */
static inline bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    return a.len == b.len && bytes_same_letters(a.at, b.at, a.len);
}

/* Without the spaces and tabs at both ends. */
struct bytes bytes_trim(struct bytes b);

/* Splits at the first separator, which is not empty. False when there is none: then *head is all of
   b and *tail empty. */
bool bytes_cut(struct bytes b, struct bytes separator, struct bytes *head, struct bytes *tail);
