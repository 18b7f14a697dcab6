#include "net/http_conn.h"

#include <stddef.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "net/conn_tls.h"
#include "net/sock.h"
#include "wire/json.h"

enum http_state {
    HTTP_HEAD,   /* idle when nothing is in `in` */
    HTTP_BODY,   /* the head is in `in`; so is the body, unless it is chunked */
    HTTP_ANSWER, /* the handler's turn */
    HTTP_PAUSED, /* whole requests wait in `in` until on_timer */
    HTTP_ENDED,  /* nothing is read or answered any more */
};

enum { PAUSE_MS = 20 };

_Static_assert((int)NET_READ_PADDING >= (int)JSON_PADDING,
               "bodies are parsed where they were read");

/* Header fields for which a pass needs no allocation: more than the default limit; and so many as
   wire/http1.h ever lets through. */
enum { FEW_FIELDS = 128, HEAD_FIELDS_MOST = 16000 };

/* One look at what has arrived. Views point into the read buffer or into `in`. */
struct pass {
    struct http1_field *fields;
    struct http1_request request; /* when has_request */
    struct bytes head;            /* of the request under way */
    bool has_request, is_new_head, is_new_body, wants_continue;
    struct http1_field few[FEW_FIELDS]; /* last: it is never cleared */
};

static void on_bytes(struct conn *c, char *at, size_t len);
static void on_timer(struct conn *c);
static void on_closed(struct conn *c);

static const struct conn_ops ops_of_http = {on_bytes, on_timer, NULL, on_closed};

static int64_t now_ms(const struct http_conn *h)
{
    return h->conn->net->loop->now_ms;
}

struct http_conn *http_of(struct conn *c)
{
    return c->ops == &ops_of_http ? c->user : NULL;
}

static void pass_init(struct pass *p, const struct http_conn *h)
{
    size_t fields = h->limits->head.fields + 1;

    memset(p, 0, offsetof(struct pass, few));
    p->fields = fields <= FEW_FIELDS ? p->few : mem_alloc(fields * sizeof(*p->fields));
}

static void pass_fini(struct pass *p)
{
    if (p->fields != p->few)
        mem_free(p->fields);
}

/* Nothing, or the empty line that may stand before a request and that some clients send behind
   their last one: nobody waits for an answer to that. */
static bool is_nothing(struct bytes in)
{
    return in.len == 0 || (in.len <= 2 && in.at[0] == '\r');
}

/* Of a head that could not be read: its answer may have no body even so. */
static bool asks_head(struct bytes in)
{
    if (bytes_starts(in, BYTES("\r\n")))
        in = bytes_of(in.at + 2, in.len - 2);
    return bytes_starts(in, BYTES("HEAD "));
}

/* No more requests: what was answered still leaves, then the connection ends. */
static void end(struct http_conn *h)
{
    h->state = HTTP_ENDED;
    if (conn_is_flushed(h->conn))
        conn_close(h->conn, CONN_END_OURS);
    else
        conn_finish(h->conn);
}

static void wait_for_handler(struct http_conn *h)
{
    h->state = HTTP_ANSWER;
    h->first = false;
    conn_arm(h->conn, 0);
    meter_add(METER_HTTP_REQUESTS, 1);
}

/* The connection has no future: input is dropped, and the answer is the last one. Without r the
   request is what stands at the front of h->rest. */
static void fail(struct http_conn *h, const struct http1_request *r, int status, const char *why)
{
    wait_for_handler(h);
    h->is_head = r ? r->method == HTTP1_HEAD : asks_head(h->rest);
    h->minor_zero = r && r->minor == 0;
    h->last = true;
    h->rest = (struct bytes){NULL, 0};
    h->running = true;
    h->handler->on_error(h, r, status, why);
    h->running = false;
    buf_fini(&h->body);
}

static void dispatch(struct http_conn *h, const struct http1_request *r, struct bytes body)
{
    wait_for_handler(h);
    h->is_head = r->method == HTTP1_HEAD;
    h->minor_zero = r->minor == 0;
    h->keep_alive = r->keep_alive;
    h->running = true;
    h->handler->on_request(h, r, body);
    h->running = false;
    buf_fini(&h->body);
}

