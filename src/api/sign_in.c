#include "api/sign_in.h"

#include "api/api_shard.h"
#include "api/open_answer.h"
#include "api/ws_server.h"
#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "wire/base64url.h"

struct visit {
    struct ws_conn ws;
};

static void visitor_said(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload)
{
    (void)w;
    (void)opcode;
    (void)payload;
}

static void visitor_closed(struct ws_conn *w)
{
    ws_server_left(shard_of_conn(w->conn));
    mem_free(container_of(w, struct visit, ws));
}

void sign_in_init(struct api *api)
{
    api->visitor = (struct ws_ops){
        .settings = &api->ws, .on_message = visitor_said, .on_closed = visitor_closed};
}

bool sign_in_is_meant(const struct handshake *k)
{
    struct bytes before = BYTES("/sign-in/");
    size_t end = (size_t)(k->last.at - k->path.at);

    return end >= before.len && bytes_equal(bytes_of(k->last.at - before.len, before.len), before);
}

static enum err read_body(struct handshake *k, struct open_body *out)
{
    struct api *api = api_of(k->shard);
    size_t len = 0;
    char *text = arena_alloc(&api->arena, k->last.len + JSON_PADDING);
    struct json_value root;
    enum err e;

    memset(text, 0, k->last.len + JSON_PADDING);
    if (!base64url_read(k->last, text, &len))
        return problem_set(&api->why, ERR_BAD, "what follows /sign-in/ must be URL-safe base64");
    e = json_parse(api->json, bytes_of(text, len), &root, &api->why);
    return e ? e : body_read_open(&api->reader, root, false, out);
}

/* The socket never speaks as a client, so bytes behind the request are of no interest; and for one
   message, with a secret in it, nothing is compressed. */
static void answer(struct handshake *k, struct bytes json)
{
    struct shard *s = k->shard;
    struct visit *v = mem_new(struct visit);
    struct buf unread = {0};
    struct conn *c = http_leave(k->conn, &unread);
    struct frame *f;

    buf_fini(&unread);
    k->upgrade.deflate = (struct deflate_terms){0};
    ws_take(&v->ws, c, &k->upgrade, &api_of(s)->visitor, &s->rand);
    meter_add(METER_HANDSHAKES, 1);
    f = ws_frame(FRAME_ANSWER, WS_TEXT, json, (struct bytes){0});
    if (ws_push(&v->ws, f) == ERR_OK)
        ws_close(&v->ws, WS_CLOSE_NORMAL, (struct bytes){0}, false);
    frame_unref(f);
}

static void answer_body(struct handshake *k, const struct open_body *b)
{
    struct buf *out = &api_of(k->shard)->out;
    struct member node;
    const char *why;

    if (k->shard->drain)
        ws_server_refuse(k, 503, "the server is going down");
    else if (!open_choose(k->shard, b->instance_id, &node, &why))
        ws_server_refuse(k, 503, why);
    else if (open_answer_write(k->shard, &node, b, false, out))
        ws_server_refuse_short(k);
    else
        answer(k, buf_bytes(out));
}

void sign_in(struct handshake *k)
{
    struct open_body b = {0};
    enum err e = read_body(k, &b);

    if (e == ERR_FULL)
        ws_server_refuse_short(k);
    else if (e)
        ws_server_refuse(k, 400, api_of(k->shard)->why.text);
    else
        answer_body(k, &b);
}
