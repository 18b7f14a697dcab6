#include "flow/loop.h"

#include <sched.h>
#include <stddef.h>
#include "base/clock.h"

enum {
    EVENTS_A_TURN = 1024, /* many, so that what one turn has for a socket leaves in one write */
    PRESSURE_EVERY = 128, /* events, after which the other shards' inboxes are looked at again */
    TIMERS_A_TURN = 8,    /* the rest is due again at once, after a look at the sockets */
    TIMERS_MOST = 128,    /* when that has left some for TIMERS_LATE_MS on end */
    TIMERS_LATE_MS = 100,
    HEAR_MOST_US = 2000, /* of a turn: then notes that come meanwhile wait for the next */
    LATE_LEAST_US = 50,  /* time for late descriptors in one turn: half of what its rest took, at
                            least so much, */
    LATE_MOST_US = 250,  /* and at most so much, */
    LATE_MOST = 4096,    /* and at most so many calls, whatever the clock says */
    PARK_LEAST = 64,     /* fewer cost less where they are than to be moved */
    PARK_A_TURN = 16,
    PARKED_AT_ONCE = 4, /* between two looks at the clock */
};

enum err loop_open(struct loop *l, struct inbox *inbox, const struct loop_hooks *hooks)
{
    enum err e = poll_open(&l->poll);

    if (e)
        return e;
    e = poll_open(&l->parked);
    if (!e)
        e = poll_nest(&l->poll, &l->parked, LOOP_PARKED_TAG);
    if (!e)
        e = poll_add(&l->poll, inbox_wake_fd(inbox), EPOLLIN, LOOP_WAKE_TAG);
    if (e) {
        poll_close(&l->parked);
        poll_close(&l->poll);
        return e;
    }
    l->inbox = inbox;
    l->hooks = *hooks;
    l->now_ms = clock_mono_ms();
    l->stopping = false;
    l->hurry = false;
    l->late = 0;
    l->turn = 0;
    l->timers_left_ms = 0;
    wheel_init(&l->wheel, l->now_ms);
    return ERR_OK;
}