static bool head_is_whole(struct pass *p, const struct http1_limits *limits)
{
    struct http1_bad bad;
    size_t used, scanned = 0;

    return http1_read_head(p->head, limits, p->fields, &p->request, &scanned, &used, &bad) ==
           HTTP1_DONE;
}

/* A head that was whole once is whole again: needed when its bytes have moved since. The limits may
   have become narrower in between, and then do not count for it. */
static void read_head_again(struct http_conn *h, struct pass *p)
{
    const struct http1_limits none = {SIZE_MAX, SIZE_MAX, HEAD_FIELDS_MOST};

    if (p->has_request)
        return;
    if (!head_is_whole(p, &h->limits->head)) {
        pass_fini(p);
        p->fields = mem_alloc((HEAD_FIELDS_MOST + 1) * sizeof(*p->fields));
        CHECK(head_is_whole(p, &none));
    }
    p->has_request = true;
}

/* Not now: a peer that takes no answers gets no more of them, and a socket is only given away when
   everything before has left it. */
static bool must_pause(const struct http_conn *h, const struct http1_request *r)
{
    if (conn_is_behind(h->conn))
        return true;
    return !conn_is_flushed(h->conn) && http1_field(r, BYTES("upgrade")).at;
}

static void pause_until(struct http_conn *h, int64_t due_ms)
{
    h->state = HTTP_PAUSED;
    conn_arm(h->conn, due_ms);
}

/* May this request be read to its end? */
static bool is_acceptable(struct http_conn *h, const struct http1_request *r)
{
    if (r->method == HTTP1_OTHER)
        fail(h, r, 501, "this method is not implemented");
    else if (r->has_length && r->length > h->limits->body_bytes)
        fail(h, r, 413, "the body is larger than pushca.limits.body-bytes allows");
    else
        return true;
    return false;
}

/* Each step answers whether another one may follow at once. */
static bool step_head(struct http_conn *h, struct pass *p)
{
    struct http1_bad bad;
    size_t used;

    switch (http1_read_head(h->rest, &h->limits->head, p->fields, &p->request, &h->scanned, &used,
                            &bad)) {
    case HTTP1_MORE:
        return false;
    case HTTP1_BAD:
        fail(h, NULL, bad.status, bad.why);
        return false;
    case HTTP1_DONE:
        break;
    }
    h->scanned = 0;
    if (must_pause(h, &p->request)) {
        pause_until(h, now_ms(h) + PAUSE_MS);
        return false;
    }
    if (!is_acceptable(h, &p->request))
        return false;
    p->head = bytes_of(h->rest.at, used);
    h->rest = bytes_of(h->rest.at + used, h->rest.len - used);
    h->head_len = used;
    h->body_len = p->request.has_length ? (size_t)p->request.length : 0;
    h->chunked = p->request.chunked;
    h->chunks = (struct http1_chunks){0};
    h->state = HTTP_BODY;
    p->has_request = true;
    p->is_new_body = true;
    p->wants_continue = p->request.expects_continue && p->request.minor > 0 && h->rest.len == 0;
    return true;
}

/* For this data, and what is left of its chunk. */
static bool body_has_room(const struct http_conn *h, size_t data)
{
    size_t most = h->limits->body_bytes;

    return h->body.len <= most && data + http1_chunk_left(&h->chunks) <= most - h->body.len;
}

/* True: the whole body is in h->body. */
static bool read_chunks(struct http_conn *h, struct pass *p)
{
    struct http1_bad bad;
    struct bytes data;
    enum http1_result result;

    do {
        data = (struct bytes){NULL, 0};
        result = http1_read_chunk(&h->chunks, &h->rest, &data, &bad);
        if (result == HTTP1_BAD) {
            read_head_again(h, p);
            fail(h, &p->request, bad.status, bad.why);
            return false;
        }
        if (!body_has_room(h, data.len)) {
            read_head_again(h, p);
            fail(h, &p->request, 413, "the body is larger than pushca.limits.body-bytes allows");
            return false;
        }
        buf_add(&h->body, data);
    } while (result == HTTP1_MORE && h->rest.len > 0);
    return result == HTTP1_DONE;
}

