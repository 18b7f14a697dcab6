#include "flow/loop.h"

#include <sched.h>
#include <stddef.h>
#include "base/clock.h"

enum {
    EVENTS_A_TURN = 1024, /* many, so that what one turn has for a socket leaves in one write */
    PRESSURE_EVERY = 128, /* events, after which the other shards' inboxes are looked at again */
    TIMERS_A_TURN = 4096, /* the rest is due again at once, after a look at the sockets */
};

enum err loop_open(struct loop *l, struct inbox *inbox, const struct loop_hooks *hooks)
{
    enum err e = poll_open(&l->poll);

    if (e)
        return e;
    e = poll_add(&l->poll, inbox_wake_fd(inbox), EPOLLIN, LOOP_WAKE_TAG);
    if (e) {
        poll_close(&l->poll);
        return e;
    }
    l->inbox = inbox;
    l->hooks = *hooks;
    l->now_ms = clock_mono_ms();
    l->stopping = false;
    l->hurry = false;
    wheel_init(&l->wheel, l->now_ms);
    return ERR_OK;
}

void loop_close(struct loop *l)
{
    poll_remove(&l->poll, inbox_wake_fd(l->inbox));
    poll_close(&l->poll);
}

/* Counted from a fresh reading: the turn before this one may have taken its time. */
static int64_t patience_ms(const struct loop *l, int64_t max_wait_ms)
{
    int64_t next_ms;

    if (l->hurry || max_wait_ms == 0)
        return 0;
    next_ms = wheel_next_ms(&l->wheel, clock_mono_ms());
    if (next_ms < 0)
        return max_wait_ms;
    return max_wait_ms < 0 || next_ms < max_wait_ms ? next_ms : max_wait_ms;
}

/* Fills in the descriptor events and returns how many. A wake is consumed here, before the inbox is
   taken: a note posted in between is taken with the rest and costs one turn for nothing. */
static int await_events(struct loop *l, struct epoll_event *events, int64_t max_wait_ms)
{
    int n = poll_wait(&l->poll, events, EVENTS_A_TURN, patience_ms(l, max_wait_ms)), kept = 0;

    for (int i = 0; i < n; i++)
        if (events[i].data.u64 == LOOP_WAKE_TAG)
            poll_woken(inbox_wake_fd(l->inbox));
        else
            events[kept++] = events[i];
    return kept;
}

static void take_notes(struct loop *l)
{
    struct inbox_link *first = l->hooks.on_notes ? inbox_take(l->inbox) : NULL;

    if (first)
        l->hooks.on_notes(l->hooks.owner, first);
}

/* Events left alone under pressure come again: the poll is level-triggered. */
static void read_ready(struct loop *l, const struct epoll_event *events, int n)
{
    const struct loop_hooks *h = &l->hooks;

    if (n == 0 || !h->on_ready)
        return;
    if (h->is_pressed && h->is_pressed(h->owner)) {
        sched_yield();
        return;
    }
    for (int i = 0; i < n; i++) {
        if (i % PRESSURE_EVERY == PRESSURE_EVERY - 1 && h->is_pressed && h->is_pressed(h->owner))
            return;
        h->on_ready(h->owner, events[i].data.u64, events[i].events);
    }
}

void loop_turn(struct loop *l, int64_t max_wait_ms)
{
    const struct loop_hooks *h = &l->hooks;
    struct epoll_event events[EVENTS_A_TURN];
    int n = await_events(l, events, max_wait_ms);

    l->now_ms = clock_mono_ms();
    take_notes(l);
    read_ready(l, events, n);
    l->hurry = wheel_run(&l->wheel, l->now_ms, TIMERS_A_TURN);
    if (h->on_post)
        h->on_post(h->owner);
    if (h->on_write && h->on_write(h->owner))
        l->hurry = true;
    if (h->on_bury)
        h->on_bury(h->owner);
}

void loop_run(struct loop *l)
{
    while (!l->stopping)
        loop_turn(l, -1);
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}
