#include "api/rest.h"

#include "api/api_shard.h"
#include "api/http_reply.h"
#include "api/http_server.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/ask.h"
#include "hub/fanout.h"

bool rest_is_refused(struct request *q)
{
    if (!hub_is_at(q->shard->hub, HUB_NO_SENDS))
        return false;
    meter_add(METER_REFUSED_MEMORY, 1);
    http_reply_error(q->conn, q->head->path, 429,
                     "the memory budget (pushca.limits.memory-bytes) is used up");
    return true;
}

void rest_unreachable(struct http_conn *h, struct bytes path)
{
    http_reply_error(h, path, 503,
                     "another node of the cluster is needed and cannot be reached now: try again");
}

uint64_t rest_order_key(const struct request *q, const struct order_body *o)
{
    return o->preserved ? identity_hash(&q->shard->hub->key, &o->sender) | 1 : 0;
}

/* Other nodes have it, or it took them too long: it is on its way all the same. */
static void on_end(struct ask *a, enum ask_end end)
{
    struct http_conn *h = rest_waited(a);

    if (end == ASK_EXPIRED)
        meter_add(METER_CLUSTER_OVERDUE, 1);
    if (h)
        http_reply(h, &(struct reply){.status = 200});
}

/* In a cluster the answer to preserveOrder waits until nothing sent after it can overtake it. */
static struct order order_of(struct request *q, const struct order_body *b)
{
    int64_t wait_ms = fanout_order_ms(q->shard->hub);
    struct order o = {.key = rest_order_key(q, b)};

    if (o.key && wait_ms) {
        struct ask *a = ask_new(q->shard, (struct bytes){0}, NULL, wait_ms, on_end);

        rest_wait(q->conn, a);
        o.ask = a->name;
    }
    return o;
}

void rest_send(struct request *q)
{
    struct api *api = api_of(q->shard);
    struct send_body b;
    struct frame *frame;
    struct order o;
    enum err e;

    if (body_read_send(&api->reader, q->body, &b)) {
        http_reply_error(q->conn, q->head->path, 400, api->why.text);
        return;
    }
    if (rest_is_refused(q))
        return;
    o = order_of(q, &b.order);
    frame = ws_frame(FRAME_PLAIN, WS_TEXT, b.message, (struct bytes){0});
    e = fanout_send(q->shard, &b.filter, frame, &o);
    frame_unref(frame);
    if (!o.waits)
        rest_forget(q->conn);
    if (e) {
        rest_unreachable(q->conn, q->head->path);
        return;
    }
    meter_add(METER_ACCEPTED_PLAIN_REST, 1);
    if (!o.waits)
        http_reply(q->conn, &(struct reply){.status = 200});
}
