#include "api/rest.h"

#include "api/api_shard.h"
#include "api/http_reply.h"
#include "api/http_server.h"
#include "base/meter.h"
#include "flow/frame.h"
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

uint64_t rest_order_key(const struct request *q)
{
    struct conn_id id = conn_name(q->conn->conn);
    uint64_t place = (uint64_t)q->shard->number << 32 | id.slot;

    return hash_mix(place, id.gen) | 1;
}

void rest_send(struct request *q)
{
    struct api *api = api_of(q->shard);
    struct send_body b;
    struct frame *frame;
    enum err e;

    if (body_read_send(&api->reader, q->body, &b)) {
        http_reply_error(q->conn, q->head->path, 400, api->why.text);
        return;
    }
    if (rest_is_refused(q))
        return;
    frame = ws_frame(FRAME_PLAIN, WS_TEXT, b.message, (struct bytes){0});
    e = fanout_send(q->shard, &b.filter, frame, b.preserve_order ? rest_order_key(q) : 0);
    frame_unref(frame);
    if (e) {
        rest_unreachable(q->conn, q->head->path);
        return;
    }
    meter_add(METER_ACCEPTED_PLAIN_REST, 1);
    http_reply(q->conn, &(struct reply){.status = 200});
}
