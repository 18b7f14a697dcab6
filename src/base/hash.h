/*
 * hash - SipHash-1-3 with a key of our own, so that outsiders cannot choose collisions.
 *
 * Standard: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF"; rounds: 1, 3.
 * Owner:    nobody.      Thread: any.
 */
#pragma once
#include <stdint.h>
#include "base/bytes.h"

struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_bytes(const struct hash_key *key, struct bytes b);

/* Of several at once, their lengths included: SipHash of the lengths and then of every part, filled
   up with zeros to whole words. Of tuples of equal count, whose parts have less than 4 GiB. */
uint64_t hash_tuple(const struct hash_key *key, const struct bytes *parts, size_t count);

/* Folds one more value into a hash: for tuples of hashes, pointers or numbers. a is scattered
   before b comes in, so that neighbouring values do not cancel each other out. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (a >> 32)) * 0x9e3779b97f4a7c15U;

    x = ((x ^ (x >> 29)) + b + 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U;
    return x ^ (x >> 31);
}
