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

static struct state begin(const struct hash_key *key)
{
    return (struct state){key->k0 ^ 0x736f6d6570736575U, key->k1 ^ 0x646f72616e646f6dU,
                          key->k0 ^ 0x6c7967656e657261U, key->k1 ^ 0x7465646279746573U};
}

static void take(struct state *s, uint64_t word)
{
    s->d ^= word;
    mix(s);
    s->a ^= word;
}

static uint64_t end(struct state *s)
{
    s->c ^= 0xff;
    mix(s);
    mix(s);
    mix(s);
    return s->a ^ s->b ^ s->c ^ s->d;
}

/* Takes the whole words and gives back what is left, up to seven bytes with zeros above. */
static uint64_t take_words(struct state *s, struct bytes b)
{
    size_t whole = b.len & ~(size_t)7, rest = b.len - whole, i;
    uint64_t word, last = 0;

    for (i = 0; i < whole; i += 8) {
        memcpy(&word, b.at + i, 8); /* little-endian machines only, like the rest of us */
        take(s, word);
    }
    if (rest && whole) {
        memcpy(&word, b.at + b.len - 8, 8);
        return word >> (8 * (8 - rest));
    }
    for (i = 0; i < rest; i++)
        last |= (uint64_t)(unsigned char)b.at[i] << (8 * i);
    return last;
}

uint64_t hash_bytes(const struct hash_key *key, struct bytes b)
{
    struct state s = begin(key);
    uint64_t last = take_words(&s, b);

    take(&s, last | (uint64_t)b.len << 56);
    return end(&s);
}

uint64_t hash_tuple(const struct hash_key *key, const struct bytes *parts, size_t count)
{
    struct state s = begin(key);
    size_t i;

    for (i = 0; i < count; i += 2)
        take(&s, parts[i].len | (i + 1 < count ? (uint64_t)parts[i + 1].len << 32 : 0));
    for (i = 0; i < count; i++) {
        uint64_t last = take_words(&s, parts[i]);

        if (parts[i].len % 8)
            take(&s, last);
    }
    return end(&s);
}
