#include "base/arena.h"

#include "base/mem.h"

enum { BLOCK_BYTES = 4096, KEEP_BYTES = 64 * 1024, ALIGN = 16 };

struct arena_block {
    struct arena_block *older;
    size_t size; /* of at */
    _Alignas(ALIGN) char at[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

static void free_all(struct arena_block *b)
{
    while (b) {
        struct arena_block *older = b->older;

        mem_free(b);
        b = older;
    }
}

void arena_fini(struct arena *a)
{
    free_all(a->block);
    arena_init(a);
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = a->block;

    a->used = 0;
    if (!keep)
        return;
    free_all(keep->older);
    keep->older = NULL;
    if (keep->size > KEEP_BYTES)
        arena_fini(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    char *p;

    if (!a->block || a->block->size - a->used < rounded) {
        size_t want = a->block ? a->block->size * 2 : BLOCK_BYTES;
        struct arena_block *b;

        if (want > KEEP_BYTES)
            want = KEEP_BYTES;
        if (want < rounded)
            want = rounded;
        b = mem_alloc(sizeof(*b) + want);
        b->older = a->block;
        b->size = want;
        a->block = b;
        a->used = 0;
    }
    p = a->block->at + a->used;
    a->used += rounded;
    return p;
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    char *p = arena_alloc(a, b.len + 1);

    if (b.len)
        memcpy(p, b.at, b.len);
    p[b.len] = 0;
    return bytes_of(p, b.len);
}
