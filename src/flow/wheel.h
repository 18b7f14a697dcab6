/*
 * wheel - timers by the ten thousand: 4 levels of 64 slots, 10 ms a step (reach: 46 hours).
 *
 *   level 0  [0..63]  one step a slot      level 2  4,096 steps a slot
 *   level 1  64 steps a slot               level 3  262,144 steps a slot
 *
 * Owner:   the loop embeds the wheel; each timer is embedded in its object and must be stopped
 * before that is freed.      Thread: the loop's. Cost:    start and stop O(1); a later deadline
 * than the reach is looked at again and re-armed. Promise: never early, at most one step late when
 * run in time.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

enum { WHEEL_STEP_MS = 10, WHEEL_LEVELS = 4, WHEEL_SLOTS = 64 };

struct timer {
    struct list link;
    int64_t due_ms;
    void (*on_due)(struct timer *t); /* disarmed before the call; may start again, may free */
};

struct wheel {
    /* private to wheel.c */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t used[WHEEL_LEVELS]; /* bit set: slot may be non-empty */
    struct list due;             /* expired, not yet called */
    int64_t step;
};

void wheel_init(struct wheel *w, int64_t now_ms);

void timer_init(struct timer *t, void (*on_due)(struct timer *t));
bool timer_is_armed(const struct timer *t);

/* Arms, or moves an armed one. A deadline in the past is due in the next run, or at the end of the
   step it lies in. */
void wheel_start(struct wheel *w, struct timer *t, int64_t due_ms);
void wheel_stop(struct timer *t);

/* Calls what is due at now_ms, at most max of them; true: more are due. A timer started while
   running, even for now, waits for the next run. */
bool wheel_run(struct wheel *w, int64_t now_ms, int max);

/* Milliseconds from now_ms until wheel_run has something to do (0: at once); -1: no timer. */
int64_t wheel_next_ms(const struct wheel *w, int64_t now_ms);
