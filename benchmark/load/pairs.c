/*
 * pairs - each client has a partner it sends to; closed loop, or open loop at a rate. And crowd:
 * the same beside a crowd, that is a receiver who reads nothing and a list of subscribers who get a
 * multicast each second. The crowd has a pump of its own, which waits for the pairs' events, as a
 * generator on one core must not measure its own crowd.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "load/form.h"
#include "load/http.h"
#include "load/scenario.h"
#include "load/score.h"
#include "load/target.h"
#include "load/text.h"
#include "load/tools.h"

enum {
    EVENTS = 256,
    CROWD_EVENTS = 16,
    SUBSCRIBERS = 10000,
    MUTE_TEXT = 1024,
    MUTE_A_MS = 1,
    CROWD_PATIENCE = 5
};

static const uint64_t SECOND_NS = 1000000000, LATE_NS = 1000000, LONGEST_WAIT_NS = 10000000;

struct run {
    const struct options *o;
    struct pump pump;
    struct score score;
    bool stopping;
    uint32_t next; /* open loop: whose turn it is to send */
    uint64_t due_ns, step_ns;
    /* the crowd, and the one who reads nothing */
    struct pump crowd;
    int post_fd;
    uint64_t next_multicast_ns, next_mute_ns, multicasts, multicast_ns, crowd_got, crowd_torn;
    struct histogram crowd_last; /* from a multicast to its last copy */
};

/* ---- what arrives ---- */

static void refill(struct run *r, struct link *l)
{
    const struct link *to = r->pump.links[l->to];
    uint32_t done = to->got;

    if (r->stopping || r->o->rate > 0)
        return;
    if (r->o->mode == MODE_ACKED || (r->o->mode == MODE_V2 && l->answered < done))
        done = l->answered;
    while (to->sent_to < done + r->o->window)
        send_next(l, now_ns());
}

/* "<id>@@ACKNOWLEDGE" or "<id>@@RESPONSE", to this link's own message. */
static void on_answer(struct run *r, struct link *l, const char *at)
{
    struct text id;

    if (!text_read_id(&id, at, FORM_ID_BYTES) || id.from != l->number) {
        r->score.torn++;
        return;
    }
    l->answered++;
    if (r->o->mode == MODE_ACKED)
        score_latency(&r->score, id.at_ns);
    refill(r, l);
}

static bool ends_with(const char *at, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && memcmp(at + len - n, end, n) == 0;
}

static void on_message(struct run *r, struct link *l, const char *at, size_t len)
{
    static struct text t; /* static: gcc 12 takes the one on the stack for dangling */

    if (!score_text(&r->score, l, at, len, &t))
        return;
    if (r->o->mode != MODE_ACKED)
        score_latency_to(&r->score, l, t.at_ns);
    refill(r, r->pump.links[l->from]);
}

static void on_text(struct link *l, char *at, size_t len)
{
    struct run *r = l->pump->owner;
    char *body;

    switch (r->o->mode) {
    case MODE_PLAIN:
        on_message(r, l, at, len);
        break;
    case MODE_V2:
        if (len == FORM_ID_BYTES + 10 && ends_with(at, len, "@@RESPONSE"))
            on_answer(r, l, at);
        else
            on_message(r, l, at, len);
        break;
    case MODE_ACKED:
        if (len == FORM_ID_BYTES + 13 && ends_with(at, len, "@@ACKNOWLEDGE")) {
            on_answer(r, l, at);
            break;
        }
        body = pushca_acknowledge(l, at, len);
        if (body)
            on_message(r, l, body, len - (size_t)(body - at));
        else
            r->score.torn++;
        break;
    }
}

/* ---- the crowd ---- */

static void on_crowd_text(struct link *l, char *at, size_t len)
{
    struct run *r = l->pump->owner;

    if (len != r->o->text_bytes || at[0] != 'm' || memcmp(at, at + 1, len - 1) != 0) {
        r->crowd_torn++;
        return;
    }
    if (++r->crowd_got % SUBSCRIBERS == 0)
        histogram_add(&r->crowd_last, now_ns() - r->multicast_ns);
}

static void crowd_connect(struct run *r)
{
    uint32_t i;

    pump_init(&r->crowd, r);
    r->crowd.target = r->o->target;
    r->crowd.options = r->o;
    r->crowd.on_text = on_crowd_text;
    for (i = 0; i < SUBSCRIBERS + 1; i++) {
        struct link *l = link_new(&r->crowd);

        l->to = LINK_ALONE;
        l->from = i ? LINK_TO_ALL : 0;
        l->number += 100000; /* their identities are not those of the pairs */
    }
    connect_all(&r->crowd, 0, SUBSCRIBERS + 1);
    /* The first one is deaf from now on: nobody reads its socket any more. */
    r->post_fd = -1;
    link_mute(r->crowd.links[0]);
    r->next_multicast_ns = now_ns();
    r->next_mute_ns = r->next_multicast_ns;
}

