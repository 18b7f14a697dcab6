/*
 * Compression of WebSocket messages. The first byte of an input says what the rest is:
 *
 *   even: values of Sec-WebSocket-Extensions, one a line: several fields mean what one list means,
 *         what is agreed fits the bound, and its answer is an offer that is agreed in turn
 *   odd:  messages of one connection, an empty line between them: whole = split, no limit is
 *         passed, and what comes out goes through a deflater and comes out again
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/deflate.h"
#include "wire/deflater.h"
#include "wire/inflater.h"

enum { FIELDS_MAX = 8, LIMIT = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* ---- offers ---- */

static struct deflate_settings settings_of(uint8_t flags)
{
    return (struct deflate_settings){
        .enabled = true,
        .server_forgets = (flags & 2) != 0,
        .client_forgets = (flags & 4) != 0,
        .server_bits = flags & 8 ? 15 : 10,
        .client_bits = flags & 16 ? 15 : 12,
        .memory_bytes = flags & 32   ? 1 << 20
                        : flags & 64 ? 65536
                                     : 16384,
    };
}

static bool negotiate(struct http1_field *fields, size_t count, const struct deflate_settings *s,
                      struct deflate_terms *out)
{
    struct http1_request r = {.fields = fields, .field_count = count};
    struct http1_bad bad = {0, NULL};
    bool is_good = deflate_negotiate(&r, s, out, &bad);

    CHECK(is_good || (bad.status == 400 && bad.why));
    return is_good;
}

/* An answer is an offer too, and comes to the same. */
static void check_answer(struct http1_field *answer, const struct deflate_terms *t)
{
    static const struct deflate_settings any = {
        .enabled = true, .server_bits = 15, .client_bits = 15, .memory_bytes = 1 << 20};
    struct deflate_terms again;

    CHECK(negotiate(answer, 1, &any, &again));
    CHECK(again.server_bits == t->server_bits && again.client_bits == t->client_bits);
    CHECK(again.server_forgets == t->server_forgets && again.client_forgets == t->client_forgets);
}

static void check_terms(const struct deflate_settings *s, const struct deflate_terms *t)
{
    static const size_t name = sizeof("Sec-WebSocket-Extensions: ") - 1;
    char answer[DEFLATE_ANSWER_MAX];
    size_t n = deflate_write_answer(answer, t);
    struct http1_field field;

    CHECK(n <= sizeof(answer) && (n > 0) == deflate_is_agreed(t));
    if (n == 0)
        return;
    CHECK(t->server_bits >= DEFLATE_BITS_MIN && t->server_bits <= s->server_bits);
    CHECK(t->client_bits >= DEFLATE_BITS_LEAST && t->client_bits <= s->client_bits);
    CHECK(inflater_bytes(t->client_bits) +
              (t->server_forgets ? 0 : deflater_bytes(t->server_bits)) <=
          s->memory_bytes);
    field = (struct http1_field){BYTES("Sec-WebSocket-Extensions"),
                                 bytes_of(answer + name, n - name - 2)};
    check_answer(&field, t);
}

static void offers(uint8_t flags, struct bytes in)
{
    struct deflate_settings s = settings_of(flags);
    struct http1_field fields[FIELDS_MAX], one;
    struct deflate_terms terms, joined;
    struct buf list = {0};
    size_t count = 0;
    bool is_good;

    while (in.len > 0 && count < FIELDS_MAX) {
        struct bytes value;

        (void)bytes_cut(in, BYTES("\n"), &value, &in);
        fields[count++] = (struct http1_field){BYTES("sec-websocket-extensions"), value};
        buf_add(&list, value);
        buf_add_char(&list, ',');
    }
    is_good = negotiate(fields, count, &s, &terms);
    if (is_good)
        check_terms(&s, &terms);
    if (count > 0) {
        one = (struct http1_field){BYTES("Sec-WebSocket-Extensions"), buf_bytes(&list)};
        CHECK(negotiate(&one, 1, &s, &joined) == is_good);
        CHECK(!is_good || memcmp(&terms, &joined, sizeof(terms)) == 0);
    }
    buf_fini(&list);
}

/* ---- messages ---- */

static enum err inflate_in_pieces(struct inflater *i, struct bytes in, struct buf *out,
                                  size_t piece)
{
    enum err e = ERR_OK;

    while (!e && in.len > 0) {
        size_t n = piece && piece < in.len ? piece : in.len;
        char *copy = mem_copy(bytes_of(in.at, n));

        e = inflater_add(i, bytes_of(copy, n), out, LIMIT);
        CHECK(out->len <= LIMIT);
        mem_free(copy);
        in = bytes_of(in.at + n, in.len - n);
    }
    return e ? e : inflater_end(i, out, LIMIT);
}

static void goes_through(uint8_t flags, struct deflater *with, struct bytes text)
{
    struct buf packed = {0}, out = {0};
    struct inflater i;

    if (text.len == 0)
        return;
    inflater_init(&i, flags & 8 ? 15 : 9, true, 0);
    CHECK(deflater_add(with, text, &packed, SIZE_MAX) == ERR_OK);
    CHECK(inflate_in_pieces(&i, buf_bytes(&packed), &out, 0) == ERR_OK);
    CHECK(bytes_equal(buf_bytes(&out), text));
    inflater_fini(&i);
    buf_fini(&packed);
    buf_fini(&out);
}

static void messages(uint8_t flags, struct bytes in)
{
    bool forgets = (flags & 2) != 0;
    unsigned bits = flags & 4 ? 15 : 9;
    struct inflater whole, split;
    struct deflater *with;
    enum err e = ERR_OK;

    inflater_init(&whole, bits, forgets, 0);
    inflater_init(&split, bits, forgets, 0);
    CHECK(deflater_new(flags & 8 ? 15 : 9, 1 + (flags >> 4) % 9, true, 0, &with) == ERR_OK);
    while (!e && in.len > 0) {
        struct buf out = {0}, same = {0};
        struct bytes message;
        enum err again;

        (void)bytes_cut(in, BYTES("\n\n"), &message, &in);
        e = inflate_in_pieces(&whole, message, &out, 0);
        again = inflate_in_pieces(&split, message, &same, 1 + (flags >> 4));
        if (again == e)
            CHECK(bytes_equal(buf_bytes(&out), buf_bytes(&same)) || (e == ERR_BAD && bits < 15));
        else /* zlib sees a reference past a small window where what it means is gone already */
            CHECK(bits < 15 && (e == ERR_BAD || again == ERR_BAD));
        e = e ? e : again;
        if (!e)
            goes_through(flags, with, buf_bytes(&out));
        buf_fini(&out);
        buf_fini(&same);
    }
    inflater_fini(&whole);
    inflater_fini(&split);
    deflater_free(with);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes rest;

    if (len == 0)
        return 0;
    rest = bytes_of((const char *)at + 1, len - 1);
    if (at[0] & 1)
        messages(at[0], rest);
    else
        offers(at[0], rest);
    return 0;
}
