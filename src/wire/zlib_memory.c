#include "wire/zlib_memory.h"

#include <string.h>
#include "base/mem.h"
#include "base/meter.h"

static bool is_over(const int64_t *budget)
{
    return *budget > 0 && mem_held() > *budget;
}

static void *take(const int64_t *budget, size_t size)
{
    void *p;

    if (is_over(budget) || mem_try(size, &p))
        return NULL;
    meter_add(METER_DEFLATE_HELD, (int64_t)mem_size(p));
    return p;
}

static void give(void *p)
{
    if (p)
        meter_add(METER_DEFLATE_HELD, -(int64_t)mem_size(p));
    mem_free(p);
}

static void *on_alloc(void *budget, unsigned items, unsigned size)
{
    return take(budget, (size_t)items * size);
}

static void on_free(void *budget, void *p)
{
    (void)budget;
    give(p);
}

enum err zlib_memory_new(int64_t *budget, z_stream **out)
{
    z_stream *z = take(budget, sizeof(*z));

    *out = z;
    if (!z)
        return ERR_FULL;
    memset(z, 0, sizeof(*z));
    z->zalloc = on_alloc;
    z->zfree = on_free;
    z->opaque = budget;
    return ERR_OK;
}

void zlib_memory_free(z_stream *z)
{
    give(z);
}
