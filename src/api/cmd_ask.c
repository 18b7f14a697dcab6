#include "api/cmd.h"

#include "base/meter.h"
#include "flow/frame.h"
#include "hub/fanout.h"
#include "hub/session.h"
#include "hub/shard.h"

struct ask *cmd_ask(const struct cmd *c, struct bytes reply_id, int64_t wait_ms,
                    void (*on_end)(struct ask *, enum ask_end))
{
    struct identity from = client_identity(c->from->client);
    bool may_move = bus_is_on(&c->shard->hub->bus);
    struct ask *a = ask_new(c->shard, reply_id, may_move ? &from : NULL, wait_ms, on_end);

    a->conn = conn_name(c->from->ws.conn);
    a->client = c->from->client->hash;
    return a;
}

/* No socket of it is here any more. */
static void tell_elsewhere(const struct ask *a, struct frame *f)
{
    struct filter to = {.like = a->from};

    if (filter_is_direct(&to))
        fanout_send_admitted(a->shard, &to, f);
    else
        meter_add(METER_OUTCOMES_UNCLAIMED, 1);
}

void cmd_tell(const struct ask *a, struct frame *f)
{
    struct conn *c = conn_find(&a->shard->net, a->conn);
    struct ws_conn *w = c ? ws_of(c) : NULL;
    struct client *client;

    if (!w || ws_push(w, f)) {
        client = index_find_hash(&a->shard->index, a->client);
        if (client && client->session_count > 0)
            (void)!client_push(client, f, 0);
        else
            tell_elsewhere(a, f);
    }
    frame_unref(f);
}
