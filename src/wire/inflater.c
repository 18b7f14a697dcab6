#include "wire/inflater.h"

#include "base/mem.h"
#include "base/meter.h"
#include "wire/deflate.h"
#include "wire/ws.h"
#include "wire/zlib_memory.h"

enum {
    STATE_BYTES = 7680,  /* of zlib beside the window; a test measures */
    ROOM_LEAST = 512,    /* for output, at first */
    ROOM_MOST = 65536,   /* asked for at once; the buffer's doubling may give more */
    KEPT_ANYWAY = 65536, /* bytes of a message that no budget forbids */
    ON_A_BORDER = 128,   /* zlib's data_type: between blocks, with no bits left over */
};

size_t inflater_bytes(unsigned bits)
{
    return STATE_BYTES + ((size_t)1 << bits);
}

/* A window of 8 bits is read with 9: some compressors that promise the one use the other. */
void inflater_init(struct inflater *i, unsigned bits, bool forgets, int64_t budget)
{
    *i = (struct inflater){
        .budget = budget,
        .bits = (uint8_t)(bits < DEFLATE_BITS_MIN ? (unsigned)DEFLATE_BITS_MIN : bits),
        .forgets = forgets,
        .is_at_end = true,
    };
}

void inflater_fini(struct inflater *i)
{
    if (i->z)
        (void)inflateEnd(i->z);
    zlib_memory_free(i->z);
    i->z = NULL;
    i->is_at_end = true;
}

static enum err begin(struct inflater *i)
{
    z_stream *z;
    enum err e = zlib_memory_new(&i->budget, &z);

    if (e)
        return e;
    if (inflateInit2(z, -(int)i->bits) != Z_OK) {
        zlib_memory_free(z);
        return ERR_FULL;
    }
    i->z = z;
    return ERR_OK;
}

/* At least one byte of room for output, besides the padding. */
static enum err make_room(const struct inflater *i, struct buf *out, size_t limit)
{
    size_t more = i->z->avail_in < ROOM_MOST / 4 ? (size_t)4 * i->z->avail_in : ROOM_MOST;

    if (out->cap > out->len + WS_PADDING)
        return ERR_OK;
    if (i->budget > 0 && out->len > KEPT_ANYWAY && mem_held() > i->budget)
        return ERR_FULL;
    if (more < ROOM_LEAST)
        more = ROOM_LEAST;
    if (more > limit - out->len)
        more = limit - out->len + 1;
    (void)buf_reserve(out, more + WS_PADDING);
    return ERR_OK;
}

/* One call of zlib's. */
static enum err step(struct inflater *i, struct buf *out, size_t limit)
{
    z_stream *z = i->z;
    unsigned before = z->avail_in;
    size_t room = out->cap - out->len - WS_PADDING;
    int result;

    if (room > limit - out->len)
        room = limit - out->len + 1; /* one byte more tells that it would not end there */
    z->next_out = (Bytef *)out->at + out->len;
    z->avail_out = (uInt)room;
    result = inflate(z, Z_SYNC_FLUSH);
    if (room - z->avail_out > limit - out->len) {
        out->len = limit;
        return ERR_TOO_BIG;
    }
    out->len += room - z->avail_out;
    if (result == Z_STREAM_END) {
        /* another block may follow the last one: only the window is carried over */
        i->is_at_end = true;
        return inflateResetKeep(z) == Z_OK ? ERR_OK : ERR_BAD;
    }
    if (result == Z_MEM_ERROR)
        return ERR_FULL;
    if (result != Z_OK && result != Z_BUF_ERROR)
        return ERR_BAD;
    /* what ends a block may lie in bits taken by an earlier call; at an end there are none left */
    if (!i->is_at_end || z->avail_in < before)
        i->is_at_end = z->data_type == ON_A_BORDER;
    return ERR_OK;
}

enum err inflater_add(struct inflater *i, struct bytes in, struct buf *out, size_t limit)
{
    enum err e;

    if (out->len > limit) /* a narrower one since the message began */
        return ERR_TOO_BIG;
    if (in.len == 0)
        return ERR_OK;
    e = i->z ? ERR_OK : begin(i);
    if (e)
        return e;
    i->z->next_in = (const Bytef *)in.at;
    i->z->avail_in = (uInt)in.len;
    do {
        e = make_room(i, out, limit);
        if (!e)
            e = step(i, out, limit);
    } while (!e && (i->z->avail_in > 0 || i->z->avail_out == 0));
    return e;
}

/* The sender left these out (RFC 7692, 7.2.1). Where a block has just ended they would begin
   another one and not end it: some senders forget the byte that goes before them, and mean the
   same. */
enum err inflater_end(struct inflater *i, struct buf *out, size_t limit)
{
    enum err e = ERR_OK;

    if (!i->is_at_end)
        e = inflater_add(i, BYTES("\x00\x00\xff\xff"), out, limit);
    if (!e && !i->is_at_end)
        e = ERR_BAD;
    if (e)
        return e;
    meter_add(METER_INFLATED, 1);
    if (i->forgets)
        inflater_fini(i);
    return ERR_OK;
}
