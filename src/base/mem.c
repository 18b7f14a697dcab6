#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "base/log.h"
#include "base/meter.h"

#ifdef __has_feature
#define HAS_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

/* clang's header is in a package that only the sanitizers need. */
#if HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* Of the process; set before its threads start. */
static _Atomic int64_t limit;

enum {
    TRIES = 10, /* after the reserve is gone, a millisecond apart */
    TRY_APART_NS = 1000 * 1000,
    MEND_APART_MS = 1000,
    LARGE_BYTES = 1024 * 1024,
    PAGE_BYTES = 4096,
    SPARES = 2,
    SPARE_MS = 1000, /* after the last one was freed */
};

static void *counted(void *p)
{
    meter_add(METER_MEM_HELD, (int64_t)malloc_usable_size(p));
    return p;
}

/* malloc learns by itself to keep blocks as large as the largest freed, and mixes them with small
   ones: a message of 2 MB was there seven times. A page fault for each of its pages is the price.
 */
void mem_return_large(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BYTES);
}

/* ---- spares ---- */

/* Large blocks that were freed wait here for the next one: fresh pages cost two microseconds each,
   half a millisecond for a block, in which everybody else waits. */
static struct {
    _Atomic(void *) of[SPARES]; /* null: none */
    _Atomic int64_t end_ms;     /* when they go back to the system; 0: not known yet */
} spares;

static bool is_large(size_t size)
{
    return size >= LARGE_BYTES && size < 2 * LARGE_BYTES + PAGE_BYTES;
}

static bool keep_spare(void *p, size_t size)
{
    void *none = NULL;

    ASAN_POISON_MEMORY_REGION(p, size);
    for (int i = 0; i < SPARES; i++, none = NULL)
        if (atomic_compare_exchange_strong(&spares.of[i], &none, p)) {
            meter_add(METER_MEM_SPARE, (int64_t)size);
            atomic_store(&spares.end_ms, 0);
            return true;
        }
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return false;
}

static void *take(int i)
{
    void *p = atomic_exchange(&spares.of[i], NULL);
    size_t size;

    if (!p)
        return NULL;
    size = malloc_usable_size(p);
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    meter_add(METER_MEM_SPARE, -(int64_t)size);
    return p;
}

/* At least so large; null: there is none. One that is too small makes room for what is used now. */
static void *take_spare(size_t size)
{
    void *p = NULL;

    for (int i = 0; i < SPARES && !p; i++)
        p = take(i);
    if (p && malloc_usable_size(p) < size) {
        free(p);
        return NULL;
    }
    return p;
}

bool mem_drop_spares(void)
{
    bool had_any = false;

    for (int i = 0; i < SPARES; i++) {
        void *p = take(i);

        if (!p)
            continue;
        free(p);
        had_any = true;
    }
    return had_any;
}

static void mind_spares(int64_t now_ms)
{
    int64_t end_ms = atomic_load_explicit(&spares.end_ms, memory_order_relaxed);

    if (end_ms == 0) {
        atomic_store(&spares.end_ms, now_ms + SPARE_MS);
    } else if (now_ms >= end_ms) {
        atomic_store(&spares.end_ms, INT64_MAX);
        mem_drop_spares();
    }
}

/* ---- the reserve ---- */

/* Mapped, not from malloc: its freeing would teach malloc that blocks so large are usual. */
static struct {
    _Atomic(void *) at; /* null: not there */
    _Atomic bool is_gone;
    _Atomic int64_t mend_at_ms;
    size_t size;
} reserve;

