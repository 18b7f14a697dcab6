#include "api/cmd.h"

#include "base/meter.h"
#include "flow/frame.h"
#include "hub/fanout.h"
#include "hub/session.h"
#include "hub/shard.h"

static void say_where(const struct cmd *c, struct ask *a)
{
    a->conn = conn_name(c->from->ws.conn);
    a->was_elsewhere = c->from->client->elsewhere;
}

struct ask *cmd_ask(const struct cmd *c, struct bytes reply_id, int64_t wait_ms,
                    void (*on_end)(struct ask *, enum ask_end))
{
    struct identity from = client_identity(c->from->client);
    bool may_move = bus_is_on(&c->shard->hub->bus);
    struct ask *a = ask_new(c->shard, reply_id, may_move ? &from : NULL, wait_ms, on_end);

    a->client = c->from->client->hash;
    say_where(c, a);
    return a;
}

struct ask *cmd_ask_again(const struct cmd *c, uint64_t ask)
{
    struct ask *a = ask ? ask_find(c->shard, ask) : NULL;

    if (a)
        say_where(c, a);
    return a;
}

/* No socket of it is here any more that could hear it. */
static void tell_elsewhere(const struct ask *a, struct frame *f)
{
    struct filter to = {.like = a->from};

    if (filter_is_direct(&to))
        fanout_send_admitted(a->shard, &to, f);
    else
        meter_add(METER_OUTCOMES_UNCLAIMED, 1);
}

/* A client that has gone elsewhere since may have left its socket here behind, half open. */
static bool has_moved(const struct ask *a, const struct client *c)
{
    return c && c->elsewhere && !a->was_elsewhere;
}

/* To the socket that asked, or another one here. Where it may hear nothing any more it is told
   elsewhere, too: twice does no harm. */
static bool is_told_here(const struct ask *a, struct frame *f)
{
    struct conn *c = conn_find(&a->shard->net, a->conn);
    struct ws_conn *w = c ? ws_of(c) : NULL;
    struct client *client = index_find_hash(&a->shard->index, a->client);

    if (w && ws_push(w, f) == ERR_OK)
        return !has_moved(a, client);
    return !has_moved(a, client) && client && client->session_count > 0 &&
           client_push(client, f, 0) == ERR_OK;
}

void cmd_tell(const struct ask *a, struct frame *f)
{
    if (!is_told_here(a, f))
        tell_elsewhere(a, f);
    frame_unref(f);
}
