#include "app/drain.h"

#include "api/api_shard.h"
#include "base/log.h"
#include "base/mem.h"

enum { LOOK_EVERY_MS = 20, WINDOW_SHARE = 2 };

enum step {
    DOORS,   /* closed here; what other shards let in or accepted may still be on its way */
    WAITING, /* they are closed everywhere: one look later all of that has arrived */
    CLOSING, /* HTTP ends, WebSockets are closed one after the other */
    OVERDUE, /* time is over: whoever was not told to go is told now */
};

/* One drain under way; its timer works a little at every look. */
struct drain {
    struct timer timer;
    struct shard *shard;
    enum step step;
    int64_t until_ms, window_ms;
    int64_t closing_ms; /* when CLOSING began */
    uint32_t sockets;   /* WebSockets there were then */
    uint32_t passed;    /* of them: closed, or left for later */
    uint32_t later;     /* of the walk so far: busy, so left for later */
    uint32_t cursor;    /* of the walk */
    bool is_empty;      /* counted in hub->drain.empty */
};

/* ---- WebSockets, one after the other ---- */

static void end_http(struct conn *c, void *context)
{
    struct drain *d = context;
    struct http_conn *h = http_of(c);

    if (h)
        api_end_http(h);
    else if (ws_of(c))
        d->sockets++;
}

static void begin_closing(struct drain *d)
{
    d->step = CLOSING;
    d->closing_ms = shard_now(d->shard);
    net_each(&d->shard->net, end_http, d);
}

/* A busy client is waited for, at most as long as an acknowledged message waits for its outcome. */
static bool is_worth_waiting(struct drain *d, struct ws_conn *w)
{
    struct shard *s = d->shard;
    int64_t patience_ms = d->closing_ms + d->window_ms + s->hub->settings->ack_timeout_ms;

    return shard_now(s) < patience_ms && api_ws_is_busy(s, w);
}

static void close_one(struct drain *d, struct ws_conn *w)
{
    d->passed++;
    if (is_worth_waiting(d, w)) {
        d->later++;
        return;
    }
    api_end_ws(w, false);
    atomic_fetch_add(&d->shard->hub->drain.closed, 1);
}

/* As many as are due by now. Those that were busy are asked again when the others have gone. */
static void close_some(struct drain *d)
{
    int64_t spent_ms = shard_now(d->shard) - d->closing_ms;
    bool all = spent_ms >= d->window_ms;
    uint32_t due = all ? UINT32_MAX : (uint32_t)(d->sockets * spent_ms / d->window_ms);
    struct conn *c = NULL;

    while ((all || d->passed < due) && (c = net_next(&d->shard->net, &d->cursor))) {
        struct ws_conn *w = ws_of(c);

        if (w && ws_is_open(w))
            close_one(d, w);
    }
    if (!c && d->later && (all || d->passed < due)) {
        d->later = 0;
        d->cursor = 0;
    }
}

/* ---- the end ---- */

static void say_last_word(struct conn *c, void *context)
{
    struct ws_conn *w = ws_of(c);
    struct shard *s = context;

    if (!w || !ws_is_open(w))
        return;
    atomic_fetch_add(&s->hub->drain.dropped_bytes, (int64_t)conn_waiting(c));
    atomic_fetch_add(&s->hub->drain.closed, 1);
    api_end_ws(w, true);
}

static void cut_all(struct shard *s)
{
    uint32_t count = 0, cursor = 0;
    int64_t dropped = 0;
    struct conn *c;

    for (; (c = net_next(&s->net, &cursor)); count++) {
        dropped += (int64_t)conn_waiting(c);
        conn_close(c, CONN_END_OURS);
    }
    if (!count)
        return;
    atomic_fetch_add(&s->hub->drain.cut, count);
    atomic_fetch_add(&s->hub->drain.dropped_bytes, dropped);
    log_warn("drain cut", LOG_NUM("shard", s->number), LOG_NUM("connections", count),
             LOG_NUM("dropped_bytes", dropped));
}

static void stop(struct drain *d)
{
    struct shard *s = d->shard;

    s->drain = NULL;
    mem_free(d);
    loop_stop(&s->loop);
}

/* No shard has a socket, and none is on its way to one: whoever moves holds its place in the gate
   until it has arrived, and left its shard before that shard was empty. A shard without sockets
   stays while others have some: they may ask it for a count or an outcome. */
static bool is_over(struct drain *d)
{
    struct hub *h = d->shard->hub;
    bool is_empty = d->step >= WAITING && d->shard->net.open == 0;

    if (is_empty != d->is_empty)
        atomic_fetch_add(&h->drain.empty, is_empty ? 1 : UINT32_MAX);
    d->is_empty = is_empty;
    return atomic_load(&h->drain.empty) == h->count && gate_is_empty(&h->sockets);
}

static void look(struct drain *d)
{
    struct shard *s = d->shard;

    if (shard_now(s) >= d->until_ms && d->step != OVERDUE) {
        net_each(&s->net, say_last_word, s);
        d->step = OVERDUE;
    } else if (d->step == DOORS) {
        if (atomic_load(&s->hub->drain.begun) == s->hub->count)
            d->step = WAITING;
    } else if (d->step == WAITING) {
        begin_closing(d);
    }
    if (d->step == CLOSING)
        close_some(d);
}

static void on_due(struct timer *t)
{
    struct drain *d = container_of(t, struct drain, timer);
    bool was_overdue = d->step == OVERDUE;

    look(d);
    if (was_overdue)
        cut_all(d->shard);
    if (was_overdue || is_over(d))
        stop(d);
    else
        wheel_start(&d->shard->loop.wheel, t, shard_now(d->shard) + LOOK_EVERY_MS);
}

static int64_t window_ms(const struct hub *h)
{
    const struct settings *set = h->settings;
    int64_t wanted = set->drain_window_ms, most = set->drain_ms;

    if (!wanted) {
        wanted = atomic_load(&h->sockets.inside);
        most /= WINDOW_SHARE;
    }
    return wanted < most ? wanted : most;
}

void drain_on_note(struct shard *s, struct note *n)
{
    struct drain *d = s->drain;

    (void)n;
    if (d) {
        d->until_ms = shard_now(s);
        wheel_start(&s->loop.wheel, &d->timer, shard_now(s));
        return;
    }
    d = mem_new(struct drain);
    d->shard = s;
    d->until_ms = shard_now(s) + s->hub->settings->drain_ms;
    d->window_ms = window_ms(s->hub);
    s->drain = d;
    api_close_doors(s);
    atomic_fetch_add(&s->hub->drain.begun, 1);
    timer_init(&d->timer, on_due);
    wheel_start(&s->loop.wheel, &d->timer, shard_now(s));
}
