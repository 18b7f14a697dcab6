/*
 * base64url - bytes as the letters of a URL, and back.
 *
 * Standard: RFC 4648, section 5.      Thread: any. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"

/* Characters of len bytes, without padding. */
static inline size_t base64url_len(size_t len)
{
    return len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0);
}

/* Writes base64url_len(len) characters, no padding and no zero. */
void base64url_write(char *out, const void *at, size_t len);

/* Padding optional; out has room for text.len. False: not that, or not as base64url_write would
   have written it. */
bool base64url_read(struct bytes text, char *out, size_t *len);
