#include "api/cmd.h"

#include "api/api_shard.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/fanout.h"

void cmd_envelopes(struct cmd *c)
{
    struct api *api = c->api;
    struct envelopes_body b;
    size_t i;

    if (body_read_envelopes(&api->reader, c->said.meta, &b)) {
        cmd_failed(c, bytes_text(api->why.text));
        return;
    }
    if (cmd_is_refused(c))
        return;
    if (bus_is_closed(&c->shard->hub->bus)) { /* all of them or none */
        cmd_unreachable(c);
        return;
    }
    for (i = 0; i < b.count; i++) {
        struct filter to = {.like = b.at[i].client};
        struct frame *f = ws_frame(FRAME_PLAIN, WS_TEXT, b.at[i].message, (struct bytes){0});

        (void)!fanout_send(c->shard, &to, f, 0); /* counted */
        frame_unref(f);
    }
    meter_add(METER_ACCEPTED_PLAIN_WS, (int64_t)b.count);
    cmd_done(c);
}
