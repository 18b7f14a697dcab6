#include "cluster/stream.h"

#include "base/check.h"
#include "base/mem.h"

enum { RING_FIRST = 16, RING_KEEP = 256, LENGTH_BYTES = 4 };

/* ---- pieces ---- */

struct receipt *receipt_ref(struct receipt *r)
{
    if (r)
        r->refs++;
    return r;
}

void receipt_unref(struct receipt *r)
{
    if (r && --r->refs == 0)
        r->on_all(r);
}

struct piece *piece_new(const struct envelope *e, struct receipt *r)
{
    size_t len = envelope_size(e);
    struct piece *p = mem_alloc(sizeof(*p) + len);

    p->refs = 1;
    p->len = (uint32_t)len; /* ENVELOPE_BYTES */
    p->receipt = receipt_ref(r);
    envelope_put(p->at, e);
    return p;
}

struct piece *piece_ref(struct piece *p)
{
    p->refs++;
    return p;
}

void piece_unref(struct piece *p)
{
    if (!p || --p->refs)
        return;
    receipt_unref(p->receipt);
    mem_free(p);
}

/* ---- the ring ---- */

void stream_init(struct stream *s, uint32_t epoch, size_t window_bytes)
{
    *s = (struct stream){.epoch = epoch, .window_bytes = window_bytes};
}

void stream_inherit(struct stream *s, const struct stream *earlier)
{
    s->their_epoch = earlier->their_epoch;
    s->expected = s->told = earlier->expected;
}

/* The slot of what was pushed `nth` after the oldest held. A number's slot does not change while
   the ring keeps its size. */
static struct piece **slot(const struct stream *s, uint32_t nth)
{
    return &s->ring[(s->first + nth) & (s->ring_size - 1)];
}

static void grow(struct stream *s)
{
    struct stream old = *s;

    s->ring_size = old.ring_size ? old.ring_size * 2 : RING_FIRST;
    CHECK(s->ring_size > 0); /* 2^31 items of PIECE_EXTRA bytes are no window */
    s->ring = mem_alloc(s->ring_size * sizeof(struct piece *));
    for (uint32_t i = 0; i < s->count; i++)
        *slot(s, i) = *slot(&old, i);
    mem_free(old.ring);
}

/* The oldest leaves; the caller gets its count. */
static struct piece *pop(struct stream *s)
{
    struct piece *p = *slot(s, 0);

    s->bytes -= p->len + PIECE_EXTRA;
    s->first++;
    s->count--;
    if (s->sent) {
        s->sent--;
        s->sent_bytes -= p->len;
    }
    if (s->known)
        s->known--;
    return p;
}

/* A ring that was large once is given back when the other side has everything. */
static void shrink(struct stream *s)
{
    if (s->count || s->ring_size <= RING_KEEP)
        return;
    mem_free(s->ring);
    s->ring = NULL;
    s->ring_size = 0;
}

static void drop(struct stream *s, uint64_t number)
{
    while (s->count && s->first < number)
        piece_unref(pop(s));
    shrink(s);
}

void stream_fini(struct stream *s)
{
    drop(s, s->first + s->count);
    mem_free(s->ring);
    *s = (struct stream){0};
}

/* ---- outgoing ---- */

void stream_push(struct stream *s, struct piece *p)
{
    if (s->count == s->ring_size)
        grow(s);
    *slot(s, s->count) = piece_ref(p);
    s->count++;
    s->bytes += p->len + PIECE_EXTRA;
}

bool stream_is_full(const struct stream *s)
{
    return s->bytes >= s->window_bytes;
}

bool stream_has_unsent(const struct stream *s)
{
    return s->sent < s->count;
}

size_t stream_unsent_bytes(const struct stream *s)
{
    return s->bytes - (size_t)s->count * PIECE_EXTRA - s->sent_bytes;
}

uint32_t stream_take(struct stream *s, size_t most, struct buf *out, uint64_t *first,
                     int64_t now_ms)
{
    uint32_t from = s->sent;
    size_t taken = 0;

    *first = s->first + from;
    while (s->sent < s->count) {
        struct piece *p = *slot(s, s->sent);

        if (taken && (taken >= most || p->len > most - taken))
            break;
        buf_add(out, bytes_of(p->at, p->len));
        taken += p->len;
        s->sent_bytes += p->len;
        s->sent++;
    }
    if (from == 0 && s->sent)
        s->since_ms = now_ms;
    if (s->known < s->sent)
        s->known = s->sent;
    return s->sent - from;
}

void stream_published(struct stream *s)
{
    s->unanswered++;
}

