#include "api/http_reply.h"

#include <stdio.h>
#include <time.h>
#include "api/api_shard.h"
#include "base/clock.h"
#include "base/meter.h"
#include "wire/http1.h"
#include "wire/json_write.h"
#include "wire/utf8.h"

void http_reply(struct http_conn *h, const struct reply *r)
{
    struct api *api = api_of(h->handler->context);
    struct buf *fields = &api->fields;

    fields->len = 0;
    buf_add(fields, BYTES("Access-Control-Allow-Origin: *\r\n"));
    buf_add(fields, r->fields);
    http_answer(
        h, &(struct http_answer){
               .status = r->status, .type = r->type, .fields = buf_bytes(fields), .body = r->body});
}

void http_reply_json(struct http_conn *h, int status, struct bytes body)
{
    http_reply(h, &(struct reply){.status = status, .type = "application/json", .body = body});
}

static void write_timestamp(struct json_writer *w)
{
    char text[96]; /* room for whatever seven ints may print */
    int64_t now_ms = clock_wall_ms();
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm t;

    gmtime_r(&now_s, &t);
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03d+00:00", t.tm_year + 1900,
                   t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)(now_ms % 1000));
    json_member(w, "timestamp", bytes_text(text));
}

static bool asks_to_come_again(int status)
{
    return status == 429 || status == 503;
}

void http_reply_refusal(struct http_conn *h, struct bytes path, int status, const char *why,
                        struct bytes fields)
{
    struct api *api = api_of(h->handler->context);
    struct json_writer w;

    api->out.len = 0;
    w = json_writer(&api->out);
    json_open_object(&w);
    write_timestamp(&w);
    json_key(&w, "status");
    json_number(&w, status);
    json_member(&w, "error", bytes_text(http1_reason(status)));
    json_member(&w, "message", bytes_text(why));
    json_member(&w, "path", utf8_valid(path) ? path : (struct bytes){0});
    json_close_object(&w);
    http_reply(h, &(struct reply){.status = status,
                                  .type = "application/json",
                                  .fields = fields,
                                  .body = buf_bytes(&api->out)});
}

void http_reply_short(struct http_conn *h, struct bytes path)
{
    meter_add(METER_REFUSED_MEMORY, 1);
    http_reply_error(h, path, 503, "the system has no memory left");
}

void http_reply_error(struct http_conn *h, struct bytes path, int status, const char *why)
{
    struct bytes none = {0};

    http_reply_refusal(h, path, status, why,
                       asks_to_come_again(status) ? BYTES("Retry-After: 1\r\n") : none);
}
