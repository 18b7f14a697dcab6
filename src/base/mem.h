/*
 * mem - allocate or die; and a variant that may fail, for sizes that came from outside.
 *
 * Owner:   the caller, until mem_free.      Thread: any; free on any thread.
 * Bound:   mem_limit, for mem_try alone; who asks for more work compares mem_held() with it first.
 * Errors:  mem_try answers ERR_FULL. The others give the reserve back to the system and try again;
 *          only when that fails, too, do they abort with a message.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"
#include "base/meter.h"

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zero(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_resize(void *p, size_t size) __attribute__((returns_nonnull));
void mem_free(void *p);

/* What the allocator really gave for p. */
size_t mem_size(void *p);

/* ERR_FULL and *out null when the system has none left, or the process would be over its limit. */
MUST_USE enum err mem_try(size_t size, void **out);

/* The same whatever the limit: for what goes on, not for new work. */
MUST_USE enum err mem_ask(size_t size, void **out);

/* A copy with a terminating zero behind it. */
char *mem_copy(struct bytes b) __attribute__((malloc, returns_nonnull));

/* Zeroed struct. */
#define mem_new(type) ((type *)mem_zero(sizeof(type)))

/* Bytes this process holds through mem_*, all threads summed; exact when they are quiet. */
int64_t mem_held(void);

/* The budget of the process, for mem_try. 0: none. */
void mem_limit(int64_t bytes);

/* Blocks of 1 MiB and more go back to the system when they are freed; by main, before all else. Two
   of up to 2 MiB do so in the first mem_mend a second after the last of them was freed: until then
   whoever asks for as much has them, but mem_zero. They count as METER_MEM_SPARE and not as
   held. */
void mem_return_large(void);
bool mem_drop_spares(void); /* now; were there any? By main at the end, and who counts blocks */

/* Whatever this thread took and gave back since `before`, when its balance was that, belongs to
   one part of the server. */
static inline int64_t mem_balance(void)
{
    return meter_own(METER_MEM_HELD);
}

static inline void mem_book(enum meter part, int64_t before)
{
    meter_add(part, mem_balance() - before);
}

/* The reserve: address space held back for the moment the system refuses memory. While it is gone
   the process is short of memory and takes no new work. Opened and closed by main, before and after
   the other threads; without one nothing is ever short. */
void mem_reserve_open(size_t size);
void mem_reserve_close(void);

bool mem_is_short(void);

/* Frees large blocks that were not used again, and takes the reserve again if it is gone and the
   system grants it, at most once a second over all threads. Called every turn; costs next to
   nothing while there is nothing to do. */
void mem_mend(int64_t now_ms);
