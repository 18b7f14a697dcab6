#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the process; set before its threads start. */
static _Atomic int64_t limit;

static void *counted(void *p)
{
    meter_add(METER_MEM_HELD, (int64_t)malloc_usable_size(p));
    return p;
}

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "out of memory: %zu bytes refused\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (!p)
        out_of_memory(size);
    return counted(p);
}

void *mem_zero(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p)
        out_of_memory(size);
    return counted(p);
}

void *mem_resize(void *p, size_t size)
{
    int64_t before = p ? (int64_t)malloc_usable_size(p) : 0;
    void *moved = realloc(p, size ? size : 1);

    if (!moved)
        out_of_memory(size);
    meter_add(METER_MEM_HELD, (int64_t)malloc_usable_size(moved) - before);
    return moved;
}

void mem_free(void *p)
{
    if (!p)
        return;
    meter_add(METER_MEM_HELD, -(int64_t)malloc_usable_size(p));
    free(p);
}

size_t mem_size(void *p)
{
    return malloc_usable_size(p);
}

static bool is_over(size_t size)
{
    int64_t most = atomic_load_explicit(&limit, memory_order_relaxed);

    return most && (size > (uint64_t)most || mem_held() > most - (int64_t)size);
}

enum err mem_try(size_t size, void **out)
{
    *out = is_over(size) ? NULL : malloc(size ? size : 1);
    if (!*out)
        return ERR_FULL;
    counted(*out);
    return ERR_OK;
}

char *mem_copy(struct bytes b)
{
    char *p = mem_alloc(b.len + 1);

    if (b.len)
        memcpy(p, b.at, b.len);
    p[b.len] = 0;
    return p;
}

void mem_limit(int64_t bytes)
{
    atomic_store_explicit(&limit, bytes, memory_order_relaxed);
}

int64_t mem_held(void)
{
    return meter_sum(METER_MEM_HELD);
}
