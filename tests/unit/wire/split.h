/*
 * split - one input, handed to a parser whole, byte by byte, or in random pieces; and the dice for
 * it.
 *
 * Seed:  printed by dice_new; PUSHCA_TEST_SEED repeats it.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/clock.h"

struct dice {
    uint64_t state;
};

static inline struct dice dice_new(const char *what)
{
    const char *given = getenv("PUSHCA_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_wall_ms();

    printf("%s: PUSHCA_TEST_SEED=%llu\n", what, (unsigned long long)seed);
    return (struct dice){seed | 1};
}

/* 0 <= result < n */
static inline size_t dice_roll(struct dice *d, size_t n)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (size_t)(d->state >> 11) % n;
}

enum split { SPLIT_NEVER, SPLIT_BYTES, SPLIT_RANDOM };

/* How long the next piece is when `left` bytes are still to be handed over. Small pieces are as
   frequent as large ones. */
static inline size_t split_next(enum split how, struct dice *d, size_t left)
{
    size_t most = left;

    if (how == SPLIT_NEVER || left == 0)
        return left;
    if (how == SPLIT_BYTES)
        return 1;
    if (dice_roll(d, 2) == 0 && most > 8)
        most = 8;
    return 1 + dice_roll(d, most);
}

static inline void assert_text(struct bytes got, struct bytes wanted, const char *of)
{
    if (!bytes_equal(got, wanted))
        fail_msg("%s\n  got (%zu bytes)    %.*s\n  wanted (%zu bytes) %.*s", of, got.len,
                 (int)(got.len < 2000 ? got.len : 2000), got.len ? got.at : "", wanted.len,
                 (int)(wanted.len < 2000 ? wanted.len : 2000), wanted.len ? wanted.at : "");
}
