/*
 * http_conn - one HTTP/1.1 connection: whole requests in, answers out, in order.
 *
 *   HEAD --head--> BODY --whole--> ANSWER (the handler's turn) --http_answer--> HEAD ...
 *     \--the peer leaves its answers--> PAUSED --> HEAD           \--the last--> ENDED
 *
 * Standard: RFC 9112. Pipelining: the next request is looked at when the last was answered; what
 *           arrives before that is read once and then left to the kernel.
 * Owner:    created by http_open; freed after its conn closed.      Thread: the conn's.
 * Bound:    http_limits; memory grows with what arrived, never with what was announced.
 * Errors:   malformed or oversized requests are answered here through handler->on_error and end
 *           the connection; the handler sees only whole, well-formed requests.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "net/conn.h"
#include "wire/http1.h"

struct http_limits {
    struct http1_limits head;
    size_t body_bytes;
    int64_t head_ms;       /* from the first byte of a head to its last */
    int64_t body_ms;       /* from the end of the head to the end of the body */
    int64_t keep_alive_ms; /* idle between requests, and before the first */
    int64_t memory_bytes;  /* of the process; over it long incomplete bodies end in 503. 0: any */
};

struct address;
struct http_conn;

struct http_handler {
    void *context; /* for the handler's own use */
    /* A whole request. Answer now or later by http_answer, http_leave or http_release. JSON_PADDING
       bytes are readable behind body. Everything is borrowed until return. */
    void (*on_request)(struct http_conn *h, const struct http1_request *r, struct bytes body);
    /* Answer by http_answer with this status; the connection ends after it. r is null when the
       head could not be read. */
    void (*on_error)(struct http_conn *h, const struct http1_request *r, int status,
                     const char *why);
    /* The connection is about to be freed; an answer is no longer wanted. Once for every
       http_open, but not after http_leave and http_release. */
    void (*on_closed)(struct http_conn *h);
};

struct http_conn {
    /* read by handlers */
    struct conn *conn;
    const struct http_handler *handler;
    void *user;
    /* private to http_conn.c */
    const struct http_limits *limits;
    struct buf in;   /* an incomplete request, or requests behind the one being answered */
    struct buf body; /* of a chunked request, decoded */
    struct http1_chunks chunks;
    size_t scanned, head_len, body_len;
    uint8_t state;
    bool chunked, keep_alive, is_head, minor_zero, last, released, running;
    bool eof, first;   /* the peer sent its last byte; first_ms still counts */
    uint32_t held;     /* of in and body, when last counted */
    struct bytes rest; /* behind the request being handled */
};

struct http_answer {
    int status;
    const char *type;    /* Content-Type, or null: no body */
    struct bytes fields; /* more header lines, each with CRLF, or empty */
    struct bytes body;
};

/* Takes fd and starts reading. first_ms: deadline for the whole first request, body included (0:
   keep_alive_ms, head_ms and body_ms rule). ERR_*: as conn_open; fd is then closed. */
MUST_USE enum err http_open(struct net *n, int fd, const struct http_limits *limits,
                            const struct http_handler *handler, int64_t first_ms,
                            struct http_conn **out);

/* Exactly once for every on_request and on_error. */
void http_answer(struct http_conn *h, const struct http_answer *a);

/* From now on every answer ends its connection. An idle one is closed at once, unless its TLS does
   not stand yet. */
void http_end(struct http_conn *h);

/* The same for drain; and a request of which only a part has come must be whole by due_ms, as must
   TLS and a request that are only on their way: else its connection ends without an answer. */
void http_end_by(struct http_conn *h, int64_t due_ms);

/* Inside on_request: leaves the conn to another protocol, which conn_become at once, and the bytes
   behind the request (appended to unread). Only for a request with an Upgrade field: it is handed
   out when all earlier answers have left. */
struct conn *http_leave(struct http_conn *h, struct buf *unread);

/* The same for the bare socket, which goes to another thread. */
int http_release(struct http_conn *h, struct buf *unread);

/* Who is at the other end; false: it has gone. */
bool http_peer(const struct http_conn *h, struct address *out);

/* The http_conn behind a conn, or null when it speaks something else by now. */
struct http_conn *http_of(struct conn *c);
