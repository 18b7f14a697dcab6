#include "api/cmd.h"

#include "api/api_shard.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/ask.h"
#include "hub/fanout.h"
#include "hub/session.h"

/* Other nodes have it, or it took them too long: it is on its way all the same. */
static void on_end(struct ask *a, enum ask_end end)
{
    struct frame *f = ws_frame(FRAME_ANSWER, WS_TEXT, bytes_text(a->reply_id), BYTES("@@RESPONSE"));

    if (end == ASK_EXPIRED)
        meter_add(METER_CLUSTER_OVERDUE, 1);
    cmd_tell(a, f);
}

/* In a cluster the answer to preserveOrder waits until nothing sent after it can overtake it; who
   gets no answer, or has no time for it in a drain, does not wait. */
static struct order order_of(struct cmd *c, bool in_order)
{
    int64_t wait_ms = fanout_order_ms(c->shard->hub);
    struct order o = {.key = in_order ? cmd_order_key(c) : 0};

    if (in_order && wait_ms && c->said.grammar == GRAMMAR_V2 && !c->shard->drain)
        o.ask = cmd_ask(c, c->said.id, wait_ms, on_end)->name;
    return o;
}

static void send(struct cmd *c, bool in_order)
{
    struct api *api = c->api;
    struct send_body b;
    struct order o;
    struct frame *f;
    enum err e;

    if (body_read_send(&api->reader, c->said.meta, &b)) {
        cmd_failed(c, bytes_text(api->why.text));
        return;
    }
    if (cmd_is_refused(c))
        return;
    o = order_of(c, in_order || b.order.preserved);
    f = ws_frame(FRAME_PLAIN, WS_TEXT, b.message, (struct bytes){0});
    e = fanout_send(c->shard, &b.filter, f, &o);
    frame_unref(f);
    if (o.ask && !o.waits)
        ask_drop(ask_find(c->shard, o.ask));
    if (e) {
        cmd_unreachable(c);
        return;
    }
    meter_add(METER_ACCEPTED_PLAIN_WS, 1);
    if (o.waits)
        cmd_remember(c, o.ask);
    else
        cmd_done(c);
}

void cmd_send(struct cmd *c)
{
    send(c, false);
}

void cmd_send_in_order(struct cmd *c)
{
    send(c, true);
}
