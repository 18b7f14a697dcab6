/*
 * histogram - how often each duration occurred, to within one percent, in fixed memory.
 *
 * Owner:  the caller, who zeroes it first.      Thread: one.
 */
#pragma once
#include <stdint.h>

enum { HISTOGRAM_FINE = 256, HISTOGRAM_OCTAVES = 40 };

struct histogram {
    uint64_t of[HISTOGRAM_OCTAVES * HISTOGRAM_FINE];
    uint64_t count, max_ns;
};

void histogram_add(struct histogram *h, uint64_t ns);

/* The duration that this share (0.5: the median) of all does not exceed; 0 of none. */
double histogram_us(const struct histogram *h, double share);
