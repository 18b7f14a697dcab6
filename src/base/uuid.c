#include "base/uuid.h"

void uuid7_write(char out[UUID_TEXT + 1], int64_t wall_ms, struct rand *r)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char b[16];
    int i;

    rand_fill(r, b, sizeof(b));
    for (i = 0; i < 6; i++)
        b[i] = (unsigned char)((uint64_t)wall_ms >> (40 - 8 * i));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x70);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[b[i] >> 4];
        *out++ = digits[b[i] & 15];
    }
    *out = 0;
}
