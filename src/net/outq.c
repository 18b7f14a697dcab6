#include "net/outq.h"

#include <string.h>
#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"

enum { INLINE_SLOTS = 2, LARGE_BEHIND = 2 };

void outq_init(struct outq *q)
{
    *q = (struct outq){.cap = INLINE_SLOTS};
}

static struct frame *at(const struct outq *q, uint32_t i)
{
    uint32_t place = (q->head + i) & (q->cap - 1);

    return q->slots ? q->slots[place] : q->first[place];
}

static void count_dropped(const struct frame *f, enum meter why)
{
    if (f->class != FRAME_ANSWER)
        meter_add(why, 1);
}

static void shrink_if_empty(struct outq *q)
{
    if (q->len || !q->slots)
        return;
    mem_free(q->slots);
    q->slots = NULL;
    q->cap = INLINE_SLOTS;
    q->head = 0;
}

void outq_fini(struct outq *q)
{
    uint32_t i;

    for (i = 0; i < q->len; i++) {
        count_dropped(at(q, i), METER_DROPPED_CLOSED);
        frame_unref(at(q, i));
    }
    meter_add(METER_QUEUED_BYTES, -(int64_t)q->bytes);
    mem_free(q->slots);
    outq_init(q);
}

static void grow(struct outq *q)
{
    uint32_t cap = q->cap * 2, i;
    struct frame **slots = mem_alloc(cap * sizeof(struct frame *));

    for (i = 0; i < q->len; i++)
        slots[i] = at(q, i);
    mem_free(q->slots);
    q->slots = slots;
    q->cap = cap;
    q->head = 0;
}

/* Bytes not yet sent of the frame that the limit does not count. */
static size_t spared(const struct outq *q)
{
    return at(q, q->spared)->len - (q->spared ? 0 : q->head_sent);
}

/* Not asked of an empty queue, which takes anything. */
static bool takes(struct outq *q, size_t len, size_t limit)
{
    if (q->bytes - spared(q) + len <= limit)
        return true;
    if (len <= limit || q->bytes > LARGE_BEHIND * limit)
        return false;
    if (len >= spared(q))
        q->spared = q->len; /* the one about to be added */
    return true;
}

enum err outq_push(struct outq *q, struct frame *f, size_t limit)
{
    if (q->len && !takes(q, f->len, limit))
        return ERR_FULL;
    if (q->len == q->cap)
        grow(q);
    (q->slots ? q->slots : q->first)[(q->head + q->len) & (q->cap - 1)] = frame_ref(f);
    q->len++;
    q->bytes += f->len;
    meter_add(METER_QUEUED_BYTES, (int64_t)f->len);
    return ERR_OK;
}

void outq_cut(struct outq *q, size_t promised)
{
    size_t reach = q->head_sent + promised; /* from the head's first byte */
    uint32_t keep = 0;

    while (keep < q->len && reach) {
        size_t len = at(q, keep)->len;

        reach -= len < reach ? len : reach;
        keep++;
    }
    while (q->len > keep) {
        struct frame *f = at(q, q->len - 1);

        q->len--;
        q->bytes -= f->len;
        meter_add(METER_QUEUED_BYTES, -(int64_t)f->len);
        count_dropped(f, METER_DROPPED_QUEUE_FULL);
        frame_unref(f);
    }
    if (q->spared >= q->len)
        q->spared = 0;
    shrink_if_empty(q);
}

int outq_peek(const struct outq *q, struct iovec *iov, int max, size_t max_bytes)
{
    size_t skip = q->head_sent;
    int n = 0;

    while (n < max && (uint32_t)n < q->len && max_bytes) {
        struct frame *f = at(q, (uint32_t)n);
        size_t len = f->len - skip;

        if (len > max_bytes)
            len = max_bytes;
        iov[n] = (struct iovec){f->at + skip, len};
        max_bytes -= len;
        skip = 0;
        n++;
    }
    return n;
}

static void count_delivered(const struct frame *f)
{
    if (f->class == FRAME_PLAIN)
        meter_add(METER_DELIVERED_PLAIN, 1);
    else if (f->class == FRAME_ACKED)
        meter_add(METER_DELIVERED_ACKED, 1);
}

void outq_sent(struct outq *q, size_t n)
{
    q->bytes -= n;
    meter_add(METER_QUEUED_BYTES, -(int64_t)n);
    n += q->head_sent;
    while (q->len && n >= at(q, 0)->len) {
        struct frame *f = at(q, 0);

        n -= f->len;
        q->head = (q->head + 1) & (q->cap - 1);
        q->len--;
        if (q->spared)
            q->spared--;
        count_delivered(f);
        frame_unref(f);
    }
    q->head_sent = n;
    shrink_if_empty(q);
}
