#include "base/rand.h"

#include "fake.h"

static uint64_t state = 1;

void fake_rand_seed(uint64_t seed)
{
    state = seed * 2 + 1;
}

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15U);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void rand_init(struct rand *r)
{
    r->left = 0;
}

void rand_fill(struct rand *r, void *out, size_t n)
{
    unsigned char *to = out;

    (void)r;
    while (n--)
        *to++ = (unsigned char)draw();
}

uint64_t rand_below(struct rand *r, uint64_t n)
{
    (void)r;
    return draw() % n;
}
