/*
 * tools - time, ends and random numbers for a program that may simply stop when something is wrong.
 *
 * Thread: any; rnd_* has its state with the caller.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *grow(void *p, size_t size); /* realloc, or the end */

uint64_t now_ns(void);     /* monotonic */
double own_cpu_s(void);    /* of this process so far */
void sleep_ns(uint64_t t); /* at least */

/* The same numbers for the same seed, on every machine. */
uint64_t rnd_next(uint64_t *state);
