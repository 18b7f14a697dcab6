#include "api/cmd.h"

#include "api/api_shard.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/ask.h"
#include "hub/delivery.h"
#include "hub/session.h"

static struct frame *acknowledge(struct bytes reply_id)
{
    return ws_frame(FRAME_ANSWER, WS_TEXT, reply_id, BYTES("@@ACKNOWLEDGE"));
}

/* The error envelope of a refusal waits in the repeat until the outcome is known (cmd_acked). */
static void on_end(struct ask *a, enum ask_end end)
{
    struct repeat *r = a->repeat ? repeats_find(a->shard, a->repeat) : NULL;

    switch (end) {
    case ASK_ACKNOWLEDGED:
        if (r) {
            r->state = REPEAT_ACKED;
            frame_unref(r->answer);
            r->answer = NULL;
        }
        cmd_tell(a, acknowledge(bytes_text(a->reply_id)));
        break;
    case ASK_REFUSED:
        if (r && r->answer) {
            r->state = REPEAT_ANSWER;
            cmd_tell(a, frame_ref(r->answer));
        }
        break;
    case ASK_UNREACHABLE: /* said again it is tried again */
        if (r && r->answer)
            cmd_tell(a, frame_ref(r->answer));
        break;
    case ASK_TAKEN: /* is not said of acknowledged ones */
        break;
    case ASK_EXPIRED:
        meter_add(METER_EXPIRED, 1);
        break; /* silence: any answer would be taken for success */
    }
}

static void deliver(struct cmd *c, struct ask *a, const struct acked_body *b)
{
    /* It may end the ask at once: a is not used afterwards. */
    delivery_send(a, &b->client, b->message, b->order.preserved ? cmd_order_key(c) : 0,
                  c->shard->hub->settings->ack_keep_ms);
}

static void remember(struct cmd *c, struct repeat *r, const struct ask *a)
{
    if (r)
        repeats_renew(c->shard, r);
    else
        r = repeats_add(c->shard, c->repeat, REPEAT_PENDING);
    r->ask = a->name;
    if (!r->answer)
        r->answer = cmd_error(c, BYTES("the receiver has too many unacknowledged messages, or its "
                                       "node cannot be reached now"));
}

/* r: what is remembered of the command, or null. */
static void start(struct cmd *c, const struct acked_body *b, struct repeat *r)
{
    struct shard *s = c->shard;
    char id[sizeof(((struct ask *)0)->message_id)];
    struct bytes reply = b->id;
    struct ask *a;

    delivery_make_id(s, id);
    if (reply.len == 0)
        reply = c->said.grammar == GRAMMAR_V2 ? c->said.id : bytes_text(id);
    a = cmd_ask(c, reply, s->hub->settings->ack_keep_ms, on_end);
    memcpy(a->message_id, id, sizeof(id));
    a->repeat = c->repeat;
    if (c->repeat)
        remember(c, r, a);
    meter_add(METER_ACCEPTED_ACKED_WS, 1);
    deliver(c, a, b);
}

void cmd_acked(struct cmd *c)
{
    struct acked_body b;

    if (body_read_acked(&c->api->reader, c->said.meta, &b))
        cmd_failed(c, bytes_text(c->api->why.text));
    else if (!cmd_is_refused(c))
        start(c, &b, NULL);
}

void cmd_acked_again(struct cmd *c, struct repeat *r)
{
    struct acked_body b;
    struct ask *a;

    /* Equal keys mean equal text; were they ever not, silence does the least harm. */
    if (c->said.kind != COMMAND_SEND_MESSAGE_WITH_ACKNOWLEDGE ||
        body_read_acked(&c->api->reader, c->said.meta, &b)) {
        meter_add(METER_COMMANDS_BAD, 1);
        return;
    }
    if (r->state == REPEAT_ACKED) {
        cmd_push(c, acknowledge(b.id.len ? b.id : c->said.id));
        return;
    }
    if (cmd_is_refused(c))
        return;
    a = cmd_ask_again(c, r->ask);
    if (a) {
        deliver(c, a, &b);
    } else {
        start(c, &b, r);
    }
}
