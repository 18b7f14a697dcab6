#include "hub/presence.h"

#include "base/mem.h"

enum { OVERFLOW = 256, LEAST = 1024 };

static uint64_t load(const struct presence *p, uint32_t i)
{
    return atomic_load_explicit(&p->slots[i], memory_order_relaxed);
}

static void store(struct presence *p, uint32_t i, uint64_t hash)
{
    atomic_store_explicit(&p->slots[i], hash, memory_order_release);
}

/* 0 marks a free slot. */
static uint64_t key_of(uint64_t hash)
{
    return hash ? hash : 1;
}

/* Which shard a client is on follows from its hash modulo their number: other bits are used here.
 */
static uint32_t place_of(const struct presence *p, uint64_t key)
{
    return (uint32_t)hash_mix(key, 0) & p->mask;
}

void presence_open(struct presence *p, uint32_t most)
{
    uint32_t size = LEAST;

    while (size / 2 < most && size < UINT32_MAX / 2)
        size *= 2;
    *p = (struct presence){.mask = size - 1, .size = size + OVERFLOW};
    p->slots = mem_zero(p->size * sizeof(*p->slots));
}

void presence_close(struct presence *p)
{
    mem_free(p->slots);
    *p = (struct presence){0};
}

void presence_add(struct presence *p, uint64_t hash)
{
    uint64_t key = key_of(hash);
    uint32_t i = place_of(p, key);

    while (i < p->size && load(p, i))
        i++;
    if (i >= p->size - 1 ||
        p->used >= p->mask) { /* the last slot stays free: it ends every search */
        atomic_store(&p->is_full, true);
        return;
    }
    store(p, i, key);
    p->used++;
}

/* Those behind the hole that would be found at it or before move up, until a free slot ends the
 * run. */
static void close_hole(struct presence *p, uint32_t hole)
{
    uint32_t i;

    for (i = hole + 1; i < p->size && load(p, i); i++) {
        uint64_t key = load(p, i);

        if (place_of(p, key) > hole)
            continue;
        store(p, hole, key);
        hole = i;
    }
    store(p, hole, 0);
}

void presence_remove(struct presence *p, uint64_t hash)
{
    uint64_t key = key_of(hash);
    uint32_t i = place_of(p, key);

    while (load(p, i) && load(p, i) != key)
        i++;
    if (!load(p, i))
        return;
    atomic_fetch_add_explicit(&p->version, 1, memory_order_acq_rel);
    close_hole(p, i);
    atomic_fetch_add_explicit(&p->version, 1, memory_order_acq_rel);
    p->used--;
}

static bool look(const struct presence *p, uint64_t key)
{
    uint32_t i = place_of(p, key);
    uint64_t there;

    for (; i < p->size && (there = atomic_load_explicit(&p->slots[i], memory_order_acquire)); i++)
        if (there == key)
            return true;
    return false;
}

bool presence_has(const struct presence *p, uint64_t hash)
{
    uint64_t key = key_of(hash);
    uint32_t before, after;

    do {
        before = atomic_load_explicit(&p->version, memory_order_acquire);
        if (look(p, key))
            return true;
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&p->version, memory_order_relaxed);
    } while (before != after || (before & 1));
    return atomic_load(&p->is_full);
}

uint32_t presence_list(const struct presence *p, uint32_t *cursor, uint64_t *out, uint32_t most)
{
    uint32_t i = *cursor < p->size ? *cursor : p->size, count = 0;

    while (i > 0 && count < most) {
        uint64_t key = atomic_load_explicit(&p->slots[--i], memory_order_acquire);

        if (key)
            out[count++] = key;
    }
    *cursor = i;
    return count;
}

static uint32_t counter_of(int dimension, uint64_t hash)
{
    return (uint32_t)hash_mix(hash, (uint64_t)dimension) % PRESENCE_VALUES;
}

void value_counts_add(struct value_counts *v, int dimension, uint64_t hash, int n)
{
    atomic_fetch_add_explicit(&v->at[counter_of(dimension, hash)], (uint32_t)n,
                              memory_order_acq_rel);
}

bool value_counts_may_match(const struct value_counts *v, const struct hash_key *key,
                            const struct filter *f)
{
    int d;

    for (d = 0; d < DIMENSIONS; d++) {
        struct bytes text = f->like.dim[d];

        if (text.len && !atomic_load_explicit(&v->at[counter_of(d, hash_bytes(key, text))],
                                              memory_order_acquire))
            return false;
    }
    return true;
}
