/*
 * rand - unpredictable bytes, a pool at a time from the kernel; deterministic in the sim tests,
 *        which replace rand.c at link time.
 *
 * Owner:   whoever embeds it.      Thread: its owner's.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct rand {
    /* private to rand.c */
    unsigned char pool[512];
    size_t left;
};

void rand_init(struct rand *r);
void rand_fill(struct rand *r, void *out, size_t n);

/* 0 <= result < n, without bias; n > 0. */
uint64_t rand_below(struct rand *r, uint64_t n);
