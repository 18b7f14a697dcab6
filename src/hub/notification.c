#include "hub/notification.h"

#include "base/mem.h"

struct notification *notification_new(const struct filter *f, struct frame *frame)
{
    size_t text = identity_bytes(&f->like), i;
    struct notification *n;
    struct identity *exclude;
    char *room;

    for (i = 0; i < f->excluded; i++)
        text += identity_bytes(&f->exclude[i]);
    text += sizeof(*n) + f->excluded * sizeof(*exclude);
    n = mem_zero(text);
    n->bytes = (uint32_t)text; /* limits on lists and dimensions keep it far below */
    exclude = (struct identity *)(void *)(n + 1);
    room = (char *)(exclude + f->excluded);
    atomic_init(&n->refs, 1);
    n->filter.like = identity_copy(&f->like, &room);
    n->filter.find_any = f->find_any;
    n->filter.exclude = exclude;
    n->filter.excluded = f->excluded;
    for (i = 0; i < f->excluded; i++)
        exclude[i] = identity_copy(&f->exclude[i], &room);
    n->frame = frame_ref(frame);
    return n;
}

size_t notification_bytes(const struct notification *n)
{
    return n->bytes + n->frame->len;
}

struct notification *notification_ref(struct notification *n)
{
    atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    return n;
}

void notification_unref(struct notification *n)
{
    if (!n || atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
        return;
    frame_unref(n->frame);
    mem_free(n);
}
