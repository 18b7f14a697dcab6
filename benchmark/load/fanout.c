/*
 * fanout - one message to all subscribers; the next one when the last has reached everybody.
 */
#include <stdlib.h>
#include <string.h>
#include "load/form.h"
#include "load/http.h"
#include "load/scenario.h"
#include "load/score.h"
#include "load/target.h"
#include "load/text.h"
#include "load/tools.h"

enum { EVENTS = 256, REQUEST_MAX = 20000 };

static const uint64_t WAIT_NS = 10000000, GIVE_UP_NS = 5000000000;

struct run {
    const struct options *o;
    struct pump pump; /* links 0..clients: subscribers; the last one publishes */
    struct score score;
    struct histogram last; /* from the publishing to the last delivery */
    uint32_t number, arrived, refused, matches;
    bool answered;
};

static void publish(struct run *r)
{
    struct link *l = r->pump.links[r->o->clients];
    struct text t = {
        .from = LINK_TO_ALL, .to = LINK_TO_ALL, .number = r->number, .at_ns = now_ns()};
    char text[FORM_MAX], body[REQUEST_MAX / 2], out[REQUEST_MAX];
    size_t len = r->o->text_bytes;
    uint32_t i;

    for (i = 0; i < r->matches; i++)
        r->pump.links[i]->sent_to++;
    r->number++;
    r->arrived = 0;
    r->answered = !r->o->target->publish_path;
    text_write(&t, text, len);
    if (!r->o->target->publish_path) {
        form_send(l, NULL, text, len);
        return;
    }
    if (r->o->target == &target_pushca)
        len = pushca_post_body(body, sizeof(body), LINK_TO_ALL, text, len);
    else
        memcpy(body, text, len);
    link_send(l, out, http_post(out, sizeof(out), r->o->target->publish_path, body, len));
}

static size_t decode_answer(struct link *l, char *at, size_t len)
{
    struct run *r = l->pump->owner;
    struct http_answer answer;
    size_t used = http_read(at, len, &answer);

    if (used) {
        r->answered = true;
        r->refused += answer.status < 200 || answer.status > 299;
    }
    return used;
}

static void on_text(struct link *l, char *at, size_t len)
{
    struct run *r = l->pump->owner;
    struct text t;

    if (!score_text(&r->score, l, at, len, &t))
        return;
    score_latency(&r->score, t.at_ns);
    if (++r->arrived == r->matches && r->score.measuring)
        histogram_add(&r->last, now_ns() - t.at_ns);
}

/* False: somebody did not get it. */
static bool publish_and_wait(struct run *r)
{
    uint64_t end = now_ns() + GIVE_UP_NS;

    publish(r);
    while (r->arrived < r->matches || !r->answered) {
        pump_turn(&r->pump, WAIT_NS, EVENTS);
        if (now_ns() > end)
            return false;
    }
    return true;
}

static void turn_until(struct run *r, uint64_t end)
{
    while (now_ns() < end)
        if (!publish_and_wait(r))
            return;
}

static void connect_publisher(struct run *r)
{
    struct link *l = r->pump.links[r->o->clients];

    l->to = LINK_TO_ALL;
    l->from = LINK_ALONE;
    if (!r->o->target->publish_path) {
        connect_all(&r->pump, r->o->clients, 1);
        return;
    }
    l->is_plain = true;
    l->decode = decode_answer;
    link_connect(l, port_of(&r->o->http_port, 0));
    while (l->state != LINK_OPEN)
        pump_turn(&r->pump, WAIT_NS, EVENTS);
}

void fanout_run(const struct options *o)
{
    struct run *r = calloc(1, sizeof(*r));
    uint64_t begin;
    uint32_t i;

    if (!r)
        die("out of memory");
    if (o->matches > o->clients || (o->matches && o->target != &target_pushca))
        die("fanout: --matches is for pushca, and at most --clients");
    r->o = o;
    r->matches = o->matches ? o->matches : o->clients;
    pump_init(&r->pump, r);
    r->pump.target = o->target;
    r->pump.options = o;
    r->pump.on_text = on_text;
    score_init(&r->score, o);
    for (i = 0; i <= o->clients; i++) {
        struct link *l = link_new(&r->pump);

        l->to = LINK_ALONE;
        l->from = i < r->matches ? LINK_TO_ALL : LINK_ALONE;
    }
    connect_all(&r->pump, 0, o->clients);
    connect_publisher(r);
    begin = now_ns() + (uint64_t)(o->warmup * 1e9);
    turn_until(r, begin);
    score_begin(&r->score, &r->pump);
    turn_until(r, begin + (uint64_t)(o->seconds * 1e9));
    score_end(&r->score, &r->pump);
    drain(&r->pump);
    print_open(&r->score);
    print_rates(&r->score, &r->pump);
    print_number("refused", r->refused);
    print_number("matches", r->matches);
    print_number("cpu_us_per_message",
                 r->score.server_cpu_s * 1e6 / (double)(r->last.count + !r->last.count));
    print_number("messages", (double)r->last.count);
    print_latency(&r->score);
    print_number("last_p50_us", histogram_us(&r->last, 0.5));
    print_number("last_p99_us", histogram_us(&r->last, 0.99));
    print_close();
}
