/*
 * http_site - a world with one HTTP connection, whose handler does as the test says.
 */
#pragma once
#include "net/http_conn.h"
#include "unit/net/http_text.h"
#include "unit/net/peer.h"

enum { BODY_LIMIT = 2000 };

struct site {
    struct world w;
    struct http_limits limits;
    struct http_handler handler;
    struct http_conn *h;
    struct buf log;                /* a line per call of the handler */
    struct buf put_off;            /* the body of the answer that is owed */
    struct buf unread;             /* of a released socket */
    int peer, released;            /* descriptors: the other end; one given away */
    bool answer_later, release;    /* instead of answering at once */
    void (*leave)(struct site *s); /* the same */
    bool end_inside, owes;         /* http_end from within on_request; an answer that was put off */
    size_t answer_bytes;           /* of body; 0: "METHOD target body" comes back */
    int status, errors, requests, closed;
};

static inline struct site *site_of(struct http_conn *h)
{
    return h->handler->context;
}

static inline void answer(struct http_conn *h, int status, struct bytes body)
{
    struct http_answer a = {status, "text/plain", BYTES("X-Test: yes\r\n"), body};

    site_of(h)->owes = false;
    http_answer(h, &a);
}

static inline void answer_much(struct http_conn *h, size_t len)
{
    struct buf much = {0};

    memset(buf_reserve(&much, len), 'm', len);
    much.len = len;
    answer(h, 200, buf_bytes(&much));
    buf_fini(&much);
}

static inline void put_off(struct site *s, struct bytes body)
{
    s->owes = true;
    s->put_off.len = 0;
    buf_add(&s->put_off, body);
}

static inline void on_request(struct http_conn *h, const struct http1_request *r, struct bytes body)
{
    struct site *s = site_of(h);
    struct buf text = {0};

    s->requests++;
    buf_add(&text, r->method_name);
    buf_add_char(&text, ' ');
    buf_add(&text, r->target);
    buf_add_char(&text, ' ');
    buf_add(&text, http1_field(r, BYTES("x-mark")));
    buf_add_char(&text, ' ');
    buf_add(&text, body);
    buf_add(&s->log, buf_bytes(&text));
    buf_add_char(&s->log, '\n');
    if (s->end_inside)
        http_end(h);
    if (s->release)
        s->released = http_release(h, &s->unread);
    else if (s->leave)
        s->leave(s);
    else if (s->answer_bytes)
        answer_much(h, s->answer_bytes);
    else if (s->answer_later)
        put_off(s, buf_bytes(&text));
    else
        answer(h, s->status, buf_bytes(&text));
    buf_fini(&text);
}

static inline void on_error(struct http_conn *h, const struct http1_request *r, int status,
                            const char *why)
{
    struct site *s = site_of(h);

    s->errors++;
    buf_printf(&s->log, "%d %s ", status, why);
    buf_add(&s->log, r ? r->target : BYTES("-"));
    buf_add_char(&s->log, '\n');
    answer(h, status, bytes_text(why));
}

static inline void on_closed(struct http_conn *h)
{
    struct site *s = site_of(h);

    s->closed++;
    s->h = NULL;
}

static inline void site_connect_first(struct site *s, int kernel_bytes, int64_t first_ms)
{
    int ours;

    world_pair(&ours, &s->peer, kernel_bytes);
    assert_int_equal(http_open(&s->w.net, ours, &s->limits, &s->handler, first_ms, &s->h), ERR_OK);
}

static inline void site_connect(struct site *s, int kernel_bytes)
{
    site_connect_first(s, kernel_bytes, 0);
}

static inline void site_open(struct site *s)
{
    *s = (struct site){.limits = {.head = {.line_bytes = 200, .head_bytes = 1000, .fields = 10},
                                  .body_bytes = BODY_LIMIT,
                                  .head_ms = 60000,
                                  .body_ms = 60000,
                                  .keep_alive_ms = 60000},
                       .released = -1,
                       .status = 200,
                       .peer = -1};
    s->handler = (struct http_handler){s, on_request, on_error, on_closed};
    world_open(&s->w);
}

static inline void site_close(struct site *s)
{
    if (s->peer >= 0)
        close(s->peer);
    world_close(&s->w);
    buf_fini(&s->log);
    buf_fini(&s->unread);
    buf_fini(&s->put_off);
    assert_int_equal(meter_sum(METER_MEM_INPUT), 0);
}

/* A new site with one connection, whose answers to `in` are waited for until the loop is quiet. */
static inline enum peer_end site_hear(struct site *s, struct bytes in, struct buf *out)
{
    peer_write(&s->w, s->peer, in);
    return peer_read_quiet(&s->w, s->peer, out);
}
