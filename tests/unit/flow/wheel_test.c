#include "flow/wheel.h"

#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

/* ---- a pseudo-random sequence that a printed seed repeats ---- */

static uint64_t dice;

static void dice_init(const char *what)
{
    const char *given = getenv("PUSHCA_TEST_SEED");

    dice = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) | 1;
    printf("%s: PUSHCA_TEST_SEED=%" PRIu64 "\n", what, dice);
}

static int64_t roll(int64_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (int64_t)((dice >> 11) % (uint64_t)n);
}

/* ---- the model: armed timers in a plain array, sorted by deadline ---- */

enum { ITEMS = 200 };

struct item {
    struct timer t;
    int64_t due_ms, started_ms;
    bool armed;
    bool fresh; /* started by an on_due of the run that goes on */
};

static struct wheel wheel;
static struct item *items[ITEMS];
static struct item *sorted[ITEMS];
static int armed;
static int64_t now_ms, calls;
static bool running, punctual;

static void on_due(struct timer *t);

static int64_t step_end(int64_t ms)
{
    return (ms + WHEEL_STEP_MS - 1) / WHEEL_STEP_MS * WHEEL_STEP_MS;
}

static bool is_due(const struct item *i)
{
    return step_end(i->due_ms) <= now_ms;
}

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

static struct item *item_new(void)
{
    struct item *i = calloc(1, sizeof(*i));

