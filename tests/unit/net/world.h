/*
 * world - a real loop and net for one test.
 *
 * Nothing here waits for a time to pass: world_until turns the loop until something has happened,
 * and gives up only after a time that no healthy run needs.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "flow/loop.h"
#include "net/conn.h"

enum { WORLD_PATIENCE_MS = 20000, WORLD_QUIET_TURNS = 12 };

struct world {
    struct inbox inbox;
    struct loop loop;
    struct net net;
    struct net_limits limits;
};

static inline bool world_on_ready(void *owner, uint64_t tag, uint32_t events)
{
    struct world *w = owner;

    return net_on_ready(&w->net, tag, events);
}

static inline bool world_on_late(void *owner, uint64_t tag, uint32_t events)
{
    struct world *w = owner;

    return net_on_late(&w->net, tag, events);
}

static inline void world_on_park(void *owner, uint64_t tag)
{
    struct world *w = owner;

    net_on_park(&w->net, tag);
}

static inline bool world_on_write(void *owner)
{
    struct world *w = owner;

    return net_write(&w->net);
}

static inline void world_on_bury(void *owner)
{
    struct world *w = owner;

    net_bury(&w->net);
}

static inline void world_open(struct world *w)
{
    struct loop_hooks hooks = {.owner = w,
                               .on_ready = world_on_ready,
                               .on_write = world_on_write,
                               .on_late = world_on_late,
                               .on_park = world_on_park,
                               .on_bury = world_on_bury};

    *w = (struct world){.limits = {.queue_bytes = 256 * 1024,
                                   .soft_queue_bytes = 64 * 1024,
                                   .stall_ms = 60000,
                                   .linger_ms = 60000,
                                   .close_wait_ms = 60000}};
    assert_int_equal(inbox_open(&w->inbox), ERR_OK);
    assert_int_equal(loop_open(&w->loop, &w->inbox, &hooks), ERR_OK);
    net_init(&w->net, &w->loop, &w->limits);
}

static inline void world_turns(struct world *w, int turns)
{
    while (turns--)
        loop_turn(&w->loop, 0);
}

static inline void world_close_one(struct conn *c, void *context)
{
    (void)context;
    conn_close(c, CONN_END_OURS);
}

/* The peers' ends must be closed, or every conn open or dead. */
static inline void world_close(struct world *w)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;

    net_each(&w->net, world_close_one, NULL);
    while (w->net.open > 0 && clock_mono_ms() < end_ms)
        loop_turn(&w->loop, 1);
    assert_int_equal(w->net.open, 0);
    net_fini(&w->net);
    loop_close(&w->loop);
    inbox_close(&w->inbox);
}

/* Turns the loop until condition holds. */
#define world_until(w, condition)                                                                  \
    do {                                                                                           \
        int64_t end_ms_ = clock_mono_ms() + WORLD_PATIENCE_MS;                                     \
        while (!(condition) && clock_mono_ms() < end_ms_)                                          \
            loop_turn(&(w)->loop, 1);                                                              \
        assert_true(condition);                                                                    \
    } while (0)
