#include "net/network.h"

#include <arpa/inet.h>
#include <string.h>

enum { V4_AT = 12, V4_BITS = 32, V4_SKIPPED = 96, BITS = 128 };

/* Decimal digits without sign or leading zero. */
static bool read_length(struct bytes text, unsigned most, unsigned *out)
{
    size_t i;

    *out = 0;
    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.at[0] == '0'))
        return false;
    for (i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(text.at[i] - '0');
    }
    return *out <= most;
}

/* How many bits an address of its kind has; 0: it is none. */
static unsigned read_address(struct bytes text, struct address *out)
{
    static const unsigned char before_v4[V4_AT] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.at, '\0', text.len))
        return 0;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, out->at) == 1)
        return BITS;
    memcpy(out->at, before_v4, sizeof(before_v4));
    return inet_pton(AF_INET, copy, out->at + V4_AT) == 1 ? V4_BITS : 0;
}

/* Do the first `bits` agree? */
static bool begin_alike(const struct address *a, const struct address *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->at, b->at, whole) != 0)
        return false;
    return rest == 0 || ((a->at[whole] ^ b->at[whole]) >> (8 - rest)) == 0;
}

static bool is_zero_behind(const struct address *a, unsigned bits)
{
    unsigned i;

    for (i = bits; i < BITS; i++)
        if (a->at[i / 8] & (0x80 >> i % 8))
            return false;
    return true;
}

bool network_read(struct bytes text, struct network *out)
{
    struct bytes address, length;
    bool has_length = bytes_cut(text, BYTES("/"), &address, &length);
    unsigned bits = read_address(address, &out->first);

    if (!bits || (has_length && !read_length(length, bits, &out->bits)))
        return false;
    if (!has_length)
        out->bits = bits;
    if (bits == V4_BITS)
        out->bits += V4_SKIPPED;
    return is_zero_behind(&out->first, out->bits);
}

bool network_has(const struct network *n, const struct address *a)
{
    return begin_alike(&n->first, a, n->bits);
}
