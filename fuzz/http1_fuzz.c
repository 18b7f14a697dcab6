/* http1 - heads and chunked bodies mean the same whole and in pieces, and a head written from what
 * was understood is understood the same. */
#include "wire/http1.h"

#include "input.h"
#include "wire/upgrade.h"

enum { FIELDS = 100 };

static const struct http1_limits usual = {
    .line_bytes = 8192, .head_bytes = 16384, .fields = FIELDS};
static const struct http1_limits tight = {.line_bytes = 24, .head_bytes = 80, .fields = 3};

/* ---- heads ---- */

static void describe(struct buf *out, const struct http1_request *r)
{
    buf_printf(out, "%d ", r->method);
    buf_add(out, r->method_name);
    buf_add_char(out, ' ');
    buf_add(out, r->target);
    buf_add_char(out, ' ');
    buf_add(out, r->authority);
    buf_add_char(out, ' ');
    buf_add(out, r->path);
    buf_add_char(out, ' ');
    buf_add(out, r->query);
    buf_printf(out, " %d %d %d %d %d %llu\n", r->minor, r->keep_alive, r->chunked, r->has_length,
               r->expects_continue, (unsigned long long)r->length);
    for (size_t i = 0; i < r->field_count; i++) {
        buf_add(out, r->fields[i].name);
        buf_add(out, BYTES(": "));
        buf_add(out, r->fields[i].value);
        buf_add_char(out, '\n');
    }
}

/* What a head comes to: the request, or the refusal; and how much of the text it is. */
struct outcome {
    enum http1_result result;
    struct buf text;
    size_t used;
};

static void note_end(struct outcome *o, const struct http1_request *r, const struct http1_bad *bad)
{
    if (o->result == HTTP1_DONE)
        describe(&o->text, r);
    if (o->result == HTTP1_BAD) {
        MUST(bad->status >= 400 && bad->status <= 505 && bad->why);
        buf_printf(&o->text, "%d %s", bad->status, bad->why);
    }
}

/* Every call gets all that has arrived, each time in another place. */
static struct outcome read_head(struct bytes text, const struct http1_limits *limits,
                                struct chops chops)
{
    struct outcome o = {.result = HTTP1_MORE};
    struct http1_field fields[FIELDS];
    struct http1_request r;
    struct http1_bad bad = {0};
    size_t scanned = 0, arrived = 0;

    while (o.result == HTTP1_MORE && arrived < text.len) {
        char *piece;

        arrived += chops_next(&chops, text.len - arrived);
        piece = piece_new(bytes_of(text.at, arrived), 0);
        o.result =
            http1_read_head(bytes_of(piece, arrived), limits, fields, &r, &scanned, &o.used, &bad);
        MUST(o.result != HTTP1_DONE || (o.used <= arrived && scanned == 0));
        note_end(&o, &r, &bad);
        piece_free(piece);
    }
    if (o.result != HTTP1_DONE)
        o.used = 0;
    return o;
}

static void must_be_equal(struct outcome *a, struct outcome b)
{
    MUST(a->result == b.result && a->used == b.used);
    MUST(bytes_equal(buf_bytes(&a->text), buf_bytes(&b.text)));
    buf_fini(&b.text);
}

static enum http1_result whole_is_split(struct bytes text, const struct http1_limits *limits)
{
    struct outcome o = read_head(text, limits, (struct chops){.how = CHOPS_WHOLE});

    must_be_equal(&o, read_head(text, limits, (struct chops){.how = CHOPS_BYTES}));
    must_be_equal(&o, read_head(text, limits, chops_of(text)));
    buf_fini(&o.text);
    return o.result;
}

/* ---- what a request says ---- */

/* As http1_decode_path, from the definition. */
static bool naive_decode(struct bytes path, char *out, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < path.len; i++) {
        char hex[3] = "", *end;

        if (path.at[i] != '%') {
            out[(*len)++] = path.at[i];
            continue;
        }
        memcpy(hex, path.at + i + 1, path.len - i > 2 ? 2 : path.len - i - 1);
        if (strspn(hex, "0123456789abcdefABCDEF") != 2)
            return false;
        out[*len] = (char)strtol(hex, &end, 16);
        if (out[*len] == 0)
            return false;
        if (out[*len] == '/') { /* no separator: stays as it was sent */
            memcpy(out + *len, path.at + i, 3);
            *len += 2;
        }
        (*len)++;
        i += 2;
    }
    return true;
}

static void check_path(struct bytes path)
{
    size_t len = 0, wanted = 0;
    char *out = malloc(path.len + 1), *naive = malloc(path.len + 1);
    bool good;

    MUST(out && naive);
    good = http1_decode_path(path, out, &len);
    MUST(good == naive_decode(path, naive, &wanted));
    MUST(!good || bytes_equal(bytes_of(out, len), bytes_of(naive, wanted)));
    free(out);
    free(naive);
}