static bool step_body(struct http_conn *h, struct pass *p)
{
    struct bytes body;

    if (h->chunked) {
        if (!read_chunks(h, p))
            return false;
        buf_reserve(&h->body, JSON_PADDING);
        body = buf_bytes(&h->body);
    } else {
        if (h->rest.len < h->body_len)
            return false;
        body = bytes_of(h->rest.at, h->body_len);
        h->rest = bytes_of(h->rest.at + h->body_len, h->rest.len - h->body_len);
    }
    read_head_again(h, p);
    dispatch(h, &p->request, body);
    p->has_request = false;
    p->is_new_body = false;
    p->is_new_head = true;
    return true;
}

static bool step(struct http_conn *h, struct pass *p)
{
    switch ((enum http_state)h->state) {
    case HTTP_HEAD:
        return h->rest.len > 0 && conn_is_open(h->conn) && step_head(h, p);
    case HTTP_BODY:
        return step_body(h, p);
    case HTTP_ANSWER:
    case HTTP_PAUSED:
    case HTTP_ENDED:
        break;
    }
    return false;
}

/* Makes view, which may lie in `in`, all that is in `in`. */
static void keep(struct http_conn *h, struct bytes view)
{
    struct buf kept = {0};

    if (view.len > 0 && view.at == h->in.at) {
        h->in.len = view.len;
        return;
    }
    if (view.len > 0)
        buf_add(&kept, view);
    buf_fini(&h->in);
    h->in = kept;
}

static void settle_head(struct http_conn *h, const struct pass *p)
{
    bool is_idle = is_nothing(h->rest);

    keep(h, h->rest);
    if (h->eof || (is_idle && h->last)) {
        end(h);
        return;
    }
    conn_read(h->conn, true);
    h->conn->is_new = !is_idle;
    if (h->first || h->last || !(is_idle || p->is_new_head))
        return; /* the deadline that runs is the right one */
    conn_arm(h->conn, now_ms(h) + (is_idle ? h->limits->keep_alive_ms : h->limits->head_ms));
}

static void refuse_more(struct http_conn *h)
{
    struct pass p;

    pass_init(&p, h);
    p.head = bytes_of(h->in.at, h->head_len);
    read_head_again(h, &p);
    meter_add(METER_REFUSED_MEMORY, 1);
    fail(h, &p.request, 503, "the memory budget (pushca.limits.memory-bytes) is used up");
    pass_fini(&p);
    buf_fini(&h->in);
}

static void settle_body(struct http_conn *h, const struct pass *p)
{
    struct bytes view = p->head;

    if (!h->chunked)
        view.len += h->rest.len; /* right behind the head */
    keep(h, view);
    if (h->eof) {
        end(h);
        return;
    }
    if (net_keeps_too_much(h->in.len + h->body.len, h->limits->memory_bytes)) {
        refuse_more(h);
        return;
    }
    conn_read(h->conn, true);
    h->conn->is_new = true;
    if (!p->is_new_body)
        return;
    if (!h->last && !h->first) /* else http_end_by or http_open has set the deadline */
        conn_arm(h->conn, now_ms(h) + h->limits->body_ms);
    if (p->wants_continue) {
        static const struct bytes text = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
        struct frame *f = frame_new(FRAME_ANSWER, text.len);

        memcpy(f->at, text.at, text.len);
        if (conn_push(h->conn, f))
            conn_close(h->conn, CONN_END_ERROR);
        frame_unref(f);
    }
}

/* What has arrived and waits counts as a part of the server's memory. */
static void count_input(struct http_conn *h)
{
    uint32_t held = (uint32_t)(h->in.cap + h->body.cap);

    if (held == h->held)
        return;
    meter_add(METER_MEM_INPUT, (int64_t)held - h->held);
    h->held = held;
}

/* Copies what is left of the input, which is about to vanish, and sets reading and the deadline. */
static void settle(struct http_conn *h, const struct pass *p)
{
    if (!conn_is_open(h->conn))
        h->state = HTTP_ENDED;
    switch ((enum http_state)h->state) {
    case HTTP_HEAD:
        settle_head(h, p);
        break;
    case HTTP_BODY:
        settle_body(h, p);
        break;
    case HTTP_ANSWER:
    case HTTP_PAUSED:
        keep(h, h->rest);
        if (h->in.len > 0)
            conn_read(h->conn, false);
        break;
    case HTTP_ENDED:
        buf_fini(&h->in);
        break;
    }
    h->rest = (struct bytes){NULL, 0};
    count_input(h);
}

