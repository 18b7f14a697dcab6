/*
 * input - what a fuzz target is made of: the bytes of one run as choices, the same bytes as pieces,
 *         and a promise that ends the run when it is broken.
 *
 * Owner:   the run.      Thread: one.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"

/* What the fuzzer calls, and fuzz/replay.c for every file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says which promise was broken; the fuzzer keeps the input. */
#define MUST(promise)                                                                              \
    do {                                                                                           \
        if (!(promise)) {                                                                          \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- choices, taken from the front; what is over answers zeros ---- */

struct input {
    const uint8_t *at;
    size_t left;
};

static inline unsigned input_byte(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline unsigned input_u16(struct input *in)
{
    unsigned low = input_byte(in);

    return low | input_byte(in) << 8;
}

/* 0 <= result < n <= 65536; one byte where that is enough. */
static inline unsigned input_below(struct input *in, unsigned n)
{
    return (n <= 256 ? input_byte(in) : input_u16(in)) % n;
}

/* A view of the next n bytes, or of what is left. */
static inline struct bytes input_bytes(struct input *in, size_t n)
{
    struct bytes b = bytes_of((const char *)in->at, n < in->left ? n : in->left);

    in->at += b.len;
    in->left -= b.len;
    return b;
}

/* ---- pieces: where to cut follows from the text itself, so that a text is a whole input ---- */

struct chops {
    enum { CHOPS_WHOLE, CHOPS_BYTES, CHOPS_MIXED } how;
    uint64_t state;
};

/* FNV-1a, never 0. */
static inline struct chops chops_of(struct bytes text)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < text.len; i++)
        h = (h ^ (unsigned char)text.at[i]) * 0x100000001b3U;
    return (struct chops){CHOPS_MIXED, h | 1};
}

/* How long the next piece is, of `left` bytes; small ones are as frequent as large ones. */
static inline size_t chops_next(struct chops *c, size_t left)
{
    size_t most = left;

    if (c->how == CHOPS_WHOLE || left <= 1)
        return left;
    if (c->how == CHOPS_BYTES)
        return 1;
    c->state ^= c->state << 13;
    c->state ^= c->state >> 7;
    c->state ^= c->state << 17;
    if ((c->state >> 60) % 2 && most > 8)
        most = 8;
    return 1 + (size_t)(c->state >> 11) % most;
}

/* A copy with `behind` bytes of padding and nothing more: a sanitizer sees whoever reads further.
 */
static inline char *piece_new(struct bytes text, size_t behind)
{
    char *p = malloc(text.len + behind + 1);

    MUST(p);
    if (text.len)
        memcpy(p + 1, text.at, text.len);
    memset(p + 1 + text.len, 0xAA, behind);
    return p + 1; /* one off, so that nothing is aligned by chance */
}

static inline void piece_free(char *p)
{
    free(p - 1);
}
