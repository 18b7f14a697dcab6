#include "wire/envelope.h"

#include <string.h>
#include "base/check.h"
#include "wire/utf8.h"

/* Bits of `present`, in the order of the members; two of them are members themselves. */
enum {
    HAS_NAME = 1 << 0,
    HAS_HASH = 1 << 1,
    HAS_ORDER_KEY = 1 << 2,
    HAS_WAIT = 1 << 3,
    HAS_SHARD = 1 << 4,
    HAS_A = 1 << 5,
    HAS_B = 1 << 6,
    HAS_HOPS = 1 << 7,
    FIND_ANY = 1 << 8,
    READY_ONLY = 1 << 9,
    HAS_DIMENSION = 1 << 10, /* the first of four */
    HAS_EXCLUDE = 1 << 14,
    HAS_ID = 1 << 15,
    HAS_TEXT = 1 << 16,
    HAS_ORIGIN = 1 << 17, /* its place is before the text */
    HAS_STAMP = 1 << 18,  /* and this one's behind wait_ms */
    KNOWN = (1 << 19) - 1,

    EIGHTS = HAS_NAME | HAS_HASH | HAS_ORDER_KEY | HAS_WAIT | HAS_STAMP,
    FOURS = HAS_SHARD | HAS_A | HAS_B,
    ALL_DIMENSIONS = HAS_DIMENSION * ((1 << DIMENSIONS) - 1),
};

enum {
    LENGTH_BYTES = 4,
    HEAD_BYTES = 4,                     /* kind and present */
    ENTRY_BYTES = DIMENSIONS * (2 + 1), /* of an exclude list, at least */
};

_Static_assert(HAS_DIMENSION << DIMENSIONS == HAS_EXCLUDE, "a bit for each dimension");

static const char magic[3] = {'P', 'C', '1'};

/* ---- writing: everything is measured first, so that there is one look for room ---- */

static uint32_t bit_if(bool is, uint32_t bit)
{
    return is ? bit : 0;
}

static uint32_t present_in(const struct envelope *e)
{
    const struct bytes *dim = e->filter.like.dim;
    uint32_t p = bit_if(e->name, HAS_NAME) | bit_if(e->hash, HAS_HASH) |
                 bit_if(e->order_key, HAS_ORDER_KEY) | bit_if(e->wait_ms, HAS_WAIT) |
                 bit_if(e->shard, HAS_SHARD) | bit_if(e->a, HAS_A) | bit_if(e->b, HAS_B) |
                 bit_if(e->hops, HAS_HOPS) | bit_if(e->filter.find_any, FIND_ANY) |
                 bit_if(e->ready_only, READY_ONLY) | bit_if(e->filter.excluded, HAS_EXCLUDE) |
                 bit_if(e->id.len, HAS_ID) | bit_if(e->text.len, HAS_TEXT) |
                 bit_if(e->origin.len, HAS_ORIGIN) | bit_if(e->stamp_ms, HAS_STAMP);

    for (unsigned d = 0; d < DIMENSIONS; d++)
        p |= bit_if(dim[d].len, (uint32_t)HAS_DIMENSION << d);
    return p;
}

static size_t count_bits(uint32_t word)
{
    return (size_t)__builtin_popcount(word);
}

static size_t size_of(const struct envelope *e, uint32_t present)
{
    size_t size = LENGTH_BYTES + HEAD_BYTES + 8 * count_bits(present & EIGHTS) +
                  4 * count_bits(present & FOURS) + count_bits(present & HAS_HOPS) +
                  2 * count_bits(present & ALL_DIMENSIONS) + 4 * count_bits(present & HAS_EXCLUDE) +
                  count_bits(present & (HAS_ID | HAS_ORIGIN)) + e->origin.len +
                  4 * count_bits(present & HAS_TEXT) + e->id.len + e->text.len;

    for (int d = 0; d < DIMENSIONS; d++)
        size += e->filter.like.dim[d].len;
    for (size_t i = 0; i < e->filter.excluded; i++)
        for (int d = 0; d < DIMENSIONS; d++)
            size += 2 + e->filter.exclude[i].dim[d].len;
    return size;
}

size_t envelope_size(const struct envelope *e)
{
    return size_of(e, present_in(e));
}

