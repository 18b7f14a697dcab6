#include "api/pages.h"

#include "api/api_shard.h"
#include "api/assets.h"
#include "api/http_reply.h"
#include "api/http_server.h"
#include "wire/json_write.h"

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

/* A member whose value is a path of ours, as the asker has to write it. */
static void write_path(struct json_writer *w, const char *name, struct bytes prefix,
                       const char *path)
{
    struct buf whole = {0};

    buf_add(&whole, prefix);
    buf_add(&whole, bytes_text(path));
    json_member(w, name, buf_bytes(&whole));
    buf_fini(&whole);
}

void page_swagger_config(struct request *q)
{
    struct bytes prefix = http_own_address(q).prefix;
    struct buf *out = &api_of(q->shard)->out;
    struct json_writer w;

    out->len = 0;
    w = json_writer(out);
    json_open_object(&w);
    write_path(&w, "configUrl", prefix, "/pushca/swagger-config");
    write_path(&w, "url", prefix, "/pushca.yaml");
    json_member(&w, "validatorUrl", BYTES(""));
    json_close_object(&w);
    http_reply_json(q->conn, 200, buf_bytes(out));
}

void page_swagger_redirect(struct request *q)
{
    struct bytes prefix = http_own_address(q).prefix;
    struct buf fields = {0};

    buf_add(&fields, BYTES("Location: "));
    buf_add(&fields, prefix);
    buf_add(&fields, BYTES("/swagger-ui/index.html\r\n"));
    http_reply(q->conn, &(struct reply){.status = 302, .fields = buf_bytes(&fields)});
    buf_fini(&fields);
}
