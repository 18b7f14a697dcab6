/* command - frames of both grammars and bodies of requests: what is taken obeys the limits, what is
 * refused says why, and metaData means the same in either grammar. */
#include "wire/command.h"

#include "base/buf.h"
#include "input.h"
#include "wire/body.h"
#include "wire/utf8.h"

enum { DEPTH = 8, ID_BYTES = 12 };

static const struct body_limits limits = {
    .dimension_bytes = 10, .exclude = 3, .id_bytes = ID_BYTES, .envelopes = 3, .pool = 5};

/* Readers of two depths: in grammar v1 metaData stands one level deeper. */
static struct json *parser, *deeper;
static struct arena arena;

static enum err refused(enum err e, const struct problem *why)
{
    MUST(e == ERR_BAD || e == ERR_TOO_BIG);
    MUST(why->code == e && why->text[0] != '\0');
    return e;
}

/* What a sender is told is cut, not torn. */
static enum err parse(struct json *j, struct bytes text, struct json_value *root)
{
    struct problem why = {.code = ERR_OK, .text = ""};
    enum err e = json_parse(j, text, root, &why);

    if (e) {
        refused(e, &why);
        MUST(utf8_valid(bytes_text(why.text)));
    }
    return e;
}

/* ---- bodies ---- */

static void add_name(struct buf *out, struct bytes name, size_t most)
{
    MUST(name.len <= most && utf8_valid(name) && dimension_is_plain(name));
    buf_add(out, name);
    buf_add_char(out, '/');
}

static void add_client(struct buf *out, const struct identity *who, bool whole)
{
    for (int d = 0; d < DIMENSIONS; d++) {
        MUST(!whole || who->dim[d].len > 0);
        add_name(out, who->dim[d], limits.dimension_bytes);
    }
}

static void add_open(struct buf *out, const struct body_reader *r, struct json_value v, bool pooled)
{
    struct open_body b;

    if (body_read_open(r, v, pooled, &b)) {
        refused(r->why->code, r->why);
        return;
    }
    MUST(b.pool_size >= 1 && b.pool_size <= limits.pool);
    MUST(pooled || b.pool_size == 1);
    buf_printf(out, "open %lld ", (long long)b.pool_size);
    add_client(out, &b.client, true);
    buf_add(out, b.instance_id);
}

static void add_send(struct buf *out, const struct body_reader *r, struct json_value v)
{
    struct send_body b;

    if (body_read_send(r, v, &b)) {
        refused(r->why->code, r->why);
        return;
    }
    MUST(b.filter.excluded <= limits.exclude);
    buf_printf(out, "send %d %d ", b.filter.find_any, b.order.preserved);
    add_name(out, b.id, limits.id_bytes);
    add_client(out, &b.filter.like, false);
    for (size_t i = 0; i < b.filter.excluded; i++)
        add_client(out, &b.filter.exclude[i], true);
    buf_add(out, b.message);
}

static void add_acked(struct buf *out, const struct body_reader *r, struct json_value v)
{
    struct acked_body b;

    if (body_read_acked(r, v, &b)) {
        refused(r->why->code, r->why);
        return;
    }
    buf_printf(out, "acked %d ", b.order.preserved);
    add_name(out, b.id, limits.id_bytes);
    add_client(out, &b.client, true);
    buf_add(out, b.message);
}

static void add_envelopes(struct buf *out, const struct body_reader *r, struct json_value v)
{
    struct envelopes_body b;

    if (body_read_envelopes(r, v, &b)) {
        refused(r->why->code, r->why);
        return;
    }
    MUST(b.count > 0 && b.count <= limits.envelopes);
    for (size_t i = 0; i < b.count; i++) {
        buf_add(out, BYTES("envelope "));
        add_client(out, &b.at[i].client, true);
        buf_add(out, b.at[i].message);
    }
}

static void add_ack(struct buf *out, const struct body_reader *r, struct json_value v)
{
    struct bytes id;

    if (body_read_ack(r, v, &id)) {
        refused(r->why->code, r->why);
        return;
    }
    MUST(id.len > 0);
    buf_add(out, BYTES("ack "));
    add_name(out, id, limits.id_bytes);
}

