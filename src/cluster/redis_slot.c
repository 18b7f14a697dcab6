#include "cluster/redis_slot.h"

#include <stddef.h>

/* A nibble at a time: 16 entries instead of 256, and keys are short. */
static const uint16_t nibble[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};

static uint16_t crc16(struct bytes b)
{
    unsigned crc = 0;

    for (size_t i = 0; i < b.len; i++) {
        unsigned char c = (unsigned char)b.at[i];

        crc = (crc << 4 ^ nibble[(crc >> 12 ^ c >> 4) & 15]) & 0xffff;
        crc = (crc << 4 ^ nibble[(crc >> 12 ^ c) & 15]) & 0xffff;
    }
    return (uint16_t)crc;
}

uint16_t redis_slot(struct bytes key)
{
    const char *open = key.len ? memchr(key.at, '{', key.len) : NULL, *shut;

    if (open) {
        size_t behind = key.len - (size_t)(open - key.at) - 1;

        shut = behind ? memchr(open + 1, '}', behind) : NULL;
        if (shut && shut > open + 1)
            key = bytes_of(open + 1, (size_t)(shut - open) - 1);
    }
    return crc16(key) % REDIS_SLOTS;
}
