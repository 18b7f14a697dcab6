#include "hub/bitmap.h"

#include <string.h>
#include "base/mem.h"

static uint32_t blocks_for(uint32_t places)
{
    return places / BITMAP_BLOCK + (places % BITMAP_BLOCK != 0);
}

static size_t bytes_of_blocks(uint32_t blocks)
{
    return (size_t)blocks * BITMAP_WORDS * sizeof(uint64_t);
}

void bitmap_init(struct bitmap *b, uint32_t places)
{
    b->blocks = blocks_for(places);
    b->words = mem_zero(bytes_of_blocks(b->blocks));
}

void bitmap_fini(struct bitmap *b)
{
    mem_free(b->words);
    *b = (struct bitmap){0};
}

void bitmap_grow(struct bitmap *b, uint32_t places)
{
    uint32_t blocks = blocks_for(places);

    if (blocks <= b->blocks)
        return;
    b->words = mem_resize(b->words, bytes_of_blocks(blocks));
    memset(b->words + (size_t)b->blocks * BITMAP_WORDS, 0, bytes_of_blocks(blocks - b->blocks));
    b->blocks = blocks;
}

/* Of fixed length and without a branch inside, so that compilers use wide registers. */
static uint64_t intersect(const uint64_t *a, const uint64_t *b, uint64_t common[BITMAP_WORDS])
{
    uint64_t any = 0;
    int i;

    for (i = 0; i < BITMAP_WORDS; i++) {
        common[i] = a[i] & b[i];
        any |= common[i];
    }
    return any;
}

bool bitmap_common(const struct bitmap *const *of, int count, uint32_t *block,
                   uint64_t common[BITMAP_WORDS])
{
    uint32_t blocks = of[0]->blocks;
    int i;

    DCHECK(count >= 2);
    for (i = 1; i < count; i++)
        if (of[i]->blocks < blocks)
            blocks = of[i]->blocks;
    for (; *block < blocks; ++*block) {
        size_t at = (size_t)*block * BITMAP_WORDS;
        uint64_t any = intersect(of[0]->words + at, of[1]->words + at, common);

        for (i = 2; any && i < count; i++)
            any = intersect(common, of[i]->words + at, common);
        if (any)
            return true;
    }
    return false;
}
