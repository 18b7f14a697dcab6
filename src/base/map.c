#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_CAP = 8 };

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_fini(struct map *m)
{
    mem_free(m->slots);
    map_init(m);
}

void *map_find(const struct map *m, uint64_t hash, map_same *same, const void *key)
{
    size_t mask = m->cap - 1, i;

    if (!m->len)
        return NULL;
    for (i = hash & mask; m->slots[i].item; i = (i + 1) & mask)
        if (m->slots[i].hash == hash && same(m->slots[i].item, key))
            return m->slots[i].item;
    return NULL;
}

static void put(struct map *m, uint64_t hash, void *item)
{
    size_t mask = m->cap - 1, i = hash & mask;

    while (m->slots[i].item)
        i = (i + 1) & mask;
    m->slots[i] = (struct map_slot){hash, item};
}

static void resize(struct map *m, size_t cap)
{
    struct map_slot *old = m->slots;
    size_t old_cap = m->cap, i;

    m->slots = mem_zero(cap * sizeof(*m->slots));
    m->cap = cap;
    for (i = 0; i < old_cap; i++)
        if (old[i].item)
            put(m, old[i].hash, old[i].item);
    mem_free(old);
}

void map_add(struct map *m, uint64_t hash, void *item)
{
    if ((m->len + 1) * 4 > m->cap * 3)
        resize(m, m->cap ? m->cap * 2 : FIRST_CAP);
    put(m, hash, item);
    m->len++;
}

void map_remove(struct map *m, uint64_t hash, const void *item)
{
    size_t mask = m->cap - 1, hole = hash & mask, i;

    CHECK(m->len);
    while (m->slots[hole].item != item) {
        CHECK(m->slots[hole].item);
        hole = (hole + 1) & mask;
    }
    /* Close the gap: whoever may stand nearer to its own place moves into the hole. */
    for (i = (hole + 1) & mask; m->slots[i].item; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){0};
    m->len--;
    if (m->cap > FIRST_CAP && m->len * 8 < m->cap)
        resize(m, m->cap / 2);
}

void *map_each(const struct map *m, size_t *cursor)
{
    while (*cursor < m->cap) {
        void *item = m->slots[(*cursor)++].item;

        if (item)
            return item;
    }
    return NULL;
}
