/*
 * uuid - UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random.
 *
 * Thread:  any; the random pool is the caller's.
 */
#pragma once
#include <stdint.h>
#include "base/rand.h"

enum { UUID_TEXT = 36 };

/* Writes 36 lower-case characters and a terminating zero. */
void uuid7_write(char out[UUID_TEXT + 1], int64_t wall_ms, struct rand *r);
