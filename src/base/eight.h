/*
 * eight - questions asked of eight bytes at once.
 *
 * Thread: any. Pure.
 */
#pragma once
#include <stdint.h>

static inline uint64_t eight_of(unsigned char c)
{
    return 0x0101010101010101U * c;
}

/* Of each byte its high bit where the byte is zero; a byte above such a one may be taken for zero,
   too, but zero overall means that none is. */
static inline uint64_t eight_zeros(uint64_t eight)
{
    return (eight - eight_of(1)) & ~eight & eight_of(0x80);
}

/* The same for bytes that are c. */
static inline uint64_t eight_equal(uint64_t eight, unsigned char c)
{
    return eight_zeros(eight ^ eight_of(c));
}

/* How many bytes are c, exactly. */
static inline unsigned eight_count(uint64_t eight, unsigned char c)
{
    uint64_t low = eight_of(0x7f), other = eight ^ eight_of(c);
    uint64_t ones = ~(((other & low) + low) | other | low) >> 7;

    return (unsigned)(ones * eight_of(1) >> 56);
}

/* The same for controls, that is bytes below a space. */
static inline uint64_t eight_controls(uint64_t eight)
{
    return eight_zeros(eight & eight_of(0xe0));
}
