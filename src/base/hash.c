#include "base/hash.h"

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

struct state {
    uint64_t a, b, c, d;
};

static void mix(struct state *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

uint64_t hash_bytes(const struct hash_key *key, struct bytes b)
{
    struct state s = {key->k0 ^ 0x736f6d6570736575U, key->k1 ^ 0x646f72616e646f6dU,
                      key->k0 ^ 0x6c7967656e657261U, key->k1 ^ 0x7465646279746573U};
    uint64_t word, last = (uint64_t)b.len << 56;
    size_t whole = b.len & ~(size_t)7, i;

    for (i = 0; i < whole; i += 8) {
        memcpy(&word, b.at + i, 8); /* little-endian machines only, like the rest of us */
        s.d ^= word;
        mix(&s);
        s.a ^= word;
    }
    for (i = whole; i < b.len; i++)
        last |= (uint64_t)(unsigned char)b.at[i] << (8 * (i - whole));
    s.d ^= last;
    mix(&s);
    s.a ^= last;
    s.c ^= 0xff;
    mix(&s);
    mix(&s);
    mix(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