/* Little-endian machines only, like the rest of us. */
static char *put(char *to, const void *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

static char *put_8(char *to, uint64_t n)
{
    return put(to, &n, sizeof(n));
}

static char *put_4(char *to, uint64_t n)
{
    uint32_t four = (uint32_t)n;

    return put(to, &four, sizeof(four));
}

static char *put_dimension(char *to, struct bytes b)
{
    uint16_t len = (uint16_t)b.len;

    DCHECK(b.len <= UINT16_MAX);
    to = put(to, &len, sizeof(len));
    return len ? put(to, b.at, len) : to;
}

static char *put_numbers(char *to, const struct envelope *e, uint32_t present)
{
    if (present & HAS_NAME)
        to = put_8(to, e->name);
    if (present & HAS_HASH)
        to = put_8(to, e->hash);
    if (present & HAS_ORDER_KEY)
        to = put_8(to, e->order_key);
    if (present & HAS_WAIT)
        to = put_8(to, (uint64_t)e->wait_ms);
    if (present & HAS_STAMP)
        to = put_8(to, e->stamp_ms);
    if (present & HAS_SHARD)
        to = put_4(to, e->shard);
    if (present & HAS_A)
        to = put_4(to, e->a);
    if (present & HAS_B)
        to = put_4(to, e->b);
    if (present & HAS_HOPS)
        *to++ = (char)e->hops;
    return to;
}

static char *put_filter(char *to, const struct filter *f, uint32_t present)
{
    if (present & ALL_DIMENSIONS)
        for (int d = 0; d < DIMENSIONS; d++)
            if (f->like.dim[d].len)
                to = put_dimension(to, f->like.dim[d]);
    if (!(present & HAS_EXCLUDE))
        return to;
    to = put_4(to, f->excluded);
    for (size_t i = 0; i < f->excluded; i++)
        for (int d = 0; d < DIMENSIONS; d++)
            to = put_dimension(to, f->exclude[i].dim[d]);
    return to;
}

static char *put_item(char *to, const struct envelope *e, uint32_t present, size_t size)
{
    to = put_4(to, size - LENGTH_BYTES);
    to = put_4(to, (uint32_t)e->kind | present << 8);
    to = put_numbers(to, e, present);
    to = put_filter(to, &e->filter, present);
    if (present & HAS_ID) {
        DCHECK(e->id.len <= ENVELOPE_ID_BYTES);
        *to++ = (char)e->id.len;
        to = put(to, e->id.at, e->id.len);
    }
    if (present & HAS_ORIGIN) {
        DCHECK(e->origin.len <= ENVELOPE_ORIGIN_BYTES);
        *to++ = (char)e->origin.len;
        to = put(to, e->origin.at, e->origin.len);
    }
    if (present & HAS_TEXT) {
        to = put_4(to, e->text.len);
        to = put(to, e->text.at, e->text.len);
    }
    return to;
}

char *envelope_put(char *to, const struct envelope *e)
{
    uint32_t present = present_in(e);

    return put_item(to, e, present, size_of(e, present));
}

void envelope_write(struct buf *out, const struct envelope *e)
{
    uint32_t present = present_in(e);
    size_t size = size_of(e, present);

    put_item(buf_reserve(out, size), e, present, size);
    out->len += size;
}

/* ---- reading ---- */

static bool take(struct bytes *in, void *to, size_t len)
{
    if (in->len < len)
        return false;
    memcpy(to, in->at, len);
    in->at += len;
    in->len -= len;
    return true;
}

static bool take_bytes(struct bytes *in, size_t len, struct bytes *out)
{
    if (in->len < len)
        return false;
    *out = bytes_of(in->at, len);
    in->at += len;
    in->len -= len;
    return true;
}

static bool take_8(struct bytes *in, uint32_t present, uint64_t *to)
{
    return !present || (take(in, to, sizeof(*to)) && *to != 0);
}

static bool take_4(struct bytes *in, uint32_t present, uint32_t *to)
{
    return !present || (take(in, to, sizeof(*to)) && *to != 0);
}

static bool take_numbers(struct bytes *in, uint32_t present, struct envelope *out)
{
    uint64_t wait = 0;

    if (!take_8(in, present & HAS_NAME, &out->name) ||
        !take_8(in, present & HAS_HASH, &out->hash) ||
        !take_8(in, present & HAS_ORDER_KEY, &out->order_key) ||
        !take_8(in, present & HAS_WAIT, &wait) || wait > ENVELOPE_WAIT_MS ||
        !take_8(in, present & HAS_STAMP, &out->stamp_ms))
        return false;
    out->wait_ms = (int64_t)wait;
    return take_4(in, present & HAS_SHARD, &out->shard) && take_4(in, present & HAS_A, &out->a) &&
           take_4(in, present & HAS_B, &out->b) &&
           (!(present & HAS_HOPS) || (take(in, &out->hops, 1) && out->hops != 0));
}

static bool take_dimension(struct bytes *in, const struct envelope_limits *limits,
                           struct bytes *out)
{
    uint16_t len;

    return take(in, &len, sizeof(len)) && len > 0 && len <= limits->dimension_bytes &&
           take_bytes(in, len, out) && utf8_valid(*out) && dimension_is_plain(*out);
}

/* Memory is only taken for entries whose bytes are there. */
static bool take_exclude(struct bytes *in, const struct envelope_limits *limits,
                         struct arena *arena, struct filter *f)
{
    struct identity *list;
    uint32_t count;

    if (!take(in, &count, sizeof(count)) || count == 0 || count > limits->exclude_entries ||
        count > in->len / ENTRY_BYTES)
        return false;
    list = arena_alloc(arena, count * sizeof(*list));
    for (uint32_t i = 0; i < count; i++)
        for (int d = 0; d < DIMENSIONS; d++)
            if (!take_dimension(in, limits, &list[i].dim[d]))
                return false;
    f->exclude = list;
    f->excluded = count;
    return true;
}

static bool take_filter(struct bytes *in, uint32_t present, const struct envelope_limits *limits,
                        struct arena *arena, struct filter *f)
{
    f->find_any = present & FIND_ANY;
    for (unsigned d = 0; d < DIMENSIONS; d++)
        if (present & (uint32_t)HAS_DIMENSION << d && !take_dimension(in, limits, &f->like.dim[d]))
            return false;
    return !(present & HAS_EXCLUDE) || take_exclude(in, limits, arena, f);
}

static bool take_id(struct bytes *in, size_t most, struct bytes *out)
{
    unsigned char len;

    return take(in, &len, 1) && len > 0 && len <= most && take_bytes(in, len, out) &&
           utf8_valid(*out) && dimension_is_plain(*out);
}

/* It goes to clients as it is, and one that is no UTF-8 would cost them their sockets. */
static bool take_text(struct bytes *in, struct bytes *out)
{
    uint32_t len;

    return take(in, &len, sizeof(len)) && len > 0 && take_bytes(in, len, out) && utf8_valid(*out);
}

/* Without it nobody could do anything with this kind. */
static uint32_t needed(enum envelope_kind kind)
{
    if (kind == ENVELOPE_ACKED)
        return ALL_DIMENSIONS | HAS_ID;
    return kind == ENVELOPE_ACKNOWLEDGE ? HAS_ID : 0;
}

enum err envelope_read(struct bytes item, const struct envelope_limits *limits, struct arena *arena,
                       struct envelope *out)
{
    uint32_t head, kind, present;

    *out = (struct envelope){0};
    if (!take(&item, &head, sizeof(head)))
        return ERR_BAD;
    kind = head & 0xff;
    present = head >> 8;
    if (kind >= ENVELOPE_KINDS || present & ~(uint32_t)KNOWN)
        return ERR_BAD;
    out->kind = (enum envelope_kind)kind;
    if (needed(out->kind) & ~present)
        return ERR_BAD;
    out->ready_only = present & READY_ONLY;
    if (!take_numbers(&item, present, out) ||
        !take_filter(&item, present, limits, arena, &out->filter))
        return ERR_BAD;
    if ((present & HAS_ID && !take_id(&item, ENVELOPE_ID_BYTES, &out->id)) ||
        (present & HAS_ORIGIN && !take_id(&item, ENVELOPE_ORIGIN_BYTES, &out->origin)) ||
        (present & HAS_TEXT && !take_text(&item, &out->text)))
        return ERR_BAD;
    return item.len ? ERR_BAD : ERR_OK;
}

/* ---- batches ---- */

void batch_write(struct buf *out, const struct batch *b)
{
    char *to = buf_reserve(out, BATCH_HEAD_BYTES + b->items.len), *from = to;

    DCHECK(b->from.len > 0 && b->from.len <= UINT8_MAX);
    to = put(to, magic, sizeof(magic));
    *to++ = (char)b->flags;
    *to++ = (char)b->from.len;
    to = put(to, b->from.at, b->from.len);
    to = put_8(to, b->from_life);
    to = put_8(to, b->to_life);
    to = put_4(to, b->epoch);
    to = put_4(to, b->to_epoch);
    to = put_8(to, b->oldest);
    to = put_8(to, b->first);
    to = put_8(to, b->seen);
    to = put_8(to, b->now_ms);
    if (b->items.len)
        to = put(to, b->items.at, b->items.len);
    out->len += (size_t)(to - from);
}

static enum err take_batch_numbers(struct bytes *text, struct batch *out)
{
    if (!take(text, &out->from_life, 8) || !take(text, &out->to_life, 8) ||
        !take(text, &out->epoch, 4) || !take(text, &out->to_epoch, 4) ||
        !take(text, &out->oldest, 8) || !take(text, &out->first, 8) || !take(text, &out->seen, 8) ||
        !take(text, &out->now_ms, 8))
        return ERR_BAD;
    out->items = *text;
    return ERR_OK;
}

enum err batch_read(struct bytes text, struct batch *out)
{
    char start[sizeof(magic)];
    unsigned char len;

    if (!take(&text, start, sizeof(start)) || memcmp(start, magic, sizeof(magic)) != 0 ||
        !take(&text, &out->flags, 1) || out->flags & ~(BATCH_BEAT | BATCH_MISSING) ||
        !take(&text, &len, 1) || len == 0 || !take_bytes(&text, len, &out->from))
        return ERR_BAD;
    return take_batch_numbers(&text, out);
}

enum err batch_next(struct bytes *items, struct bytes *item)
{
    struct bytes left = *items;
    uint32_t len;

    if (!take(&left, &len, sizeof(len)) || len < HEAD_BYTES || len > ENVELOPE_BYTES ||
        !take_bytes(&left, len, item))
        return ERR_BAD;
    *items = left;
    return ERR_OK;
}