/* Never touched, so that it costs address space and no memory. */
static void *map_reserve(void)
{
    void *p = mmap(NULL, reserve.size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void mem_reserve_open(size_t size)
{
    void *p;

    reserve.size = size;
    p = map_reserve();
    atomic_store(&reserve.at, p);
    atomic_store(&reserve.is_gone, !p);
}

void mem_reserve_close(void)
{
    void *p = atomic_exchange(&reserve.at, NULL);

    if (p)
        munmap(p, reserve.size);
    atomic_store(&reserve.is_gone, false);
}

bool mem_is_short(void)
{
    return atomic_load_explicit(&reserve.is_gone, memory_order_relaxed);
}

/* Whoever comes second finds the flag set, maybe before the bytes are given back: so it tries more
   than once. */
static void give_reserve_up(void)
{
    void *p = atomic_exchange(&reserve.at, NULL);

    if (!p)
        return;
    atomic_store(&reserve.is_gone, true);
    munmap(p, reserve.size);
    meter_add(METER_MEM_SHORT, 1);
    log_warn("out of memory",
             LOG_STR("hint", "the system refuses memory: the reserve is used, new work is refused "
                             "until the system grants it again"),
             LOG_NUM("reserve", reserve.size));
}

void mem_mend(int64_t now_ms)
{
    int64_t due = atomic_load_explicit(&reserve.mend_at_ms, memory_order_relaxed);
    void *p;

    mind_spares(now_ms);
    if (!mem_is_short() || now_ms < due ||
        !atomic_compare_exchange_strong(&reserve.mend_at_ms, &due, now_ms + MEND_APART_MS))
        return;
    p = map_reserve();
    if (!p)
        return;
    atomic_store(&reserve.is_gone, false);
    atomic_store(&reserve.at, p);
    log_info("memory is back", LOG_NUM("reserve", reserve.size));
}

/* ---- allocation ---- */

static _Noreturn void out_of_memory(size_t size)
{
    log_fatal("memory refused", LOG_NUM("bytes", size),
              LOG_STR("hint", "the system refuses it, and no reserve is left"));
    abort();
}

/* The system refused once. realloc is all three: of null, and what it adds is zeroed by the caller.
   Waiting blocks the thread for a moment, instead of ending the process. */
static void *insist(void *p, size_t size)
{
    static const struct timespec apart = {0, TRY_APART_NS};
    void *moved;
    int i;

    mem_drop_spares();
    give_reserve_up();
    for (i = 0; i < TRIES; i++) {
        moved = realloc(p, size);
        if (moved)
            return moved;
        nanosleep(&apart, NULL);
    }
    out_of_memory(size);
}

/* Null: the system refused. */
static void *spare_or_new(size_t size)
{
    void *p = is_large(size) ? take_spare(size) : NULL;

    return p ? p : malloc(size ? size : 1);
}

void *mem_alloc(size_t size)
{
    void *p = spare_or_new(size);

    if (!p)
        p = insist(NULL, size ? size : 1);
    return counted(p);
}

void *mem_zero(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p) {
        p = insist(NULL, size ? size : 1);
        memset(p, 0, size);
    }
    return counted(p);
}

/* A new block's first pages at once: a fault for each takes twice as long. */
static void *move_to_large(void *p, size_t before, size_t size)
{
    char *moved = take_spare(size);
    size_t off;

    if (!moved) {
        moved = malloc(size);
        if (!moved)
            return NULL;
        off = (uintptr_t)moved % PAGE_BYTES;
        (void)madvise(moved - off, before + off,
                      MADV_POPULATE_WRITE); /* in vain before Linux 5.14 */
    }
    memcpy(moved, p, before);
    free(p);
    return moved;
}

void *mem_resize(void *p, size_t size)
{
    int64_t before = p ? (int64_t)malloc_usable_size(p) : 0;
    bool moves = is_large(size) && before >= LARGE_BYTES / 4 && before < LARGE_BYTES;
    void *moved = moves ? move_to_large(p, (size_t)before, size) : realloc(p, size ? size : 1);

    if (!moved)
        moved = insist(p, size ? size : 1);
    meter_add(METER_MEM_HELD, (int64_t)malloc_usable_size(moved) - before);
    return moved;
}

void mem_free(void *p)
{
    size_t size;

    if (!p)
        return;
    size = malloc_usable_size(p);
    meter_add(METER_MEM_HELD, -(int64_t)size);
    if (!is_large(size) || !keep_spare(p, size))
        free(p);
}

size_t mem_size(void *p)
{
    return malloc_usable_size(p);
}

static bool is_over(size_t size)
{
    int64_t most = atomic_load_explicit(&limit, memory_order_relaxed);

    return most && (size > (uint64_t)most || mem_held() > most - (int64_t)size);
}

enum err mem_ask(size_t size, void **out)
{
    *out = spare_or_new(size);
    if (!*out && mem_drop_spares())
        *out = spare_or_new(size);
    if (!*out)
        return ERR_FULL;
    counted(*out);
    return ERR_OK;
}

enum err mem_try(size_t size, void **out)
{
    *out = NULL;
    return is_over(size) ? ERR_FULL : mem_ask(size, out);
}

char *mem_copy(struct bytes b)
{
    char *p = mem_alloc(b.len + 1);

    if (b.len)
        memcpy(p, b.at, b.len);
    p[b.len] = 0;
    return p;
}

void mem_limit(int64_t bytes)
{
    atomic_store_explicit(&limit, bytes, memory_order_relaxed);
}

int64_t mem_held(void)
{
    return meter_sum(METER_MEM_HELD);
}