void loop_close(struct loop *l)
{
    poll_remove(&l->poll, inbox_wake_fd(l->inbox));
    poll_close(&l->parked);
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

    l->parked_is_ready = false;
    for (int i = 0; i < n; i++)
        if (events[i].data.u64 == LOOP_WAKE_TAG)
            poll_woken(inbox_wake_fd(l->inbox));
        else if (events[i].data.u64 == LOOP_PARKED_TAG)
            l->parked_is_ready = true;
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

/* What was posted before a peer's bytes were sent is done before them: he may have waited for it.
 */
static bool hear(struct loop *l)
{
    if (!l->hooks.on_notes || !inbox_weight(l->inbox))
        return false;
    take_notes(l);
    return true;
}

static bool is_pressed(const struct loop *l)
{
    return l->hooks.is_pressed && l->hooks.is_pressed(l->hooks.owner);
}

/* Events left alone under pressure come again: the poll is level-triggered. Leaves those that come
   late at the front and returns how many they are. */
static int read_ready(struct loop *l, struct epoll_event *events, int n, int64_t begun_us)
{
    const struct loop_hooks *h = &l->hooks;
    int late = 0;

    if (n == 0 || !h->on_ready)
        return 0;
    if (is_pressed(l)) {
        sched_yield();
        return 0;
    }
    for (int i = 0; i < n; i++) {
        if (i % PRESSURE_EVERY == PRESSURE_EVERY - 1 && is_pressed(l))
            break;
        if (hear(l) && clock_mono_us() - begun_us > HEAR_MOST_US)
            break; /* others post faster than this thread gets to writing */
        if (!h->on_ready(h->owner, events[i].data.u64, events[i].events))
            events[late++] = events[i];
    }
    return late;
}

static int64_t late_slice_us(int64_t rest_us)
{
    int64_t slice_us = rest_us / 2;

    if (slice_us < LATE_LEAST_US)
        return LATE_LEAST_US;
    return slice_us < LATE_MOST_US ? slice_us : LATE_MOST_US;
}

/* The kernel tells the same descriptors in the same order every time, so the first one of a slice
   is the next of the last slice. What is left when the slice is over keeps its events; how many
   that are. */
static int read_fresh(struct loop *l, struct epoll_event *events, int n, int64_t end_us)
{
    const struct loop_hooks *h = &l->hooks;
    int left = n;

    for (int i = 0; left > 0 && i < LATE_MOST && clock_mono_us() < end_us; i++) {
        struct epoll_event *e = &events[l->late++ % (uint32_t)n];

        if (!e->events) /* had no more */
            continue;
        (void)hear(l);
        if (!h->on_late(h->owner, e->data.u64, e->events)) {
            e->events = 0;
            left--;
        }
    }
    return left;
}

static void park(struct loop *l, const struct epoll_event *events, int n)
{
    int done = 0;

    for (int i = 0; i < n && done < PARK_A_TURN && l->hooks.on_park; i++) {
        const struct epoll_event *e = &events[(l->late + (uint32_t)i) % (uint32_t)n];

        if (e->events) {
            l->hooks.on_park(l->hooks.owner, e->data.u64);
            done++;
        }
    }
}

/* Who was told goes to the end of the kernel's own line. */
static void read_parked(struct loop *l, int64_t end_us)
{
    const struct loop_hooks *h = &l->hooks;
    struct epoll_event some[PARKED_AT_ONCE];
    int n, told = 0;

    do {
        n = poll_wait(&l->parked, some, PARKED_AT_ONCE, 0);
        for (int i = 0; i < n; i++) {
            (void)hear(l);
            (void)h->on_late(h->owner, some[i].data.u64, some[i].events);
        }
        told += n;
    } while (n > 0 && told < LATE_MOST && clock_mono_us() < end_us);
}

/* Parked ones have half of the slice at least. */
static void read_late(struct loop *l, struct epoll_event *events, int n, int64_t begun_us)
{
    int64_t now_us, slice_us;

    if ((n == 0 && !l->parked_is_ready) || !l->hooks.on_late)
        return;
    if (is_pressed(l)) {
        if (l->parked_is_ready)
            sched_yield(); /* the next wait is none: they are ready still */
        return;
    }
    now_us = clock_mono_us();
    slice_us = late_slice_us(now_us - begun_us);
    if (n > 0 && read_fresh(l, events, n,
                            now_us + (l->parked_is_ready ? slice_us / 2 : slice_us)) >= PARK_LEAST)
        park(l, events, n);
    if (l->parked_is_ready)
        read_parked(l, now_us + slice_us);
    l->hurry = true; /* what they have to say is posted and written in the next turn */
    sched_yield();   /* a thread that never waits lets the kernel's own, that deliver what was
                        written, wait for milliseconds */
}

/* Few a turn, as what they do is written in it; more if they fall behind. */
static void run_timers(struct loop *l)
{
    bool late = l->timers_left_ms && l->now_ms - l->timers_left_ms >= TIMERS_LATE_MS;

    l->hurry = wheel_run(&l->wheel, l->now_ms, late ? TIMERS_MOST : TIMERS_A_TURN);
    if (!l->hurry)
        l->timers_left_ms = 0;
    else if (!l->timers_left_ms)
        l->timers_left_ms = l->now_ms;
}

void loop_turn(struct loop *l, int64_t max_wait_ms)
{
    const struct loop_hooks *h = &l->hooks;
    struct epoll_event events[EVENTS_A_TURN];
    int n = await_events(l, events, max_wait_ms), late;
    int64_t begun_us = clock_mono_us();

    l->now_ms = begun_us / 1000;
    l->turn++;
    take_notes(l);
    late = read_ready(l, events, n, begun_us);
    run_timers(l);
    if (h->on_post)
        h->on_post(h->owner);
    if (h->on_write && h->on_write(h->owner))
        l->hurry = true;
    read_late(l, events, late, begun_us);
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
