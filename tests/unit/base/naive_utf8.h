/*
 * naive_utf8 - UTF-8 by the shortest way to say it: a sequence is well formed when encoding what it
 *              means gives the same bytes again.
 *
 * Owner:   nobody.      Thread: any.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/bytes.h"

/* Returns the length. Surrogates are encoded like any other. */
static inline size_t encode(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The length of the well-formed sequence b starts with, 0 for none. */
static inline size_t sequence_at(struct bytes b, uint32_t *character)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t len, i;

    for (len = 1; len <= 4 && len <= b.len; len++) {
        uint32_t c = (unsigned char)b.at[0] & lead[len];
        char again[4];

        for (i = 1; i < len; i++)
            c = c << 6 | ((unsigned char)b.at[i] & 0x3f);
        if (c > 0x10ffff || (c >> 11) == 0x1b)
            continue;
        if (encode(again, c) == len && memcmp(again, b.at, len) == 0) {
            *character = c;
            return len;
        }
    }
    return 0;
}
