#include "wire/base64url.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_write(char *out, const void *at, size_t len)
{
    const unsigned char *in = at;
    uint32_t bits;

    for (; len >= 3; len -= 3, in += 3) {
        bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = digits[bits >> 6 & 63];
        *out++ = digits[bits & 63];
    }
    if (len == 0)
        return;
    bits = (uint32_t)in[0] << 16 | (len == 2 ? (uint32_t)in[1] << 8 : 0);
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    if (len == 2)
        *out = digits[bits >> 6 & 63];
}

enum { NO_DIGIT = 0x80 };

/* What a character stands for, plus one; zero: it is no digit. */
#define RUN(first, value)                                                                          \
    [first] = (value) + 1, [(first) + 1] = (value) + 2, [(first) + 2] = (value) + 3,               \
    [(first) + 3] = (value) + 4, [(first) + 4] = (value) + 5
#define RUN_26(first, value)                                                                       \
    RUN(first, value), RUN((first) + 5, (value) + 5), RUN((first) + 10, (value) + 10),             \
        RUN((first) + 15, (value) + 15), RUN((first) + 20, (value) + 20),                          \
        [(first) + 25] = (value) + 26

static const uint8_t values[256] = {
    RUN_26('A', 0), RUN_26('a', 26), RUN('0', 52), RUN('5', 57), ['-'] = 63, ['_'] = 64,
};

/* NO_DIGIT or more for what is none. */
static uint32_t value_of(char c)
{
    return (uint32_t)(values[(unsigned char)c] - 1);
}

/* One to three digits behind the whole groups; bits that stand for nothing must be zero. */
static bool read_rest(const char *at, size_t rest, char *out, size_t *len)
{
    uint32_t a = value_of(at[0]), b, c = 0;

    if (rest == 1)
        return false;
    b = value_of(at[1]);
    if (rest == 3)
        c = value_of(at[2]);
    if ((a | b | c) >= NO_DIGIT || (rest == 2 ? b & 15 : c & 3))
        return false;
    out[(*len)++] = (char)(a << 2 | b >> 4);
    if (rest == 3)
        out[(*len)++] = (char)(b << 4 | c >> 2);
    return true;
}

bool base64url_read(struct bytes text, char *out, size_t *len)
{
    const char *at = text.at;
    char *to = out;
    size_t i;
    int padding;

    for (padding = text.len % 4 == 0 ? 2 : 0; padding > 0 && text.len > 0; padding--) {
        if (text.at[text.len - 1] == '=')
            text.len--;
    }
    for (i = 0; text.len - i >= 4; i += 4) {
        uint32_t a = value_of(at[i]), b = value_of(at[i + 1]), c = value_of(at[i + 2]),
                 d = value_of(at[i + 3]);

        if ((a | b | c | d) >= NO_DIGIT)
            return false;
        *to++ = (char)(a << 2 | b >> 4);
        *to++ = (char)(b << 4 | c >> 2);
        *to++ = (char)(c << 6 | d);
    }
    *len = (size_t)(to - out);
    return text.len == i || read_rest(at + i, text.len - i, out, len);
}