    assert_non_null(i);
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
static void replace(int at)
{
    stop(items[at]);
    free(items[at]);
    items[at] = item_new();
}

/* Past, near, far, beyond the reach; often at the edge of a slot of some level. */
static int64_t some_deadline(void)
{
    int64_t slot_ms = (int64_t)WHEEL_STEP_MS << (6 * roll(WHEEL_LEVELS + 1));
    int64_t due_ms;

    if (roll(8) == 0)
        return now_ms - roll(100);
    if (roll(3) == 0)
        return (now_ms / slot_ms + roll(66)) * slot_ms + roll(3) - 1;
    due_ms = now_ms + roll((int64_t)1 << (1 + roll(29)));
    return due_ms;
}

static int place_of(const struct item *i)
{
    int at = 0;

    while (items[at] != i)
        at++;
    return at;
}

static void on_due(struct timer *t)
{
    struct item *i = container_of(t, struct item, t);
    int64_t wanted_ms = i->due_ms > i->started_ms ? i->due_ms : i->started_ms;

    calls++;
    assert_true(running);
    assert_true(i->armed);
    assert_false(timer_is_armed(t));
    assert_false(i->fresh);
    assert_true(now_ms >= i->due_ms);
    if (punctual)
        assert_true(now_ms - wanted_ms < WHEEL_STEP_MS);
    model_remove(i);
    switch (roll(8)) {
    case 0:
        start(i, now_ms);
        break;
    case 1:
        start(i, some_deadline());
        break;
    case 2:
        stop(items[roll(ITEMS)]);
        break;
    case 3:
        start(items[roll(ITEMS)], some_deadline());
        break;
    case 4:
        replace((int)roll(ITEMS));
        break;
    case 5:
        replace(place_of(i));
        break;
    default:
        break;
    }
}

static void check_next(void)
{
    int64_t next_ms = wheel_next_ms(&wheel, now_ms);

    if (armed == 0) {
        assert_int_equal(next_ms, -1);
        return;
    }
    assert_true(next_ms >= 0);
    if (is_due(sorted[0]))
        assert_int_equal(next_ms, 0);
    else
        assert_true(next_ms <= step_end(sorted[0]->due_ms) - now_ms);
}

static void run(int max)
{
    int64_t before = calls;
    bool more, left = false, left_old = false;

    running = true;
    more = wheel_run(&wheel, now_ms, max);
    running = false;
    for (int at = 0; at < armed && sorted[at]->due_ms <= now_ms; at++)
        if (is_due(sorted[at])) {
            left = true;
            left_old = left_old || !sorted[at]->fresh;
        }
    assert_true(calls - before <= max);
    if (calls - before < max)
        assert_false(left_old);
    assert_int_equal(more, left);
    for (int at = 0; at < armed; at++)
        sorted[at]->fresh = false;
}

static void check_all(void)
{
    for (int at = 0; at < ITEMS; at++)
        assert_int_equal(timer_is_armed(&items[at]->t), items[at]->armed);
    check_next();
}

static void change_some(void)
{
    for (int64_t n = roll(6); n > 0; n--) {
        int at = (int)roll(ITEMS);

        if (roll(3))
            start(items[at], some_deadline());
        else if (roll(4))
            stop(items[at]);
        else
            replace(at);
        check_next();
    }
}

/* As a loop does: never asleep for longer than wheel_next_ms says. */
static int64_t obedient_wait(void)
{
    int64_t next_ms = wheel_next_ms(&wheel, now_ms);

    if (next_ms < 0)
        return roll(1000);
    return roll(2) ? next_ms : roll(next_ms + 1);
}

static int64_t some_jump(void)
{
    return roll(4) ? roll(100) : roll((int64_t)1 << (1 + roll(29)));
}

static void against_model(int64_t from_ms, bool obedient, int rounds)
{
    now_ms = from_ms;
    punctual = obedient;
    armed = 0;
    wheel_init(&wheel, now_ms);
    for (int at = 0; at < ITEMS; at++)
        items[at] = item_new();
    for (int round = 0; round < rounds; round++) {
        change_some();
        now_ms += punctual ? obedient_wait() : some_jump();
        run(punctual || roll(3) ? INT_MAX : (int)roll(10));
        check_all();
    }
    for (int at = 0; at < ITEMS; at++) {
        stop(items[at]);
        free(items[at]);
    }
    assert_int_equal(wheel_next_ms(&wheel, now_ms), -1);
}

static void random_operations_woken_in_time(void **state)
{
    (void)state;
    dice_init("wheel, woken in time");
    against_model(roll((int64_t)1 << 40), true, 100000);
    assert_true(calls > 0);
}

static void random_operations_with_jumps(void **state)
{
    (void)state;
    dice_init("wheel, jumps");
    against_model(roll((int64_t)1 << 40), false, 100000);
    /* the first step of all, and every level's edge just ahead */
    against_model(0, false, 10000);
    against_model(((int64_t)WHEEL_STEP_MS << 24) - 1, false, 10000);
}

/* ---- single timers ---- */

static int fired;

static void count(struct timer *t)
{
    (void)t;
    fired++;
}

/* Runs when told to until the timer is called; answers how many runs that took. */
static int runs_until(struct wheel *w, int64_t *at_ms)
{
    int before = fired, runs = 0;

    while (fired == before && runs < 1000) {
        int64_t next_ms = wheel_next_ms(w, *at_ms);

        assert_true(next_ms >= 0);
        *at_ms += next_ms;
        wheel_run(w, *at_ms, INT_MAX);
        runs++;
    }
    return runs;
}

static void every_level_wakes_a_few_times_and_fires_exactly(void **state)
{
    static const int64_t steps[] = {1,    2,      63,     64,       65,       4095,     4096,
                                    4097, 262143, 262144, 16777215, 16777216, 16777217, 40000000};
    struct wheel w;
    struct timer t;

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        for (int64_t from = 0; from < 5; from++) {
            int64_t at_ms = from * 63 * 64 * WHEEL_STEP_MS, due_ms = at_ms + steps[i] * 10;

            wheel_init(&w, at_ms);
            timer_init(&t, count);
            wheel_start(&w, &t, due_ms);
            /* one run a level, and one more for each reach that lies in between */
            assert_true(runs_until(&w, &at_ms) <= WHEEL_LEVELS + 3);
            assert_int_equal(at_ms, due_ms);
            assert_int_equal(wheel_next_ms(&w, at_ms), -1);
        }
}

static void never_early_by_a_millisecond(void **state)
{
    struct wheel w;
    struct timer t;

    (void)state;
    for (int64_t due_ms = 1000; due_ms <= 1020; due_ms++) {
        wheel_init(&w, 995);
        timer_init(&t, count);
        wheel_start(&w, &t, due_ms);
        fired = 0;
        wheel_run(&w, step_end(due_ms) - 1, INT_MAX);
        assert_int_equal(fired, 0);
        assert_true(timer_is_armed(&t));
        assert_int_equal(wheel_next_ms(&w, step_end(due_ms) - 1), 1);
        wheel_run(&w, step_end(due_ms), INT_MAX);
        assert_int_equal(fired, 1);
        assert_false(timer_is_armed(&t));
    }
}

static void past_and_extreme_deadlines(void **state)
{
    struct wheel w;
    struct timer past, far;

    (void)state;
    fired = 0;
    wheel_init(&w, 5000);
    timer_init(&past, count);
    timer_init(&far, count);
    wheel_start(&w, &past, INT64_MIN);
    wheel_start(&w, &far, INT64_MAX);
    assert_int_equal(wheel_next_ms(&w, 5000), 0);
    assert_false(wheel_run(&w, 5000, INT_MAX));
    assert_int_equal(fired, 1);
    /* a month, a reach at a time */
    assert_false(wheel_run(&w, INT64_C(30) * 24 * 3600 * 1000, INT_MAX));
    assert_int_equal(fired, 1);
    assert_true(timer_is_armed(&far));
    wheel_stop(&far);
    assert_int_equal(wheel_next_ms(&w, 5000), -1);
}

/* A wheel that visited every step in between would not end. */
static void a_jump_costs_what_it_passes(void **state)
{
    enum { TIMERS = 1000 };
    static struct timer t[TIMERS];
    struct wheel w;
    int64_t at_ms = 12345;

    (void)state;
    fired = 0;
    wheel_init(&w, at_ms);
    for (int i = 0; i < TIMERS; i++) {
        timer_init(&t[i], count);
        wheel_start(&w, &t[i], at_ms + (int64_t)i * 100000);
    }
    at_ms += INT64_C(1) << 52;
    assert_false(wheel_run(&w, at_ms, INT_MAX));
    assert_int_equal(fired, TIMERS);
    at_ms += INT64_C(1) << 53;
    assert_false(wheel_run(&w, at_ms, INT_MAX));
    timer_init(&t[0], count);
    wheel_start(&w, &t[0], at_ms + 20);
    assert_int_equal(runs_until(&w, &at_ms), 1);
}

static void a_clock_that_stands_still_or_goes_back_is_harmless(void **state)
{
    struct wheel w;
    struct timer t;

    (void)state;
    fired = 0;
    wheel_init(&w, 1000);
    timer_init(&t, count);
    wheel_start(&w, &t, 1020);
    wheel_run(&w, 1010, INT_MAX);
    wheel_run(&w, 900, INT_MAX);
    wheel_run(&w, 1010, INT_MAX);
    assert_int_equal(fired, 0);
    wheel_run(&w, 1020, INT_MAX);
    assert_int_equal(fired, 1);
}

static void moving_and_stopping(void **state)
{
    struct wheel w;
    struct timer t;

    (void)state;
    fired = 0;
    wheel_init(&w, 0);
    timer_init(&t, count);
    wheel_stop(&t);
    assert_false(timer_is_armed(&t));
    wheel_start(&w, &t, 100);
    wheel_start(&w, &t, 70000);
    assert_int_equal(t.due_ms, 70000);
    wheel_run(&w, 60000, INT_MAX);
    assert_int_equal(fired, 0);
    wheel_start(&w, &t, 60010);
    wheel_run(&w, 70000, INT_MAX);
    assert_int_equal(fired, 1);
    wheel_start(&w, &t, 80000);
    wheel_stop(&t);
    wheel_stop(&t);
    assert_int_equal(wheel_next_ms(&w, 70000), -1);
    wheel_run(&w, 90000, INT_MAX);
    assert_int_equal(fired, 1);
}

/* ---- a bounded run ---- */

static struct wheel bounded;
static int64_t again_at_ms;

static void again(struct timer *t)
{
    fired++;
    wheel_start(&bounded, t, again_at_ms);
}

static void at_most_max_a_run(void **state)
{
    struct timer t[10];

    (void)state;
    fired = 0;
    wheel_init(&bounded, 0);
    for (int i = 0; i < 10; i++) {
        timer_init(&t[i], count);
        wheel_start(&bounded, &t[i], 10 + i % 3 * 10);
    }
    assert_true(wheel_run(&bounded, 100, 4));
    assert_int_equal(fired, 4);
    assert_int_equal(wheel_next_ms(&bounded, 100), 0);
    assert_true(wheel_run(&bounded, 100, 5));
    assert_int_equal(fired, 9);
    assert_false(wheel_run(&bounded, 100, 1));
    assert_int_equal(fired, 10);
    assert_int_equal(wheel_next_ms(&bounded, 100), -1);
}

/* One that starts itself for now is called once a run, and those that waited come before it. */
static void started_for_now_waits_behind_the_others(void **state)
{
    struct timer greedy[3], late;

    (void)state;
    fired = 0;
    again_at_ms = 0;
    wheel_init(&bounded, 100);
    for (int i = 0; i < 3; i++) {
        timer_init(&greedy[i], again);
        wheel_start(&bounded, &greedy[i], 0);
    }
    timer_init(&late, count);
    wheel_start(&bounded, &late, 0);
    assert_true(wheel_run(&bounded, 100, 3));
    assert_int_equal(fired, 3);
    assert_true(timer_is_armed(&late));
    assert_true(wheel_run(&bounded, 100, 1));
    assert_false(timer_is_armed(&late));
    assert_true(wheel_run(&bounded, 100, INT_MAX));
    assert_int_equal(fired, 7);
}

/* ---- from inside on_due ---- */

struct pair {
    struct timer t;
    struct pair *other;
};

static void stop_other(struct timer *t)
{
    struct pair *p = container_of(t, struct pair, t);

    fired++;
    wheel_stop(&p->other->t);
}

static void free_other(struct timer *t)
{
    struct pair *p = container_of(t, struct pair, t);

    fired++;
    wheel_stop(&p->other->t);
    free(p->other);
    free(p);
}

static void due_together_one_stops_the_other(void **state)
{
    struct wheel w;
    struct pair a, b = {.other = &a};

    (void)state;
    fired = 0;
    a.other = &b;
    wheel_init(&w, 0);
    timer_init(&a.t, stop_other);
    timer_init(&b.t, stop_other);
    wheel_start(&w, &a.t, 50);
    wheel_start(&w, &b.t, 50);
    assert_false(wheel_run(&w, 50, INT_MAX));
    assert_int_equal(fired, 1);
    assert_false(timer_is_armed(&a.t));
    assert_false(timer_is_armed(&b.t));
}

static void due_together_one_frees_both(void **state)
{
    struct wheel w;
    struct pair *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    fired = 0;
    a->other = b;
    b->other = a;
    wheel_init(&w, 0);
    timer_init(&a->t, free_other);
    timer_init(&b->t, free_other);
    wheel_start(&w, &a->t, 50);
    wheel_start(&w, &b->t, 50);
    assert_false(wheel_run(&w, 70, INT_MAX));
    assert_int_equal(fired, 1);
    assert_int_equal(wheel_next_ms(&w, 70), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_woken_in_time),
        cmocka_unit_test(random_operations_with_jumps),
        cmocka_unit_test(every_level_wakes_a_few_times_and_fires_exactly),
        cmocka_unit_test(never_early_by_a_millisecond),
        cmocka_unit_test(past_and_extreme_deadlines),
        cmocka_unit_test(a_jump_costs_what_it_passes),
        cmocka_unit_test(a_clock_that_stands_still_or_goes_back_is_harmless),
        cmocka_unit_test(moving_and_stopping),
        cmocka_unit_test(at_most_max_a_run),
        cmocka_unit_test(started_for_now_waits_behind_the_others),
        cmocka_unit_test(due_together_one_stops_the_other),
        cmocka_unit_test(due_together_one_frees_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