static void check_fields(const struct http1_request *r)
{
    for (size_t i = 0; i < r->field_count; i++) {
        struct bytes name = r->fields[i].name;
        size_t first = 0, count = 0;

        for (size_t k = r->field_count; k-- > 0;) {
            if (!bytes_equal_nocase(r->fields[k].name, name))
                continue;
            first = k;
            count++;
        }
        MUST(http1_field_count(r, name) == count);
        MUST(http1_field(r, name).at == r->fields[first].value.at);
        (void)http1_list_has(r, name, BYTES("upgrade"));
    }
    MUST(!(r->chunked && r->has_length));
}

static void check_upgrade(const struct http1_request *r)
{
    char text[UPGRADE_TEXT_MAX];
    struct http1_bad bad = {0};
    struct upgrade u;

    if (upgrade_check(r, NULL, &u, &bad)) {
        size_t len = upgrade_write(text, &u);

        MUST(len <= sizeof(text));
        MUST(r->method == HTTP1_GET && !r->chunked && r->length == 0);
        MUST(strlen(u.accept) == WS_ACCEPT_TEXT);
        MUST(memmem(text, len, u.accept, WS_ACCEPT_TEXT));
    } else {
        MUST(bad.status == 400 || bad.status == 405 || bad.status == 426);
    }
}

/* Written again and read again: the same request. */
static void check_written(const struct http1_request *r)
{
    struct buf out = {0}, before = {0}, after = {0};
    struct http1_field fields[FIELDS];
    struct http1_request again;
    struct http1_bad bad;
    size_t scanned = 0, used;

    buf_add(&out, r->method_name);
    buf_add_char(&out, ' ');
    buf_add(&out, r->target);
    buf_printf(&out, " HTTP/1.%d\r\n", r->minor);
    for (size_t i = 0; i < r->field_count; i++)
        http1_write_field(&out, r->fields[i].name, r->fields[i].value);
    http1_write_end(&out);
    MUST(http1_read_head(buf_bytes(&out), &(struct http1_limits){1 << 20, 1 << 20, usual.fields},
                         fields, &again, &scanned, &used, &bad) == HTTP1_DONE);
    MUST(used == out.len);
    describe(&before, r);
    describe(&after, &again);
    MUST(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
    buf_fini(&out);
    buf_fini(&before);
    buf_fini(&after);
}

/* ---- chunked bodies ---- */

static struct outcome read_chunks(struct bytes text, struct chops chops)
{
    struct outcome o = {.result = HTTP1_MORE};
    struct http1_chunks state = {0};
    struct http1_bad bad = {0};

    while (o.result == HTTP1_MORE && o.used < text.len) {
        size_t n = chops_next(&chops, text.len - o.used);
        char *piece = piece_new(bytes_of(text.at + o.used, n), 0);
        struct bytes rest = bytes_of(piece, n), data;

        do {
            data = (struct bytes){NULL, 0};
            o.result = http1_read_chunk(&state, &rest, &data, &bad);
            if (o.result == HTTP1_BAD)
                break;
            MUST(o.result == HTTP1_DONE || data.len > 0 || rest.len == 0);
            buf_add(&o.text, data);
        } while (o.result == HTTP1_MORE && rest.len > 0);
        o.used += n - rest.len;
        piece_free(piece);
    }
    if (o.result == HTTP1_BAD)
        note_end(&o, NULL, &bad);
    return o;
}

static void check_chunks(struct bytes text)
{
    struct outcome o = read_chunks(text, (struct chops){.how = CHOPS_WHOLE});

    must_be_equal(&o, read_chunks(text, (struct chops){.how = CHOPS_BYTES}));
    must_be_equal(&o, read_chunks(text, chops_of(text)));
    buf_fini(&o.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of((const char *)data, size);
    struct http1_field fields[FIELDS];
    struct http1_request r;
    struct http1_bad bad;
    size_t scanned = 0, used;
    char *whole = piece_new(text, 0);
    enum http1_result result;

    result = http1_read_head(bytes_of(whole, size), &usual, fields, &r, &scanned, &used, &bad);
    MUST(result == whole_is_split(text, &usual));
    whole_is_split(text, &tight);
    check_path(text);
    if (result == HTTP1_DONE) {
        check_path(r.path);
        check_fields(&r);
        check_upgrade(&r);
        check_written(&r);
        text = bytes_of(text.at + used, size - used);
    }
    check_chunks(text);
    piece_free(whole);
    return 0;
}
