#include "base/rand.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "base/check.h"

void rand_init(struct rand *r)
{
    r->left = 0;
}

static void refill(struct rand *r)
{
    size_t have = 0;

    while (have < sizeof(r->pool)) {
        ssize_t n = getrandom(r->pool + have, sizeof(r->pool) - have, 0);

        if (n > 0) /* else a signal came: once more */
            have += (size_t)n;
        else
            CHECK(errno == EINTR);
    }
    r->left = sizeof(r->pool);
}

void rand_fill(struct rand *r, void *out, size_t n)
{
    unsigned char *to = out;

    while (n) {
        size_t take;

        if (!r->left)
            refill(r);
        take = n < r->left ? n : r->left;
        r->left -= take;
        memcpy(to, r->pool + r->left, take);
        explicit_bzero(r->pool + r->left, take);
        to += take;
        n -= take;
    }
}

uint64_t rand_below(struct rand *r, uint64_t n)
{
    uint64_t limit, x;

    DCHECK(n);
    limit = UINT64_MAX - UINT64_MAX % n;
    do
        rand_fill(r, &x, sizeof(x));
    while (x >= limit);
    return x % n;
}
