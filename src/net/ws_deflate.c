#include "net/ws_deflate.h"

#include <string.h>
#include "base/list.h"
#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "net/ws_conn.h"
#include "wire/deflater.h"
#include "wire/inflater.h"

enum { SCRATCH_KEPT = 65536 }; /* a larger buffer is not kept for the next message */

struct ws_deflate {
    struct inflater inflater; /* the reader points here */
    struct deflater *own;     /* of a kept context; null until the first message */
    struct deflate_terms terms;
};

void ws_deflate_begin(struct ws_conn *w, const struct deflate_terms *terms)
{
    struct ws_deflate *d = mem_new(struct ws_deflate);

    d->terms = *terms;
    inflater_init(&d->inflater, terms->client_bits, terms->client_forgets,
                  w->ops->settings->memory_bytes);
    ws_reader_inflate(&w->reader, &d->inflater);
}

struct ws_deflate *ws_deflate_of(const struct ws_conn *w)
{
    struct inflater *i = w->reader.inflater;

    return i ? container_of(i, struct ws_deflate, inflater) : NULL;
}

void ws_deflate_free(struct ws_deflate *d)
{
    if (!d)
        return;
    inflater_fini(&d->inflater);
    deflater_free(d->own);
    mem_free(d);
}

/* The frame of a compressed message: f's opcode, and the payload from scratch. */
static enum err wrap(const struct frame *f, struct bytes payload, struct frame **out)
{
    char head[WS_HEADER_MAX];
    size_t head_len = ws_write_header(head, (enum ws_opcode)(f->at[0] & 0x0F), payload.len);
    enum err e = frame_try((enum frame_class)f->class, head_len + payload.len, out);

    if (e)
        return e;
    head[0] = (char)(head[0] | WS_DEFLATED);
    memcpy((*out)->at, head, head_len);
    memcpy((*out)->at + head_len, payload.at, payload.len);
    return ERR_OK;
}

static void clear(struct buf *scratch)
{
    scratch->len = 0;
    if (scratch->cap > SCRATCH_KEPT)
        buf_fini(scratch);
}

/* A frame without bytes remembers that f does not get smaller. */
static enum err make_twin(struct ws_conn *w, struct frame *f, struct bytes text, uint8_t bits,
                          struct frame **out)
{
    const struct ws_settings *set = w->ops->settings;
    struct scratch *s = &w->conn->net->scratch;
    struct deflater **with = &s->deflaters[bits];
    enum err e = ERR_OK;

    if (!*with)
        e = deflater_new(bits, set->deflate.level, true, set->memory_bytes, with);
    if (e)
        return e;
    e = deflater_add(*with, text, &s->deflated, text.len - 1);
    if (e == ERR_TOO_BIG)
        e = frame_try((enum frame_class)f->class, 0, out);
    else if (!e)
        e = wrap(f, buf_bytes(&s->deflated), out);
    clear(&s->deflated);
    if (e)
        return e;
    (*out)->form = bits;
    *out = frame_add_twin(f, *out);
    return ERR_OK;
}

static struct frame *twin_of(struct ws_conn *w, struct frame *f, struct bytes text, uint8_t bits)
{
    struct frame *twin = frame_twin(f, bits);

    if (!twin && make_twin(w, f, text, bits, &twin))
        return f;
    return twin->len ? twin : f;
}

/* What the deflater has taken must be sent, or the peer's window is another one than ours. */
static struct frame *own_of(struct ws_conn *w, struct ws_deflate *d, const struct frame *f,
                            struct bytes text)
{
    const struct ws_settings *set = w->ops->settings;
    struct buf *scratch = &w->conn->net->scratch.deflated;
    struct frame *own;
    enum err e;

    if (!d->own &&
        deflater_new(d->terms.server_bits, set->deflate.level, false, set->memory_bytes, &d->own))
        return NULL;
    if (deflater_add(d->own, text, scratch, SIZE_MAX))
        return NULL;
    e = wrap(f, buf_bytes(scratch), &own);
    clear(scratch);
    if (!e)
        return own;
    deflater_free(d->own); /* the next context begins where this message leaves uncompressed */
    d->own = NULL;
    return NULL;
}

/* What leaves in place of f. A kept context has taken it then: it must be pushed next. *own: a
   count of it where it is for this socket alone, else null. */
static struct frame *instead_of(struct ws_conn *w, struct frame *f, struct frame **own)
{
    struct ws_deflate *d = ws_deflate_of(w);
    struct bytes text;

    *own = NULL;
    if (!ws_holds_message(bytes_of(f->at, f->len), &text) ||
        text.len < w->ops->settings->deflate.min_bytes)
        return f;
    if (d->terms.server_forgets)
        return twin_of(w, f, text, d->terms.server_bits);
    *own = own_of(w, d, f, text);
    return *own ? *own : f;
}

static void count_saved(const struct frame *f, const struct frame *instead)
{
    if (instead != f)
        meter_add(METER_DEFLATE_SAVED, (int64_t)f->len - (int64_t)instead->len);
}

enum err ws_deflate_push(struct ws_conn *w, struct frame *f)
{
    struct frame *own, *instead = instead_of(w, f, &own);
    enum err e = conn_push(w->conn, instead);

    if (!e)
        count_saved(f, instead);
    frame_unref(own);
    return e;
}

void ws_deflate_push_asked(struct ws_conn *w, struct frame *f)
{
    struct frame *own, *instead = instead_of(w, f, &own);

    conn_push_asked(w->conn, instead);
    count_saved(f, instead);
    frame_unref(own);
}

void ws_deflate_forget(struct scratch *s)
{
    int bits;

    for (bits = 0; bits <= DEFLATE_BITS_MAX; bits++) {
        deflater_free(s->deflaters[bits]);
        s->deflaters[bits] = NULL;
    }
}
