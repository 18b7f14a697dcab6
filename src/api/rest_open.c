#include "api/rest.h"

#include "api/api_shard.h"
#include "api/http_reply.h"
#include "api/http_server.h"
#include "api/open_answer.h"

/* pusherInstanceId of the request is a wish: the answer says which node it is. */
static void open(struct request *q, bool pooled)
{
    struct api *api = api_of(q->shard);
    struct open_body b;
    struct member node;
    const char *why;

    if (body_read_open(&api->reader, q->body, pooled, &b)) {
        http_reply_error(q->conn, q->head->path, 400, api->why.text);
    } else if (!open_choose(q->shard, b.instance_id, &node, &why)) {
        http_reply_error(q->conn, q->head->path, 429, why);
    } else if (open_answer_write(q->shard, &node, &b, pooled, &api->out)) {
        http_reply_short(q->conn, q->head->path);
    } else {
        http_reply_json(q->conn, 200, buf_bytes(&api->out));
    }
}

void rest_open_connection(struct request *q)
{
    open(q, false);
}

void rest_open_connection_pool(struct request *q)
{
    open(q, true);
}
