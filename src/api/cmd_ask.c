#include "api/cmd.h"

#include "base/meter.h"
#include "flow/frame.h"
#include "hub/ask.h"
#include "hub/session.h"
#include "hub/shard.h"

void cmd_asks(const struct cmd *c, struct ask *a)
{
    a->conn = conn_name(c->from->ws.conn);
    a->client = c->from->client->hash;
}

void cmd_tell(const struct ask *a, struct frame *f)
{
    struct shard *s = a->shard;
    struct conn *c = conn_find(&s->net, a->conn);
    struct ws_conn *w = c ? ws_of(c) : NULL;
    struct client *client;

    if (!w || ws_push(w, f)) {
        client = index_find_hash(&s->index, a->client);
        if (client && client->session_count > 0)
            (void)!client_push(client, f, 0);
        else
            meter_add(METER_OUTCOMES_UNCLAIMED, 1);
    }
    frame_unref(f);
}