static void http_free(struct http_conn *h)
{
    int64_t before;

    buf_fini(&h->in);
    buf_fini(&h->body);
    count_input(h);
    before = mem_balance();
    mem_free(h);
    mem_book(METER_MEM_CONNECTIONS, before);
}

/* Acts on every whole request in input: the read buffer, or all of `in`. New is a head of which
   nothing was there before. May free h. */
static void run(struct http_conn *h, struct bytes input, bool is_new_head)
{
    struct pass p;

    pass_init(&p, h);
    p.is_new_head = is_new_head;
    if (h->state == HTTP_PAUSED)
        h->state = HTTP_HEAD;
    h->rest = input;
    if (h->state == HTTP_BODY) {
        p.head = bytes_of(h->in.at, h->head_len);
        if (!h->chunked)
            h->rest = bytes_of(input.at + h->head_len, input.len - h->head_len);
    }
    while (step(h, &p)) {
    }
    if (h->released)
        http_free(h);
    else
        settle(h, &p);
    pass_fini(&p);
}

static void on_end(struct http_conn *h)
{
    h->eof = true;
    if (h->state == HTTP_HEAD || h->state == HTTP_BODY)
        end(h);
}

static void on_bytes(struct conn *c, char *at, size_t len)
{
    struct http_conn *h = c->user;
    bool is_waiting = h->state == HTTP_ANSWER || h->state == HTTP_PAUSED;
    bool had_nothing = is_nothing(buf_bytes(&h->in));

    if (len == 0) {
        on_end(h);
    } else if (h->state == HTTP_ENDED) {
        return;
    } else if (is_waiting) {
        conn_read(c, false);
        if (!h->last)
            buf_add(&h->in, bytes_of(at, len));
        count_input(h);
    } else if (h->in.len == 0 || (h->state == HTTP_BODY && h->chunked)) {
        run(h, bytes_of(at, len), had_nothing);
    } else {
        buf_add(&h->in, bytes_of(at, len));
        buf_reserve(&h->in, JSON_PADDING);
        run(h, buf_bytes(&h->in), had_nothing);
    }
}

static const char *why_late(const struct http_conn *h)
{
    if (h->first)
        return "the handshake did not arrive within pushca.limits.handshake-ms";
    if (h->state == HTTP_BODY)
        return "the body did not arrive within pushca.limits.body-arrival-ms";
    return "the request head did not arrive within pushca.limits.head-arrival-ms";
}

/* The rest of a head or body did not come in time. A server that goes down did not give it all of
   its time, and says nothing: an answer would be to a request that nobody knows. */
static void give_up(struct http_conn *h)
{
    bool has_head = h->state == HTTP_BODY;
    struct pass p;

    if (h->last) {
        end(h);
        return;
    }
    pass_init(&p, h);
    if (has_head) {
        p.head = bytes_of(h->in.at, h->head_len);
        read_head_again(h, &p);
    } else {
        h->rest = buf_bytes(&h->in);
    }
    fail(h, has_head ? &p.request : NULL, 408, why_late(h));
    settle(h, &p);
    pass_fini(&p);
}

static void on_timer(struct conn *c)
{
    struct http_conn *h = c->user;

    switch ((enum http_state)h->state) {
    case HTTP_HEAD:
        if (is_nothing(buf_bytes(&h->in)))
            end(h);
        else
            give_up(h);
        break;
    case HTTP_BODY:
        give_up(h);
        break;
    case HTTP_PAUSED:
        buf_reserve(&h->in, JSON_PADDING);
        run(h, buf_bytes(&h->in), true);
        break;
    case HTTP_ANSWER:
    case HTTP_ENDED:
        break;
    }
}

static void on_closed(struct conn *c)
{
    struct http_conn *h = c->user;

    h->handler->on_closed(h);
    http_free(h);
}

enum err http_open(struct net *n, int fd, const struct http_limits *limits,
                   const struct http_handler *handler, int64_t first_ms, struct http_conn **out)
{
    int64_t before = mem_balance();
    struct http_conn *h = mem_new(struct http_conn);
    enum err e;

    mem_book(METER_MEM_CONNECTIONS, before);
    e = conn_open(n, fd, &ops_of_http, h, &h->conn);
    if (e) {
        http_free(h);
        return e;
    }
    h->handler = handler;
    h->limits = limits;
    h->first = first_ms > 0;
    conn_arm(h->conn, now_ms(h) + (first_ms > 0 ? first_ms : limits->keep_alive_ms));
    *out = h;
    return ERR_OK;
}

