#include "api/rest.h"

#include <inttypes.h>
#include <stdio.h>
#include "api/api_shard.h"
#include "api/http_reply.h"
#include "api/http_server.h"
#include "base/meter.h"
#include "hub/ask.h"
#include "hub/delivery.h"

static const char path[] = "/send-notification-with-acknowledge";

static void answer(struct http_conn *h, struct shard *s, enum ask_end end)
{
    char why[96];

    switch (end) {
    case ASK_ACKNOWLEDGED:
        http_reply(h, &(struct reply){.status = 200});
        break;
    case ASK_REFUSED:
        http_reply_error(h, bytes_text(path), 429,
                         "the receiver has pushca.limits.open-deliveries unacknowledged messages");
        break;
    case ASK_UNREACHABLE:
        rest_unreachable(h, bytes_text(path));
        break;
    case ASK_TAKEN: /* is not said of acknowledged ones */
    case ASK_EXPIRED:
        meter_add(METER_EXPIRED, 1);
        (void)snprintf(why, sizeof(why),
                       "no acknowledge within %" PRId64 " ms (pushca.acknowledge-timeout.ms)",
                       s->hub->settings->ack_timeout_ms);
        http_reply_error(h, bytes_text(path), 408, why);
        break;
    }
}

static void on_end(struct ask *a, enum ask_end end)
{
    struct http_conn *h = rest_waited(a);

    if (h)
        answer(h, a->shard, end);
    else
        meter_add(METER_OUTCOMES_UNCLAIMED, 1);
}

void rest_send_acked(struct request *q)
{
    struct shard *s = q->shard;
    struct api *api = api_of(s);
    int64_t wait_ms = s->hub->settings->ack_timeout_ms;
    struct acked_body b;
    struct ask *a;

    if (body_read_acked(&api->reader, q->body, &b)) {
        http_reply_error(q->conn, q->head->path, 400, api->why.text);
        return;
    }
    if (rest_is_refused(q))
        return;
    a = ask_new(s, (struct bytes){0}, NULL, wait_ms, on_end);
    delivery_make_id(s, a->message_id);
    rest_wait(q->conn, a);
    meter_add(METER_ACCEPTED_ACKED_REST, 1);
    /* Last: it may end the ask, and so answer, at once. */
    delivery_send(a, &b.client, b.message, rest_order_key(q, &b.order), wait_ms);
}
