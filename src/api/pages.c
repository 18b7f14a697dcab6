#include "api/pages.h"

#include "api/api_shard.h"
#include "api/assets.h"
#include "api/http_reply.h"
#include "api/http_server.h"

void page_asset(struct request *q)
{
    const struct asset *a = asset_find(q->path);

    if (!a) {
        http_reply_error(q->conn, q->head->path, 404, "there is nothing at this path");
        return;
    }
    http_reply(q->conn, &(struct reply){.status = 200,
                                        .type = a->type,
                                        .body = bytes_of((const char *)a->at, a->len)});
}

void page_swagger_config(struct request *q)
{
    http_reply_json(q->conn, 200,
                    BYTES("{\"configUrl\":\"/pushca/swagger-config\",\"url\":\"/pushca.yaml\","
                          "\"validatorUrl\":\"\"}"));
}

void page_swagger_redirect(struct request *q)
{
    http_reply(q->conn, &(struct reply){.status = 302,
                                        .fields = BYTES("Location: /swagger-ui/index.html\r\n")});
}