static void post_without_waiting(struct run *r, uint32_t to, size_t len)
{
    char text[MUTE_TEXT], body[2 * MUTE_TEXT], out[4 * MUTE_TEXT], answers[8192];
    struct http_answer answer;
    size_t n;

    memset(text, 'm', len);
    n = pushca_post_body(body, sizeof(body), to, text, len);
    if (r->post_fd < 0) {
        body[n] = 0;
        answer = http_call(&r->post_fd, port_of(&r->o->http_port, 0), "/send-notification", body);
        if (answer.status != 200)
            die("the multicast was answered %d", answer.status);
        return;
    }
    n = http_post(out, sizeof(out), "/send-notification", body, n);
    while (recv(r->post_fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
        ;
    if (send(r->post_fd, out, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
        die("the REST connection does not take more");
}

static void crowd_turn(struct run *r, uint64_t now)
{
    if (strcmp(r->o->scenario, "crowd") != 0)
        return;
    pump_turn(&r->crowd, 0, CROWD_EVENTS);
    if (r->o->quiet || r->stopping)
        return;
    if (now >= r->next_multicast_ns) {
        r->next_multicast_ns += SECOND_NS;
        r->multicast_ns = now;
        r->multicasts++;
        post_without_waiting(r, LINK_TO_ALL, r->o->text_bytes);
    }
    if (now >= r->next_mute_ns) {
        r->next_mute_ns += (uint64_t)MUTE_A_MS * 1000000;
        post_without_waiting(r, r->crowd.links[0]->number, MUTE_TEXT);
    }
}

/* Copies of the multicasts that never came; less than none: some came twice. */
static int64_t crowd_missing(const struct run *r)
{
    return (int64_t)(r->multicasts * SUBSCRIBERS) - (int64_t)r->crowd_got;
}

static void crowd_drain(struct run *r)
{
    uint64_t end = now_ns() + CROWD_PATIENCE * SECOND_NS;

    while (crowd_missing(r) > 0 && now_ns() < end)
        pump_turn(&r->crowd, LONGEST_WAIT_NS, EVENTS);
}

/* ---- the loop ---- */

static void send_due(struct run *r, uint64_t now)
{
    while (r->due_ns <= now && !r->stopping) {
        if (r->score.measuring && now - r->due_ns > LATE_NS)
            r->score.late++;
        send_next(r->pump.links[r->next], r->due_ns);
        r->next = (r->next + 1) % r->pump.count;
        r->due_ns += r->step_ns;
    }
}

static uint64_t patience_ns(const struct run *r, uint64_t now)
{
    bool is_crowd = strcmp(r->o->scenario, "crowd") == 0 && !r->o->quiet;

    if (r->o->rate > 0)
        return r->due_ns > now ? r->due_ns - now : 0;
    return is_crowd ? 0 : LONGEST_WAIT_NS;
}

static void turn_until(struct run *r, uint64_t end)
{
    uint64_t now;

    while ((now = now_ns()) < end) {
        if (r->o->rate > 0)
            send_due(r, now);
        pump_turn(&r->pump, patience_ns(r, now), EVENTS);
        crowd_turn(r, now);
    }
}

static void start(struct run *r)
{
    uint32_t i;

    if (r->o->rate > 0) {
        r->step_ns = (uint64_t)(1e9 / r->o->rate);
        r->due_ns = now_ns();
        return;
    }
    for (i = 0; i < r->pump.count; i++)
        refill(r, r->pump.links[i]);
}

static void print(const struct run *r)
{
    int64_t missing = crowd_missing(r);

    print_open(&r->score);
    print_number("window", r->o->window);
    print_number("offered", r->o->rate);
    print_rates(&r->score, &r->pump);
    print_latency(&r->score);
    if (r->multicasts) {
        print_number("multicasts", (double)r->multicasts);
        print_number("crowd_deliveries", (double)r->crowd_got);
        print_number("crowd_lost", (double)(missing > 0 ? missing : 0));
        print_number("crowd_doubled", (double)(missing < 0 ? -missing : 0));
        print_number("crowd_torn", (double)r->crowd_torn);
        print_number("crowd_broken", r->crowd.broken);
        print_number("crowd_last_p50_us", histogram_us(&r->crowd_last, 0.5));
    }
    print_close();
}

void pairs_run(const struct options *o)
{
    struct run *r = calloc(1, sizeof(*r));
    uint64_t begin;

    if (!r)
        die("out of memory");
    r->o = o;
    pump_init(&r->pump, r);
    r->pump.target = o->target;
    r->pump.options = o;
    r->pump.on_text = on_text;
    score_init(&r->score, o);
    ring_make(&r->pump, o->clients);
    connect_all(&r->pump, 0, o->clients);
    if (strcmp(o->scenario, "crowd") == 0)
        crowd_connect(r);
    start(r);
    begin = now_ns() + (uint64_t)(o->warmup * 1e9);
    turn_until(r, begin);
    score_begin(&r->score, &r->pump);
    turn_until(r, begin + (uint64_t)(o->seconds * 1e9));
    score_end(&r->score, &r->pump);
    r->stopping = true;
    drain(&r->pump);
    crowd_drain(r);
    print(r);
}
