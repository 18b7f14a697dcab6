/*
 * body - the bodies of REST requests, which are also the metaData of WebSocket commands.
 *
 * Words:    protocol.md 0.2, B, E. Unknown members are ignored; null is absent; a member of the
 * wrong type, an empty or overlong dimension, a missing member is a problem that names it by its
 *           path ("filter.exclude[3].accountId must be a string").
 * Owner:    views into the parser (until its next parse); arrays in the caller's arena.
 * Thread:   the parser's.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "wire/identity.h"
#include "wire/json.h"

struct body_limits {
    size_t dimension_bytes; /* of one dimension's value, 1 to this; no control characters */
    size_t exclude;         /* entries */
    size_t id_bytes;        /* of a message id */
    size_t envelopes;       /* entries of SEND_ENVELOPES */
    int64_t pool;           /* poolSize, 1 to this */
};

struct body_reader {
    struct arena *arena;
    const struct body_limits *limits;
    struct problem *why;
};

struct open_body {            /* /open-connection, /open-connection-pool, sign-in */
    struct identity client;   /* from "client" or "Client" */
    struct bytes instance_id; /* empty: any */
    int64_t pool_size;        /* 1 where not given */
};

struct order_body {
    bool preserved;         /* preserveOrder */
    struct identity sender; /* then; never refused: what is not given, or no text, is empty */
};

struct send_body { /* /send-notification, SEND_MESSAGE */
    struct bytes id;
    struct filter filter;
    struct bytes message;
    struct order_body order;
};

struct acked_body { /* /send-notification-with-acknowledge, SEND_MESSAGE_WITH_ACKNOWLEDGE */
    struct bytes id;
    struct identity client;
    struct bytes message;
    struct order_body order;
};

struct envelope_body {
    struct identity client;
    struct bytes message;
};

struct envelopes_body { /* SEND_ENVELOPES */
    const struct envelope_body *at;
    size_t count;
};

/* All answer ERR_BAD or ERR_TOO_BIG and fill r->why. pooled: poolSize is required. */
MUST_USE enum err body_read_open(const struct body_reader *r, struct json_value v, bool pooled,
                                 struct open_body *out);
MUST_USE enum err body_read_send(const struct body_reader *r, struct json_value v,
                                 struct send_body *out);
MUST_USE enum err body_read_acked(const struct body_reader *r, struct json_value v,
                                  struct acked_body *out);
MUST_USE enum err body_read_envelopes(const struct body_reader *r, struct json_value v,
                                      struct envelopes_body *out);
MUST_USE enum err body_read_ack(const struct body_reader *r, struct json_value v,
                                struct bytes *message_id);
