#include "flow/frame.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/meter.h"

static struct frame *fill(struct frame *f, enum frame_class class, size_t len)
{
    atomic_init(&f->refs, 1);
    f->class = (uint8_t) class;
    f->form = 0;
    f->len = len;
    atomic_init(&f->twin, NULL);
    meter_add(METER_MEM_FRAMES, (int64_t)(sizeof(*f) + len));
    return f;
}

struct frame *frame_new(enum frame_class class, size_t len)
{
    CHECK(len <= SIZE_MAX - sizeof(struct frame));
    return fill(mem_alloc(sizeof(struct frame) + len), class, len);
}

enum err frame_try(enum frame_class class, size_t len, struct frame **out)
{
    void *p;
    enum err e;

    *out = NULL;
    if (len > SIZE_MAX - sizeof(struct frame))
        return ERR_FULL;
    e = mem_try(sizeof(struct frame) + len, &p);
    if (e)
        return e;
    *out = fill(p, class, len);
    return ERR_OK;
}

struct frame *frame_ref(struct frame *f)
{
    /* whoever counts up holds a count already: nothing to order */
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

static bool is_last(struct frame *f)
{
    /* what other threads did with the frame comes before the free */
    uint32_t before = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);

    DCHECK(before > 0);
    return before == 1;
}

/* The row of twins behind it too, up to one that somebody else holds: at most one for each form.
   Apart: most counts given back are not the last. */
__attribute__((noinline)) static void free_row(struct frame *f)
{
    struct frame *twin;

    do {
        twin = atomic_load_explicit(&f->twin, memory_order_relaxed);
        meter_add(METER_MEM_FRAMES, -(int64_t)(sizeof(*f) + f->len));
        mem_free(f);
        f = twin;
    } while (f && is_last(f));
}

void frame_unref(struct frame *f)
{
    if (f && is_last(f))
        free_row(f);
}

struct frame *frame_twin(const struct frame *f, uint8_t form)
{
    struct frame *twin = atomic_load_explicit(&f->twin, memory_order_acquire);

    while (twin && twin->form != form)
        twin = atomic_load_explicit(&twin->twin, memory_order_acquire);
    return twin;
}

struct frame *frame_add_twin(struct frame *f, struct frame *twin)
{
    struct frame *next = NULL;

    while (!atomic_compare_exchange_strong_explicit(&f->twin, &next, twin, memory_order_acq_rel,
                                                    memory_order_acquire)) {
        if (next->form == twin->form) {
            frame_unref(twin);
            return next;
        }
        f = next;
        next = NULL;
    }
    return twin;
}