static bool has_body(const struct http_answer *a)
{
    return a->status >= 200 && a->status != 204 && a->status != 304;
}

/* 426 comes with an Upgrade field, and who sends that must name it here (RFC 9110, section 7.8). */
static void write_connection(const struct http_conn *h, int status, struct buf *head)
{
    bool is_426 = status == 426;
    struct bytes options = is_426 ? BYTES("upgrade") : (struct bytes){NULL, 0};

    if (h->last)
        options = is_426 ? BYTES("close, upgrade") : BYTES("close");
    else if (h->minor_zero)
        options = is_426 ? BYTES("keep-alive, upgrade") : BYTES("keep-alive");
    if (options.len)
        http1_write_field(head, BYTES("Connection"), options);
}

static struct frame *answer_frame(struct http_conn *h, const struct http_answer *a)
{
    struct bytes body = has_body(a) && !h->is_head ? a->body : (struct bytes){NULL, 0};
    struct buf *head = &h->conn->net->scratch.head;
    struct frame *f;

    head->len = 0;
    http1_write_status(head, a->status);
    http1_write_field(head, BYTES("Date"), scratch_date(&h->conn->net->scratch));
    write_connection(h, a->status, head);
    if (a->type)
        http1_write_field(head, BYTES("Content-Type"), bytes_text(a->type));
    buf_add(head, a->fields);
    if (has_body(a))
        http1_write_number(head, BYTES("Content-Length"), a->body.len);
    http1_write_end(head);
    f = frame_new(FRAME_ANSWER, head->len + body.len);
    memcpy(f->at, head->at, head->len);
    if (body.len)
        memcpy(f->at + head->len, body.at, body.len);
    return f;
}

static void count_answer(int status)
{
    if (status >= 200 && status < 300)
        meter_add(METER_HTTP_2XX, 1);
    else if (status >= 400 && status < 500)
        meter_add(METER_HTTP_4XX, 1);
    else if (status >= 500)
        meter_add(METER_HTTP_5XX, 1);
}

/* The answer came after on_request had returned. Requests that wait are looked at from on_timer,
   so that the handler is not called from inside its own call. */
static void resume(struct http_conn *h)
{
    struct pass p;

    if (h->in.len > 0) {
        pause_until(h, 1); /* long ago: in this very turn */
        return;
    }
    pass_init(&p, h);
    p.is_new_head = true;
    settle(h, &p);
    pass_fini(&p);
}

void http_answer(struct http_conn *h, const struct http_answer *a)
{
    struct frame *f;

    CHECK(h->state == HTTP_ANSWER || h->state == HTTP_ENDED);
    if (h->state == HTTP_ENDED || !conn_is_open(h->conn))
        return;
    h->last = h->last || !h->keep_alive;
    f = answer_frame(h, a);
    conn_push_asked(h->conn, f);
    frame_unref(f);
    count_answer(a->status);
    h->state = HTTP_HEAD;
    if (h->last) {
        h->state = HTTP_ENDED;
        conn_finish(h->conn);
    }
    if (!h->running && h->state == HTTP_HEAD)
        resume(h);
}

void http_end(struct http_conn *h)
{
    h->last = true;
    if (h->state == HTTP_HEAD && is_nothing(buf_bytes(&h->in)) && !h->running &&
        !conn_is_shaking(h->conn))
        end(h);
}

void http_end_by(struct http_conn *h, int64_t due_ms)
{
    http_end(h);
    if ((h->state == HTTP_HEAD || h->state == HTTP_BODY) && conn_due(h->conn) > due_ms)
        conn_arm(h->conn, due_ms);
}

struct conn *http_leave(struct http_conn *h, struct buf *unread)
{
    CHECK(h->running && h->state == HTTP_ANSWER);
    if (h->rest.len > 0)
        buf_add(unread, h->rest);
    h->state = HTTP_ENDED;
    h->released = true;
    return h->conn;
}

int http_release(struct http_conn *h, struct buf *unread)
{
    return conn_release(http_leave(h, unread));
}

bool http_peer(const struct http_conn *h, struct address *out)
{
    return sock_peer(h->conn->fd, out);
}
