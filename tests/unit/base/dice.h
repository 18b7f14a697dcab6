/*
 * dice - what every test of this room starts with: cmocka, and random numbers from a seed that is
 *        printed.
 *
 * Seed:  PUSHCA_TEST_SEED repeats a run.      Thread: the one that rolls.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

struct dice {
    uint64_t state;
};

static inline struct dice dice_new(const char *what)
{
    const char *given = getenv("PUSHCA_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003;

    printf("%s: PUSHCA_TEST_SEED=%llu\n", what, (unsigned long long)seed);
    fflush(stdout);
    return (struct dice){seed};
}

static inline uint64_t dice_word(struct dice *d)
{
    uint64_t x = d->state += 0x9e3779b97f4a7c15U;

    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93U;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93U;
    return x ^ (x >> 32);
}

/* 0 <= result < n */
static inline size_t dice_roll(struct dice *d, size_t n)
{
    return (size_t)(dice_word(d) >> 11) % n;
}

static inline void dice_fill(struct dice *d, void *out, size_t n)
{
    unsigned char *to = out;

    while (n--)
        *to++ = (unsigned char)(dice_word(d) >> 40);
}
