#include "base/meter.h"

#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"

enum { THREADS_MAX = 1024 };

struct meter_cells {
    _Alignas(64) _Atomic int64_t of[METERS];
};

/* The one registry of the process. Cells are not taken from mem_*, which counts in them. */
static struct meter_cells shared;
static _Atomic(struct meter_cells *) registry[THREADS_MAX];
static _Thread_local struct meter_cells *mine;

void meter_open(void)
{
    struct meter_cells *cells = aligned_alloc(64, sizeof(*cells));
    int i;

    CHECK(!mine);
    if (!cells) /* out of memory: this thread counts in the shared ones */
        return;
    for (i = 0; i < METERS; i++)
        atomic_init(&cells->of[i], 0);
    for (i = 0; i < THREADS_MAX; i++) {
        struct meter_cells *none = NULL;

        if (atomic_compare_exchange_strong(&registry[i], &none, cells)) {
            mine = cells;
            return;
        }
    }
    free(cells); /* more threads than cells: they share */
}

void meter_close(void)
{
    struct meter_cells *cells = mine;
    int i;

    if (!cells)
        return;
    mine = NULL;
    for (i = 0; i < METERS; i++)
        atomic_fetch_add(&shared.of[i],
                         atomic_exchange_explicit(&cells->of[i], 0, memory_order_relaxed));
    /* The cells stay, zeroed, for a reader that may be in them: one line a thread ever started. */
}

void meter_add(enum meter m, int64_t n)
{
    struct meter_cells *cells = mine;

    if (!cells) {
        atomic_fetch_add_explicit(&shared.of[m], n, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&cells->of[m],
                          atomic_load_explicit(&cells->of[m], memory_order_relaxed) + n,
                          memory_order_relaxed);
}

int64_t meter_own(enum meter m)
{
    return atomic_load_explicit(mine ? &mine->of[m] : &shared.of[m], memory_order_relaxed);
}

int64_t meter_sum(enum meter m)
{
    int64_t sum = atomic_load_explicit(&shared.of[m], memory_order_relaxed);
    int i;

    for (i = 0; i < THREADS_MAX; i++) {
        struct meter_cells *cells = atomic_load_explicit(&registry[i], memory_order_acquire);

        if (!cells)
            break;
        sum += atomic_load_explicit(&cells->of[m], memory_order_relaxed);
    }
    return sum;
}
