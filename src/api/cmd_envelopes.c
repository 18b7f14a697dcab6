#include "api/cmd.h"

#include "api/api_shard.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/fanout.h"

/* All of them or none: what does not need another node goes on. */
static bool is_reachable(struct shard *s, const struct envelopes_body *b)
{
    size_t i;

    if (!bus_is_closed(&s->hub->bus))
        return true;
    for (i = 0; i < b->count; i++)
        if (!fanout_is_here(s, &(struct filter){.like = b->at[i].client}))
            return false;
    return true;
}

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
    if (!is_reachable(c->shard, &b)) {
        meter_add(METER_REFUSED_CLUSTER, (int64_t)b.count);
        cmd_unreachable(c);
        return;
    }
    for (i = 0; i < b.count; i++) {
        struct filter to = {.like = b.at[i].client};
        struct frame *f = ws_frame(FRAME_PLAIN, WS_TEXT, b.at[i].message, (struct bytes){0});

        fanout_send_admitted(c->shard, &to, f);
        frame_unref(f);
    }
    meter_add(METER_ACCEPTED_PLAIN_WS, (int64_t)b.count);
    cmd_done(c);
}