void stream_answered(struct stream *s, uint64_t end, bool may_be_heard)
{
    s->unanswered--;
    if (may_be_heard && end > s->heard)
        s->heard = end;
}

void stream_doubt(struct stream *s, uint64_t first, uint64_t end)
{
    bool none = s->doubt[0] == s->doubt[1];

    if (first == end)
        return;
    if (none || first < s->doubt[0])
        s->doubt[0] = first;
    if (none || end > s->doubt[1])
        s->doubt[1] = end;
}

/* Of the oldest held. */
static bool may_be_read(const struct stream *s)
{
    return s->known > 0 &&
           (s->first < s->heard || (s->first >= s->doubt[0] && s->first < s->doubt[1]));
}

enum err stream_confirm(struct stream *s, uint64_t seen, int64_t now_ms)
{
    if (seen <= s->first)
        return ERR_OK;
    if (seen - s->first > s->known)
        return ERR_BAD;
    drop(s, seen);
    s->since_ms = now_ms;
    return ERR_OK;
}

void stream_rewind(struct stream *s)
{
    s->sent = 0;
    s->sent_bytes = 0;
}

int64_t stream_waits_ms(const struct stream *s, int64_t now_ms)
{
    return s->sent ? now_ms - s->since_ms : 0;
}

void stream_forget(struct stream *s,
                   void (*each)(void *context, struct bytes item, bool may_be_read,
                                struct receipt *waits),
                   void *context)
{
    while (s->count) {
        bool read = may_be_read(s);
        struct piece *p = pop(s);

        each(context, bytes_of(p->at + LENGTH_BYTES, p->len - LENGTH_BYTES), read, p->receipt);
        piece_unref(p);
    }
    shrink(s);
}

void stream_move(struct stream *s, struct stream *from)
{
    while (from->count) {
        struct piece *p = pop(from);

        stream_push(s, p);
        piece_unref(p);
    }
    shrink(from);
}

/* ---- incoming ---- */

static void owe(struct stream *s, int64_t now_ms)
{
    if (s->owes_ack)
        return;
    s->owes_ack = true;
    s->owes_since_ms = now_ms;
}

static void see_gap(struct stream *s, int64_t now_ms)
{
    if (!s->has_asked || now_ms - s->asked_ms >= STREAM_ASK_APART_MS)
        s->misses = true;
}

/* What is below `oldest` came to this life before it forgot the other one, or never was. */
static void begin(struct stream *s, const struct batch *b)
{
    s->their_epoch = b->epoch;
    s->expected = s->told = b->oldest;
    s->owes_ack = false;
    s->misses = false;
    s->has_asked = false;
}

static enum err read_seen(struct stream *s, const struct batch *b, int64_t now_ms)
{
    enum err e = stream_confirm(s, b->seen, now_ms);

    if (!e && b->flags & BATCH_MISSING && b->seen == s->first)
        stream_rewind(s);
    return e;
}

enum err stream_read(struct stream *s, const struct batch *b, int64_t now_ms)
{
    enum err e = ERR_OK;

    if (b->epoch < s->their_epoch)
        return ERR_GONE;
    if (b->epoch == 0 || b->first < b->oldest)
        return ERR_BAD;
    if (b->to_epoch == s->epoch)
        e = read_seen(s, b, now_ms);
    if (e)
        return e;
    if (b->epoch > s->their_epoch)
        begin(s, b);
    if (b->items.len == 0 && b->first > s->expected)
        see_gap(s, now_ms);
    return ERR_OK;
}

enum stream_verdict stream_accept(struct stream *s, uint64_t number, int64_t now_ms)
{
    if (number > s->expected) {
        see_gap(s, now_ms);
        return STREAM_GAP;
    }
    owe(s, now_ms);
    if (number < s->expected)
        return STREAM_OLD;
    s->expected++;
    s->misses = false;
    s->has_asked = false;
    return STREAM_TAKE;
}

void stream_hold(struct stream *s, bool holds)
{
    s->holds = holds;
}

void stream_head(const struct stream *s, struct batch *b)
{
    b->epoch = s->epoch;
    b->to_epoch = s->their_epoch;
    b->oldest = s->first;
    b->first = s->first + s->sent;
    b->seen = s->holds ? s->told : s->expected;
    if (s->misses)
        b->flags |= BATCH_MISSING;
}

void stream_acked(struct stream *s, int64_t now_ms)
{
    if (s->misses) {
        s->has_asked = true;
        s->asked_ms = now_ms;
    }
    s->misses = false;
    if (s->holds)
        return;
    s->told = s->expected;
    s->owes_ack = false;
}
