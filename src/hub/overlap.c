#include "hub/overlap.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "hub/bitmap.h"
#include "hub/index.h"
#include "hub/value.h"

enum {
    MOST = 256,   /* bitmaps, of all dimensions */
    LEAST = 256,  /* members: fewer are walked as fast */
    SPARSE = 256, /* clients for each member: with more, too, as a bitmap is read in whole */
    AHEAD = 8,    /* clients asked from memory before their turn */
};

struct overlap_slot {
    struct value *of;
    struct bitmap map;
    uint64_t used; /* the last select that needed it */
};

static struct overlap_slot *slot_of(const struct overlap *o, const struct value *v)
{
    return &o->slots[v->bitmap - 1];
}

void overlap_fini(struct overlap *o)
{
    CHECK(o->len == 0);
    mem_free(o->slots);
    *o = (struct overlap){0};
}

bool overlap_pays(const struct value *smallest, uint32_t clients)
{
    return smallest->count >= LEAST && smallest->count >= clients / SPARSE;
}

/* Half of what it takes to get a bitmap, so that one who comes and goes cannot have it made again
   and again. */
static bool has_too_few(const struct value *v, uint32_t clients)
{
    return v->count < LEAST / 2 || v->count < clients / SPARSE / 2;
}

static bool is_too_long(const struct bitmap *map, uint32_t clients)
{
    return bitmap_covers(map, 2 * (clients + BITMAP_BLOCK));
}

/* With room for those who come next. */
static uint32_t places_for(uint32_t clients)
{
    return clients + clients / 8;
}

static void drop(struct overlap *o, struct overlap_slot *s)
{
    s->of->bitmap = 0;
    bitmap_fini(&s->map);
    *s = o->slots[--o->len];
    if (s != &o->slots[o->len])
        s->of->bitmap = (uint32_t)(s - o->slots) + 1;
}

static struct overlap_slot *oldest(const struct overlap *o)
{
    struct overlap_slot *old = o->slots;
    uint32_t i;

    for (i = 1; i < o->len; i++)
        if (o->slots[i].used < old->used)
            old = &o->slots[i];
    return old;
}

static void make(struct overlap *o, struct value *v, uint32_t clients)
{
    struct client *const *members = value_members(v);
    int64_t before = mem_balance();
    struct overlap_slot *s;
    uint32_t i;

    if (!o->slots)
        o->slots = mem_alloc(MOST * sizeof(*o->slots));
    if (o->len == MOST)
        drop(o, oldest(o));
    s = &o->slots[o->len++];
    s->of = v;
    v->bitmap = o->len;
    bitmap_init(&s->map, places_for(clients));
    mem_book(METER_MEM_CONNECTIONS, before);
    for (i = 0; i < v->count; i++) {
        if (i + AHEAD < v->count)
            __builtin_prefetch(members[i + AHEAD]);
        bitmap_set(&s->map, members[i]->at_all);
    }
}

static void append_block(const struct vec *all, uint32_t block, const uint64_t common[BITMAP_WORDS],
                         struct vec *out)
{
    void *const *at = all->at + (size_t)block * BITMAP_BLOCK;
    unsigned filled = 0; /* one bit for each word; most are empty when few match */
    int i;

    for (i = 0; i < BITMAP_WORDS; i++)
        filled |= (unsigned)(common[i] != 0) << i;
    for (; filled; filled &= filled - 1) {
        int w = __builtin_ctz(filled);
        uint64_t bits = common[w];

        for (; bits; bits &= bits - 1)
            vec_push(out, at[w * 64 + __builtin_ctzll(bits)]);
    }
}

void overlap_select(struct overlap *o, struct value *const *of, int count, const struct vec *all,
                    struct vec *out)
{
    const struct bitmap *maps[DIMENSIONS];
    uint64_t common[BITMAP_WORDS];
    uint32_t block;
    int i;

    o->now++;
    for (i = 0; i < count; i++) {
        if (!of[i]->bitmap)
            make(o, of[i], all->len);
        slot_of(o, of[i])->used = o->now;
    }
    for (i = 0; i < count; i++)
        maps[i] = &slot_of(o, of[i])->map;
    for (block = 0; bitmap_common(maps, count, &block, common); block++)
        append_block(all, block, common, out);
}

void overlap_came(struct overlap *o, struct value *v, uint32_t place, uint32_t clients)
{
    struct overlap_slot *s;

    if (!v->bitmap)
        return;
    s = slot_of(o, v);
    if (!bitmap_covers(&s->map, place)) {
        if (has_too_few(v, clients)) {
            drop(o, s);
            return;
        }
        bitmap_grow(&s->map, places_for(clients));
    }
    bitmap_set(&s->map, place);
}

void overlap_left(struct overlap *o, struct value *v, uint32_t place, uint32_t clients)
{
    struct overlap_slot *s;

    if (!v->bitmap)
        return;
    s = slot_of(o, v);
    if (has_too_few(v, clients) || is_too_long(&s->map, clients))
        drop(o, s);
    else
        bitmap_clear(&s->map, place);
}

void overlap_moved(struct overlap *o, const struct value *v, uint32_t from, uint32_t to)
{
    struct overlap_slot *s;

    if (!v->bitmap)
        return;
    s = slot_of(o, v);
    bitmap_clear(&s->map, from);
    bitmap_set(&s->map, to);
}
