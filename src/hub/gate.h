/*
 * gate - how many may be inside at once, over all threads.
 *
 * Owner:   the hub.      Thread: any; one atomic word, exact at the limit.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
    _Atomic uint32_t inside;
    _Atomic uint32_t limit; /* may change: below the number inside nobody is sent out */
};

static inline bool gate_enter(struct gate *g)
{
    uint32_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed);

    if (atomic_fetch_add_explicit(&g->inside, 1, memory_order_relaxed) < limit)
        return true;
    atomic_fetch_sub_explicit(&g->inside, 1, memory_order_relaxed);
    return false;
}

static inline void gate_leave(struct gate *g)
{
    atomic_fetch_sub_explicit(&g->inside, 1, memory_order_relaxed);
}

static inline bool gate_is_empty(const struct gate *g)
{
    return atomic_load_explicit(&g->inside, memory_order_acquire) == 0;
}

static inline bool gate_is_full(const struct gate *g)
{
    return atomic_load_explicit(&g->inside, memory_order_relaxed) >=
           atomic_load_explicit(&g->limit, memory_order_relaxed);
}
