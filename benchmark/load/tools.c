#include "load/tools.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SECOND_NS = 1000000000 };

void die(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fputs("pushca-load: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

void *grow(void *p, size_t size)
{
    p = realloc(p, size);
    if (!p)
        die("out of memory");
    return p;
}

static uint64_t read_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

double own_cpu_s(void)
{
    return (double)read_ns(CLOCK_PROCESS_CPUTIME_ID) / SECOND_NS;
}

void sleep_ns(uint64_t t)
{
    struct timespec left = {.tv_sec = (time_t)(t / SECOND_NS), .tv_nsec = (long)(t % SECOND_NS)};

    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

/* splitmix64 */
uint64_t rnd_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
