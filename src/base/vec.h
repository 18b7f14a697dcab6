/*
 * vec - growable array of pointers.
 *
 * Owner:   whoever embeds it; {0} is a valid empty one. It never owns the items.
 * Thread:  its owner's.      Bound: none here.      Cost: push and swap-remove O(1).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct vec {
    void **at;
    uint32_t len, cap;
};

void vec_fini(struct vec *v);
void vec_push(struct vec *v, void *item);

/* Takes the item at i out by moving the last one there; returns the moved one, or null if i was
   the last. Gives memory back when a quarter full. */
void *vec_swap_remove(struct vec *v, uint32_t i);
