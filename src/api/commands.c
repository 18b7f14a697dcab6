#include "api/commands.h"

#include "api/api_shard.h"
#include "api/cmd.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/session.h"
#include "wire/json_write.h"

enum { NAME_SHOWN_MAX = 64 }; /* bytes of an unknown command's name in the answer */

/* ---- answers ---- */

struct frame *cmd_response(struct cmd *c, struct bytes json)
{
    struct buf head = {0};
    struct frame *f;

    buf_add(&head, c->said.id);
    buf_add(&head, json.len ? BYTES("@@RESPONSE@@") : BYTES("@@RESPONSE"));
    f = ws_frame(FRAME_ANSWER, WS_TEXT, buf_bytes(&head), json);
    buf_fini(&head);
    return f;
}

struct frame *cmd_error(struct cmd *c, struct bytes why)
{
    struct buf *out = &c->api->out;
    struct json_writer w;

    out->len = 0;
    w = json_writer(out);
    json_open_object(&w);
    json_member(&w, "error", why);
    json_close_object(&w);
    return cmd_response(c, buf_bytes(out));
}

/* A refused push has closed the socket, or it was closing already: there is nobody to tell. */
void cmd_push(struct cmd *c, struct frame *f)
{
    (void)!ws_push(&c->from->ws, f);
    frame_unref(f);
}

void cmd_remember(struct cmd *c, uint64_t ask)
{
    repeats_add(c->shard, c->repeat, REPEAT_BARE)->ask = ask;
}

void cmd_done(struct cmd *c)
{
    if (c->said.grammar != GRAMMAR_V2)
        return;
    cmd_remember(c, 0);
    cmd_push(c, cmd_response(c, (struct bytes){0}));
}

static bool is_ever_answered(const struct cmd *c)
{
    return c->said.grammar == GRAMMAR_V2 && c->said.kind != COMMAND_ACKNOWLEDGE &&
           c->said.kind != COMMAND_PING;
}

static void fail(struct cmd *c, struct bytes why)
{
    meter_add(METER_COMMANDS_BAD, 1);
    if (is_ever_answered(c))
        cmd_push(c, cmd_error(c, why));
}

void cmd_failed(struct cmd *c, struct bytes why)
{
    if (ws_tolerate(&c->from->ws, WS_BAD_COMMANDS))
        fail(c, why);
    else
        meter_add(METER_COMMANDS_BAD, 1);
}

bool cmd_is_refused(struct cmd *c)
{
    if (!hub_is_at(c->shard->hub, HUB_NO_SENDS))
        return false;
    meter_add(METER_REFUSED_MEMORY, 1);
    fail(c, BYTES("the server's memory budget is used up")); /* not its fault */
    return true;
}

void cmd_unreachable(struct cmd *c)
{
    fail(c, CMD_UNREACHABLE);
}

uint64_t cmd_order_key(const struct cmd *c)
{
    return c->from->client->hash | 1;
}

/* ---- dispatch ---- */

static void pong(struct cmd *c)
{
    if (ws_tolerate(&c->from->ws, WS_PINGS))
        cmd_push(c, frame_ref(c->api->pong));
}

static void unknown(struct cmd *c)
{
    struct problem why;
    struct bytes name = c->said.name;

    if (name.len > NAME_SHOWN_MAX)
        name.len = NAME_SHOWN_MAX;
    while (name.len < c->said.name.len && name.len > 0 && (name.at[name.len] & 0xc0) == 0x80)
        name.len--; /* not inside a character */
    (void)problem_set(&why, ERR_BAD, "unknown command %.*s", (int)name.len, name.at);
    cmd_failed(c, bytes_text(why.text));
}

static void answer_again(struct cmd *c, struct repeat *r)
{
    meter_add(METER_REPEATS, 1);
    switch (r->state) {
    case REPEAT_BARE:
        if (!cmd_ask_again(c, r->ask))
            cmd_push(c, cmd_response(c, (struct bytes){0}));
        break;
    case REPEAT_ANSWER:
        cmd_push(c, frame_ref(r->answer));
        break;
    case REPEAT_PENDING:
    case REPEAT_ACKED:
        cmd_acked_again(c, r);
        break;
    }
}

static void carry_out(struct cmd *c)
{
    switch (c->said.kind) {
    case COMMAND_SEND_MESSAGE:
        cmd_send(c);
        break;
    case COMMAND_SEND_MESSAGE_WITH_PRESERVED_ORDER:
        cmd_send_in_order(c);
        break;
    case COMMAND_SEND_MESSAGE_WITH_ACKNOWLEDGE:
        cmd_acked(c);
        break;
    case COMMAND_SEND_ENVELOPES:
        cmd_envelopes(c);
        break;
    case COMMAND_REFRESH_TOKEN:
        cmd_token(c);
        break;
    case COMMAND_PING:
    case COMMAND_ACKNOWLEDGE:
    case COMMAND_UNKNOWN:
        break;
    }
}

/* What the parser has copied is not held twice: a message of a large command would be there three
   times when its frame is made. */
static void forget_text(struct cmd *c)
{
    if (c->text.len <= API_KEPT_BYTES)
        return;
    c->said.id = arena_copy(&c->api->arena, c->said.id);
    c->text = (struct bytes){0};
    ws_forget_message(&c->from->ws);
}

/* Commands that are remembered: a v2 one that was said before is answered from memory. */
static void once(struct cmd *c)
{
    struct repeat *r = NULL;

    if (c->said.grammar == GRAMMAR_V2) {
        c->repeat = repeat_key(c->shard, c->from->client->hash, c->text);
        r = repeats_find(c->shard, c->repeat);
    }
    forget_text(c);
    if (r)
        answer_again(c, r);
    else
        carry_out(c);
}

static void dispatch(struct cmd *c)
{
    if (c->said.kind == COMMAND_UNKNOWN) {
        unknown(c);
        return;
    }
    meter_add(METER_COMMANDS, 1);
    if (c->said.kind == COMMAND_PING)
        pong(c);
    else if (c->said.kind == COMMAND_ACKNOWLEDGE)
        cmd_ack(c);
    else
        once(c);
}

static void unanswerable(struct cmd *c)
{
    meter_add(METER_COMMANDS_BAD, 1);
    (void)!ws_tolerate(&c->from->ws, WS_BAD_COMMANDS);
}

static void no_memory(struct cmd *c, struct bytes why)
{
    meter_add(METER_REFUSED_MEMORY, 1);
    fail(c, why);
}

void commands_on_text(struct shard *s, struct session *from, struct bytes text)
{
    struct api *api = api_of(s);
    struct cmd c = {.shard = s, .api = api, .from = from, .text = text};
    struct problem why;
    enum err e;

    arena_reset(&api->arena);
    e = command_read(api->json, text, s->hub->settings->body.id_bytes, &c.said, &why);
    /* Of an id that is too long there is no whole one to answer to. */
    if (e == ERR_TOO_BIG || (c.said.grammar == GRAMMAR_NONE && c.said.kind != COMMAND_PING))
        unanswerable(&c);
    else if (e == ERR_FULL)
        no_memory(&c, bytes_text(why.text));
    else if (e)
        cmd_failed(&c, bytes_text(why.text));
    else
        dispatch(&c);
    api_rest(api, text.len);
}
