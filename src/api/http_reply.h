/*
 * http_reply - the answers of both listeners: what every one of them carries, and errors as JSON.
 *
 * Form:    {"timestamp":..,"status":400,"error":"Bad Request","message":..,"path":..}.
 * Owner:   nobody; uses the shard's scratch buffers.      Thread: the connection's.
 */
#pragma once
#include "base/bytes.h"
#include "net/http_conn.h"

struct reply {
    int status;
    const char *type;    /* null: no body */
    struct bytes fields; /* more header lines, each with CRLF; not in the shard's `fields` */
    struct bytes body;
};

/* Adds what every answer has, and gives it to the connection. */
void http_reply(struct http_conn *h, const struct reply *r);

void http_reply_json(struct http_conn *h, int status, struct bytes body);

/* path: as the peer sent it. 429 and 503 get Retry-After. why must not lie in the shard's `out`. */
void http_reply_error(struct http_conn *h, struct bytes path, int status, const char *why);

/* 503, because the system gave no memory: counted as such. */
void http_reply_short(struct http_conn *h, struct bytes path);

/* An error with more header lines, as in struct reply. */
void http_reply_refusal(struct http_conn *h, struct bytes path, int status, const char *why,
                        struct bytes fields);
