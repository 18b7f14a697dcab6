#include "wire/deflater.h"

#include <limits.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/meter.h"
#include "wire/zlib_memory.h"

enum {
    STATE_BYTES = 6656, /* of zlib beside its tables; a test measures */
    TAIL_BYTES = 4,     /* 00 00 ff ff, at the end of every flush */
    ROOM_LEAST = 64,    /* zlib repeats a flush that ends with less than 7 bytes of room */
};

struct deflater {
    z_stream *z;
    int64_t budget;
    bool forgets;
};

/* zlib's memLevel: its tables are as large as the window's. */
static unsigned table_level(unsigned bits)
{
    return bits - 7;
}

size_t deflater_bytes(unsigned bits)
{
    return STATE_BYTES + ((size_t)1 << (bits + 2)) + ((size_t)1 << (table_level(bits) + 9));
}

enum err deflater_new(unsigned bits, unsigned level, bool forgets, int64_t budget,
                      struct deflater **out)
{
    struct deflater *d = mem_new(struct deflater);
    enum err e;

    *out = NULL;
    d->forgets = forgets;
    d->budget = budget;
    e = zlib_memory_new(&d->budget, &d->z);
    if (!e && deflateInit2(d->z, (int)level, Z_DEFLATED, -(int)bits, (int)table_level(bits),
                           Z_DEFAULT_STRATEGY) != Z_OK)
        e = ERR_FULL;
    if (e) {
        deflater_free(d);
        return e;
    }
    *out = d;
    return ERR_OK;
}

void deflater_free(struct deflater *d)
{
    if (!d)
        return;
    if (d->z)
        (void)deflateEnd(d->z);
    zlib_memory_free(d->z);
    mem_free(d);
}

/* Once more room behind what is there, and no more than `left` in all. */
static void give_room(z_stream *z, struct buf *out, size_t left)
{
    size_t room = deflateBound(z, z->avail_in) + ROOM_LEAST;

    if (room > left)
        room = left;
    z->next_out = (Bytef *)buf_reserve(out, room);
    z->avail_out = (uInt)room;
}

enum err deflater_add(struct deflater *d, struct bytes text, struct buf *out, size_t most)
{
    size_t start = out->len, end = most < SIZE_MAX / 2 ? start + most + TAIL_BYTES : SIZE_MAX;
    z_stream *z = d->z;

    DCHECK(text.len > 0 && (d->forgets || most == SIZE_MAX));
    if (text.len > UINT_MAX / 2)
        return ERR_TOO_BIG;
    if (d->forgets)
        (void)deflateReset(z);
    z->next_in = (const Bytef *)text.at;
    z->avail_in = (uInt)text.len;
    do {
        size_t room;
        int result;

        if (out->len == end) {
            out->len = start;
            return ERR_TOO_BIG;
        }
        give_room(z, out, end - out->len);
        room = z->avail_out;
        result = deflate(z, Z_SYNC_FLUSH);
        CHECK(result == Z_OK || result == Z_BUF_ERROR); /* any other one is a misuse of ours */
        out->len += room - z->avail_out;
    } while (z->avail_out == 0);
    out->len -= TAIL_BYTES;
    meter_add(METER_DEFLATED, 1);
    return ERR_OK;
}
