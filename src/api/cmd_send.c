#include "api/cmd.h"

#include "api/api_shard.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/fanout.h"

static void send(struct cmd *c, bool in_order)
{
    struct api *api = c->api;
    struct send_body b;
    struct frame *f;
    enum err e;

    if (body_read_send(&api->reader, c->said.meta, &b)) {
        cmd_failed(c, bytes_text(api->why.text));
        return;
    }
    if (cmd_is_refused(c))
        return;
    f = ws_frame(FRAME_PLAIN, WS_TEXT, b.message, (struct bytes){0});
    e = fanout_send(c->shard, &b.filter, f, in_order || b.preserve_order ? cmd_order_key(c) : 0);
    frame_unref(f);
    if (e) {
        cmd_unreachable(c);
        return;
    }
    meter_add(METER_ACCEPTED_PLAIN_WS, 1);
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
