#include "app/drain.h"

#include "api/api_shard.h"
#include "base/log.h"
#include "base/mem.h"

enum { LOOK_EVERY_MS = 20 };

/* One drain under way; its timer looks whether the last socket has gone. */
struct drain {
    struct timer timer;
    struct shard *shard;
    int64_t until_ms;
};

static void cut(struct conn *c, void *context)
{
    (void)context;
    conn_close(c, CONN_END_OURS);
}

static void on_due(struct timer *t)
{
    struct drain *d = container_of(t, struct drain, timer);
    struct shard *s = d->shard;

    if (s->net.open && shard_now(s) < d->until_ms) {
        wheel_start(&s->loop.wheel, t, shard_now(s) + LOOK_EVERY_MS);
        return;
    }
    if (s->net.open)
        log_warn("drain cut", LOG_NUM("shard", s->number), LOG_NUM("sockets", s->net.open));
    net_each(&s->net, cut, NULL);
    s->drain = NULL;
    mem_free(d);
    loop_stop(&s->loop);
}

void drain_on_note(struct shard *s, struct note *n)
{
    struct drain *d = s->drain;

    (void)n;
    if (d) {
        d->until_ms = shard_now(s);
        return;
    }
    d = mem_new(struct drain);
    d->shard = s;
    d->until_ms = shard_now(s) + s->hub->settings->drain_ms;
    s->drain = d;
    api_drain(s);
    timer_init(&d->timer, on_due);
    wheel_start(&s->loop.wheel, &d->timer, shard_now(s));
}
