#include "hub/shed.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/note.h"
#include "hub/shard.h"

enum {
    SHED_SLOTS = 4096, /* in one turn */
    LOOK_EVERY_MS = 10,
    BURIED_MS = 1,  /* until those who were closed have given their memory back */
    REST_MS = 100,  /* after a round that found nobody to close */
    FREE_PART = 32, /* shedding ends when this part of what may be held is free */
};

static void on_due(struct timer *t);

void shed_init(struct shed *d)
{
    *d = (struct shed){0};
    timer_init(&d->timer, on_due);
}

void shed_fini(struct shed *d)
{
    wheel_stop(&d->timer);
}

static void again(struct shard *s, int64_t wait_ms)
{
    wheel_start(&s->loop.wheel, &s->shed.timer, shard_now(s) + wait_ms);
}

static void start(struct shard *s)
{
    if (s->shed.on)
        return;
    s->shed.on = true;
    heavy_init(&s->shed.heavy);
    again(s, 0);
}

static void tell_others(struct shard *s)
{
    uint32_t i;

    for (i = 0; i < s->hub->count; i++)
        if (i != s->number)
            shard_post(s, i, note_new(s, NOTE_SHED), sizeof(struct note));
}

void shed_look(struct shard *s)
{
    struct shed *d = &s->shed;

    if (d->on || shard_now(s) - d->looked_ms < LOOK_EVERY_MS)
        return;
    d->looked_ms = shard_now(s);
    if (!hub_is_at(s->hub, HUB_NO_READERS))
        return;
    start(s);
    tell_others(s);
}

void shed_on_note(struct shard *s, struct note *n)
{
    (void)n;
    start(s);
}

/* How much must be given back. */
static int64_t excess(const struct hub *h)
{
    int64_t most = hub_step_bytes(h, HUB_NO_READERS);

    return mem_held() - (most - most / FREE_PART);
}

/* Rounds are a millisecond apart: a line tells of all since the one before. */
static void tell_log(struct shard *s, uint32_t closed)
{
    struct shed *d = &s->shed;
    int64_t held_back;

    d->closed += closed;
    if (!log_may(&d->told, shard_now(s), &held_back))
        return;
    log_warn("memory budget used up", LOG_NUM("shard", s->number), LOG_NUM("closed", d->closed),
             LOG_NUM("held", mem_held()));
    d->closed = 0;
}

static void on_due(struct timer *t)
{
    struct shed *d = container_of(t, struct shed, timer);
    struct shard *s = container_of(d, struct shard, shed);
    int64_t over = excess(s->hub), freed;
    uint32_t closed = 0;

    if (over <= 0) {
        d->on = false;
        return;
    }
    if (!list_is_empty(&s->net.dead)) { /* who was closed last time has yet to give it back */
        again(s, BURIED_MS);
        return;
    }
    if (!heavy_look(&d->heavy, &s->net, SHED_SLOTS)) {
        again(s, 0);
        return;
    }
    for (; over > 0 && (freed = (int64_t)heavy_close(&d->heavy, &s->net)) > 0; over -= freed)
        closed++;
    if (closed > 0)
        tell_log(s, closed);
    heavy_init(&d->heavy);
    again(s, closed > 0 ? BURIED_MS : REST_MS);
}
