/*
 * http - keep-alive connections post notifications, each to receivers of its own in turn; the next
 * post goes out when the last one was answered (--verify: and has arrived).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load/form.h"
#include "load/http.h"
#include "load/scenario.h"
#include "load/score.h"
#include "load/target.h"
#include "load/text.h"
#include "load/tools.h"

enum { EVENTS = 256, REQUEST_MAX = 12288 };

static const uint64_t WAIT_NS = 10000000;

struct run {
    const struct options *o;
    struct pump clients; /* links 0..clients: receivers; behind them the HTTP connections */
    struct score score;
    bool stopping;
    uint64_t refused; /* answers that were not 2xx */
    bool *half;       /* verify: of each connection, that one of the two has happened */
};

static size_t write_request(const struct run *r, char *at, uint32_t to, const char *text)
{
    char body[REQUEST_MAX / 2], path[64];
    size_t len = r->o->text_bytes;

    if (r->o->target != &target_pushca) {
        snprintf(path, sizeof(path), "/pub?id=c%u", to);
        return http_post(at, REQUEST_MAX, path, text, len);
    }
    if (r->o->mode != MODE_ACKED) {
        len = pushca_post_body(body, sizeof(body), to, text, len);
        return http_post(at, REQUEST_MAX, "/send-notification", body, len);
    }
    len = pushca_acked_body(body, sizeof(body), to, text, len);
    return http_post(at, REQUEST_MAX, "/send-notification-with-acknowledge", body, len);
}

/* Receivers are dealt out: each hears one connection only, so that its messages have an order. */
static void post_next(struct run *r, struct link *l)
{
    struct text t = {.from = l->number, .at_ns = now_ns()};
    uint32_t k = l->number - r->o->clients;
    char text[FORM_MAX], out[REQUEST_MAX];

    t.to = l->to;
    l->to = l->to + r->o->connections < r->o->clients ? l->to + r->o->connections : k;
    t.number = r->clients.links[t.to]->sent_to++;
    text_write(&t, text, r->o->text_bytes);
    link_send(l, out, write_request(r, out, t.to, text));
}

/* The post was answered, or it has arrived. */
static void one_of_two(struct run *r, uint32_t connection)
{
    bool *half = &r->half[connection - r->o->clients];

    *half = !*half;
    if (!*half && !r->stopping)
        post_next(r, r->clients.links[connection]);
}

static size_t decode_answer(struct link *l, char *at, size_t len)
{
    struct run *r = l->pump->owner;
    struct http_answer answer;
    size_t used = http_read(at, len, &answer);

    if (!used)
        return 0;
    if (answer.status < 200 || answer.status > 299)
        r->refused++;
    if (r->o->verify)
        one_of_two(r, l->number);
    else if (!r->stopping)
        post_next(r, l);
    return used;
}

static void on_text(struct link *l, char *at, size_t len)
{
    struct run *r = l->pump->owner;
    struct text t;
    char *body = at;

    if (r->o->mode == MODE_ACKED) {
        body = pushca_acknowledge(l, at, len);
        if (!body) {
            r->score.torn++;
            return;
        }
        len -= (size_t)(body - at);
    }
    if (!score_text(&r->score, l, body, len, &t))
        return;
    score_latency_to(&r->score, l, t.at_ns);
    if (r->o->verify)
        one_of_two(r, l->from);
}

/* Connects the posting links; they are open with their connection. */
static void connect_posts(struct run *r)
{
    uint32_t i;

    for (i = 0; i < r->o->connections; i++) {
        struct link *l = r->clients.links[r->o->clients + i];

        l->to = i;
        l->place = i + (r->o->partner == PARTNER_FAR);
        l->place %= r->o->port.count;
        l->decode = decode_answer;
        link_connect(l, port_of(&r->o->http_port, l->place));
        while (l->state == LINK_CONNECTING || l->state == LINK_GREETING)
            pump_turn(&r->clients, WAIT_NS, EVENTS);
    }
}

static void turn_until(struct run *r, uint64_t end)
{
    while (now_ns() < end)
        pump_turn(&r->clients, WAIT_NS, EVENTS);
}

static void make_links(struct run *r)
{
    uint32_t i;

    for (i = 0; i < r->o->clients + r->o->connections; i++) {
        struct link *l = link_new(&r->clients);

        l->to = LINK_ALONE;
        l->from = i < r->o->clients ? r->o->clients + i % r->o->connections : LINK_ALONE;
        l->is_plain = i >= r->o->clients;
    }
}

void http_run(const struct options *o)
{
    struct run *r = calloc(1, sizeof(*r));
    uint64_t begin;
    uint32_t i;

    if (!r)
        die("out of memory");
    if (o->target != &target_pushca && o->target != &target_nchan)
        die("http: targets are pushca and nchan");
    if (o->connections > o->clients)
        die("http: at least as many clients as connections");
    r->o = o;
    pump_init(&r->clients, r);
    r->clients.target = o->target;
    r->clients.options = o;
    r->clients.on_text = on_text;
    r->half = grow(NULL, o->connections * sizeof(*r->half));
    memset(r->half, 0, o->connections * sizeof(*r->half));
    score_init(&r->score, o);
    make_links(r);
    connect_all(&r->clients, 0, o->clients);
    connect_posts(r);
    for (i = 0; i < o->connections; i++)
        post_next(r, r->clients.links[o->clients + i]);
    begin = now_ns() + (uint64_t)(o->warmup * 1e9);
    turn_until(r, begin);
    score_begin(&r->score, &r->clients);
    turn_until(r, begin + (uint64_t)(o->seconds * 1e9));
    score_end(&r->score, &r->clients);
    r->stopping = true;
    drain(&r->clients);
    print_open(&r->score);
    print_number("connections", o->connections);
    print_rates(&r->score, &r->clients);
    print_number("refused", (double)r->refused);
    print_latency(&r->score);
    print_close();
}
