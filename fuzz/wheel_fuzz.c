/* wheel - against armed timers in a sorted list: none early, none late in a loop that is woken in
 * time, none lost, none called twice. */
#include "flow/wheel.h"

#include <limits.h>
#include "input.h"

enum { ITEMS = 24 };

struct item {
    struct timer t; /* first */
    int64_t due_ms, started_ms;
    bool armed;
    bool fresh; /* started by an on_due of the run that goes on */
};

static struct input in;
static struct wheel wheel;
static struct item *items[ITEMS];
static struct item *sorted[ITEMS];
static int armed;
static int64_t now_ms;
static int calls;
static bool running, punctual;

static int64_t step_end(int64_t ms)
{
    return (ms + WHEEL_STEP_MS - 1) / WHEEL_STEP_MS * WHEEL_STEP_MS;
}

static bool is_due(const struct item *i)
{
    return step_end(i->due_ms) <= now_ms;
}

/* ---- the model ---- */

static void model_remove(struct item *i)
{
    int at = 0;

    if (!i->armed)
        return;
    while (sorted[at] != i)
        at++;
    for (armed--; at < armed; at++)
        sorted[at] = sorted[at + 1];
    i->armed = false;
}

static void model_add(struct item *i, int64_t due_ms)
{
    int at;

    model_remove(i);
    i->due_ms = due_ms;
    i->started_ms = now_ms;
    i->fresh = running;
    i->armed = true;
    for (at = armed++; at > 0 && sorted[at - 1]->due_ms > due_ms; at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = i;
}

/* ---- the same done to both ---- */

static void on_due(struct timer *t);

static struct item *item_new(void)
{
    struct item *i = calloc(1, sizeof(*i));

    MUST(i);
    timer_init(&i->t, on_due);
    return i;
}

static void start(struct item *i, int64_t due_ms)
{
    wheel_start(&wheel, &i->t, due_ms);
    model_add(i, due_ms);
}

static void stop(struct item *i)
{
    wheel_stop(&i->t);
    model_remove(i);
}

/* Frees one and puts a new one in its place, as a caller must: stopped first. */
static void replace(unsigned at)
{
    stop(items[at]);
    free(items[at]);
    items[at] = item_new();
}

/* Past, near, far, beyond the reach, or at the edge of a slot of some level. */
static int64_t some_deadline(void)
{
    unsigned kind = input_byte(&in), amount = input_byte(&in);
    int64_t slot_ms = (int64_t)WHEEL_STEP_MS << (6 * (kind / 4 % (WHEEL_LEVELS + 1)));

    switch (kind % 4) {
    case 0:
        return now_ms - amount;
    case 1:
        return (now_ms / slot_ms + amount % 66) * slot_ms + amount / 66 - 1;
    case 2:
        return now_ms + amount;
    default:
        return now_ms + ((int64_t)amount << (kind / 4 % 32));
    }
}

static struct item *some_item(void)
{
    return items[input_below(&in, ITEMS)];
}

/* May free the item of t. */
static void on_due(struct timer *t)
{
    struct item *i = container_of(t, struct item, t);
    int64_t wanted_ms = i->due_ms > i->started_ms ? i->due_ms : i->started_ms;
    unsigned at = 0;

    calls++;
    MUST(running && i->armed && !i->fresh && !timer_is_armed(t));
    MUST(now_ms >= i->due_ms);
    MUST(!punctual || now_ms - wanted_ms < WHEEL_STEP_MS);
    model_remove(i);
    switch (input_byte(&in) % 8) {
    case 1:
        start(i, now_ms);
        break;
    case 2:
        start(i, some_deadline());
        break;
    case 3:
        stop(some_item());
        break;
    case 4:
        start(some_item(), some_deadline());
        break;
    case 5:
        replace(input_below(&in, ITEMS));
        break;
    case 6:
        while (items[at] != i)
            at++;
        replace(at);
        break;
    default:
        break;
    }
}

/* ---- what must hold at any time ---- */

static void check_all(void)
{
    int64_t next_ms = wheel_next_ms(&wheel, now_ms);

    for (int at = 0; at < ITEMS; at++)
        MUST(timer_is_armed(&items[at]->t) == items[at]->armed);
    if (armed == 0) {
        MUST(next_ms == -1);
        return;
    }
    MUST(next_ms >= 0);
    if (is_due(sorted[0]))
        MUST(next_ms == 0);
    else
        MUST(next_ms <= step_end(sorted[0]->due_ms) - now_ms);
}

static void run(int max)
{
    bool more, left = false, left_old = false;

    calls = 0;
    running = true;
    more = wheel_run(&wheel, now_ms, max);
    running = false;
    for (int at = 0; at < armed; at++)
        if (is_due(sorted[at])) {
            left = true;
            left_old = left_old || !sorted[at]->fresh;
        }
    MUST(calls <= max && more == left);
    MUST(calls == max || !left_old);
    for (int at = 0; at < armed; at++)
        sorted[at]->fresh = false;
}

/* As a loop does: never asleep for longer than wheel_next_ms says. */
static int64_t obedient_wait(void)
{
    int64_t next_ms = wheel_next_ms(&wheel, now_ms);
    unsigned share = input_byte(&in);

    return next_ms < 0 ? share : share < 128 ? next_ms : next_ms * (share - 128) / 128;
}

static int64_t some_jump(void)
{
    unsigned n = input_byte(&in);

    return n < 128 ? n : (int64_t)input_byte(&in) << n % 32;
}

static void one_step(void)
{
    unsigned what = input_byte(&in);

    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        start(some_item(), some_deadline());
        break;
    case 3:
        stop(some_item());
        break;
    case 4:
        replace(input_below(&in, ITEMS));
        break;
    default:
        now_ms += punctual ? obedient_wait() : some_jump();
        run(punctual || what < 128 ? INT_MAX : (int)(what / 8 % 8));
    }
    check_all();
}

/* Where the clock begins: zero, anywhere, or right before an edge of every level. */
static int64_t some_beginning(void)
{
    unsigned kind = input_byte(&in);

    if (kind < 64)
        return 0;
    if (kind < 160)
        return (int64_t)input_u16(&in) << kind % 25;
    return ((int64_t)WHEEL_STEP_MS << 24) - 1 - kind % 32;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = (struct input){data, size};
    punctual = input_byte(&in) % 2;
    now_ms = some_beginning();
    armed = 0;
    wheel_init(&wheel, now_ms);
    for (int at = 0; at < ITEMS; at++)
        items[at] = item_new();
    while (in.left)
        one_step();
    for (int at = 0; at < ITEMS; at++) {
        stop(items[at]);
        free(items[at]);
    }
    MUST(wheel_next_ms(&wheel, now_ms) == -1);
    return 0;
}
