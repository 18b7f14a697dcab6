/*
 * map - hash map of pointers to items that carry their own key. Open addressing, linear probing,
 *       backward-shift removal (no tombstones), grows and shrinks by two.
 *
 * Owner:   whoever embeds it; it never owns the items.      Thread: its owner's.
 * Bound:   none; the caller limits what it adds.
 * Cost:    16 bytes a slot, at most 3/4 full; find, add and remove O(1) expected.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    /* private to map.c */
    struct map_slot {
        uint64_t hash;
        void *item; /* null: free slot */
    } * slots;
    size_t len, cap;
};

/* Is item the one that key describes? Only asked when the hashes are equal. */
typedef bool map_same(const void *item, const void *key);

void map_init(struct map *m);
void map_fini(struct map *m);
void *map_find(const struct map *m, uint64_t hash, map_same *same, const void *key);

/* The caller has made sure by map_find that no equal item is in. */
void map_add(struct map *m, uint64_t hash, void *item);

/* Removes this very item (compared by address), which must be in. */
void map_remove(struct map *m, uint64_t hash, const void *item);

/* Walks all items in no order: start with *cursor = 0, null at the end. No change while walking. */
void *map_each(const struct map *m, size_t *cursor);
