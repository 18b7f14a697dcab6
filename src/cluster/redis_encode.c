#include "cluster/redis_encode.h"

#include <string.h>

static void add_argument(struct buf *b, struct bytes a)
{
    char *to = buf_reserve(b, a.len + 32);
    char digits[20];
    size_t at = sizeof(digits), n = a.len;

    digits[--at] = '\n';
    digits[--at] = '\r';
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n && at);
    *to++ = '$';
    memcpy(to, digits + at, sizeof(digits) - at);
    to += sizeof(digits) - at;
    if (a.len)
        memcpy(to, a.at, a.len);
    to += a.len;
    *to++ = '\r';
    *to++ = '\n';
    b->len = (size_t)(to - b->at);
}

void redis_encode(struct buf *b, const struct bytes *argv, int argc)
{
    buf_add_char(b, '*');
    buf_add_number(b, (uint64_t)argc);
    buf_add(b, BYTES("\r\n"));
    for (int i = 0; i < argc; i++)
        add_argument(b, argv[i]);
}