/* What every reader of bodies makes of v. */
static void add_bodies(struct buf *out, struct json_value v)
{
    struct problem why = {.code = ERR_OK, .text = ""};
    struct body_reader r = {&arena, &limits, &why};

    arena_reset(&arena);
    buf_printf(out, "%d ", json_type(v));
    add_open(out, &r, v, false);
    add_open(out, &r, v, true);
    add_send(out, &r, v);
    add_acked(out, &r, v);
    add_envelopes(out, &r, v);
    add_ack(out, &r, v);
}

/* ---- frames ---- */

static bool is_inside(struct bytes part, struct bytes whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

/* The first "@@", or null. */
static const char *delimiter(struct bytes b)
{
    return b.len ? memmem(b.at, b.len, "@@", 2) : NULL;
}

static void check_v2(const struct command *c, struct bytes frame, enum err e)
{
    const char *at = delimiter(frame);
    size_t id = at ? (size_t)(at - frame.at) : 0;

    MUST(at && is_inside(c->id, frame) && is_inside(c->name, frame));
    MUST(c->id.len == (id < ID_BYTES ? id : ID_BYTES));
    MUST((e == ERR_TOO_BIG) == (id > ID_BYTES));
    MUST(id > 0 || e == ERR_BAD);
    MUST(!delimiter(c->name));
}

static enum err read_frame(struct json *j, struct bytes frame, struct command *c)
{
    struct problem why = {.code = ERR_OK, .text = ""};
    enum err e = command_read(j, frame, ID_BYTES, c, &why);
    enum json_type meta = json_type(c->meta);

    if (e)
        refused(e, &why);
    MUST(meta == JSON_ABSENT || meta == JSON_OBJECT);
    MUST(c->kind == COMMAND_UNKNOWN || c->name.len >= 4);
    if (c->grammar == GRAMMAR_V2)
        check_v2(c, frame, e);
    else
        MUST(c->id.len == 0);
    if (c->grammar == GRAMMAR_NONE)
        MUST(!e && (c->kind == COMMAND_PING || !delimiter(frame)));
    return e;
}

/* The bodies of a frame made of these parts; false: it is none. */
static bool bodies_in(struct buf *out, struct json *j, const char *head, struct bytes meta,
                      const char *tail)
{
    struct buf frame = {0};
    struct command c;
    char *piece;
    bool good;

    buf_printf(&frame, "%s", head);
    buf_add(&frame, meta);
    buf_printf(&frame, "%s", tail);
    piece = piece_new(buf_bytes(&frame), JSON_PADDING);
    good = read_frame(j, bytes_of(piece, frame.len), &c) == ERR_OK;
    if (good) {
        MUST(c.kind == COMMAND_SEND_MESSAGE);
        add_bodies(out, c.meta);
    }
    piece_free(piece);
    buf_fini(&frame);
    return good;
}

static bool is_blank(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == 0 || !strchr(" \t\r\n", text.at[i]))
            return false;
    return true;
}

/* Nothing stands for no metaData in v2 alone. */
static void grammars_agree(struct bytes meta)
{
    struct buf v1 = {0}, v2 = {0};

    if (!is_blank(meta) && bodies_in(&v2, parser, "id@@SEND_MESSAGE@@", meta, "")) {
        MUST(bodies_in(&v1, deeper, "{\"command\":\"SEND_MESSAGE\",\"metaData\":", meta, "}"));
        MUST(bytes_equal(buf_bytes(&v1), buf_bytes(&v2)));
    }
    buf_fini(&v1);
    buf_fini(&v2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of((const char *)data, size);
    char *piece = piece_new(text, JSON_PADDING);
    struct buf bodies = {0};
    struct json_value root;
    struct command c;

    if (!parser) {
        parser = json_new(DEPTH);
        deeper = json_new(DEPTH + 1);
        arena_init(&arena);
    }
    if (read_frame(parser, bytes_of(piece, size), &c) == ERR_OK)
        add_bodies(&bodies, c.meta);
    if (parse(parser, bytes_of(piece, size), &root) == ERR_OK)
        add_bodies(&bodies, root);
    grammars_agree(text);
    buf_fini(&bodies);
    piece_free(piece);
    return 0;
}
