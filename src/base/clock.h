/*
 * clock - what time it is; replaced by a fake at link time in the sim tests.
 *
 * Thread:  any.      Unit: milliseconds, but clock_mono_us.
 */
#pragma once
#include <stdint.h>

/* Never jumps: for every timeout and interval (CLOCK_MONOTONIC). */
int64_t clock_mono_ms(void);

/* The same clock in microseconds: for how long something of our own took. */
int64_t clock_mono_us(void);

/* Since 1970, may jump: for tokens, UUIDs and what people read (CLOCK_REALTIME). */
int64_t clock_wall_ms(void);
