#include "flow/frame.h"

#include "base/check.h"
#include "base/mem.h"

static struct frame *fill(struct frame *f, enum frame_class class, size_t len)
{
    atomic_init(&f->refs, 1);
    f->class = class;
    f->len = len;
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

void frame_unref(struct frame *f)
{
    uint32_t before;

    if (!f)
        return;
    /* what other threads did with the frame comes before the free */
    before = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);
    DCHECK(before > 0);
    if (before == 1)
        mem_free(f);
}
