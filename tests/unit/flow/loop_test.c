#include "flow/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/clock.h"
#include "flow/thread.h"

/* A loop whose hooks write down that they were called. */
struct world {
    struct loop loop;
    struct inbox inbox;
    char trace[64]; /* N notes, R ready, ? pressed asked, T timer, P post, W write, L late, B bury
                     */
    size_t len;
    int notes, stop_after; /* notes */
    uint64_t last_tag;
    bool pressed, more_to_write;
    bool comes_late, pressed_later; /* later: from the second question on */
    int64_t late_takes_us;
    bool has_more;
    int lates, parked, *fds; /* by tag */
    bool *seen;              /* by tag: came late */
    int64_t now_ms;          /* what the turn's first hook saw */
    struct timer timer;
    struct inbox_link own, *post_in_post; /* what on_post gives to its own inbox */
    struct inbox_link *post_meanwhile;    /* what another thread gives to it, while one is read */
};

static void trace(struct world *w, char c)
{
    if (w->len == 0)
        w->now_ms = w->loop.now_ms;
    CHECK(w->loop.now_ms == w->now_ms);
    if (w->len < sizeof(w->trace) - 1)
        w->trace[w->len++] = c;
}

static void on_notes(void *owner, struct inbox_link *first)
{
    struct world *w = owner;

    trace(w, 'N');
    for (; first; first = first->next)
        w->notes++;
    if (w->stop_after && w->notes == w->stop_after)
        loop_stop(&w->loop);
}

static void post_meanwhile(struct world *w)
{
    if (w->post_meanwhile)
        inbox_post(&w->inbox, w->post_meanwhile, w->post_meanwhile, 1);
    w->post_meanwhile = NULL;
}

static bool on_ready(void *owner, uint64_t tag, uint32_t events)
{
    struct world *w = owner;

    trace(w, 'R');
    if (!w->comes_late)
        post_meanwhile(w);
    assert_int_equal(events, EPOLLIN);
    w->last_tag = tag;
    return !w->comes_late;
}

static bool on_late(void *owner, uint64_t tag, uint32_t events)
{
    struct world *w = owner;
    int64_t end_us = clock_mono_us() + w->late_takes_us;

    trace(w, 'L');
    post_meanwhile(w);
    assert_int_equal(events, EPOLLIN);
    w->last_tag = tag;
    w->lates++;
    if (w->seen)
        w->seen[tag] = true;
    while (clock_mono_us() < end_us)
        ;
    return w->has_more;
}

static void on_park(void *owner, uint64_t tag)
{
    struct world *w = owner;

    w->parked++;
    assert_int_equal(poll_move(&w->loop.poll, &w->loop.parked, w->fds[tag], EPOLLIN, tag), ERR_OK);
}

static void on_post(void *owner)
{
    struct world *w = owner;

    trace(w, 'P');
    if (w->post_in_post)
        inbox_post(&w->inbox, w->post_in_post, w->post_in_post, 1);
    w->post_in_post = NULL;
}

static bool on_write(void *owner)
{
    struct world *w = owner;

    trace(w, 'W');
    return w->more_to_write;
}

static void on_bury(void *owner)
{
    trace(owner, 'B');
}

static bool is_pressed(void *owner)
{
    struct world *w = owner;

    trace(w, '?');
    if (w->pressed_later) {
        w->pressed_later = false;
        w->pressed = true;
        return false;
    }
    return w->pressed;
}

static void on_timer(struct timer *t)
{
    trace(container_of(t, struct world, timer), 'T');
}

static struct world world;

static int open_world(void **state)
{
    struct loop_hooks hooks = {&world,  on_notes, on_ready, on_post,   on_write,
                               on_bury, on_late,  on_park,  is_pressed};

    (void)state;
    memset(&world, 0, sizeof(world));
    assert_int_equal(inbox_open(&world.inbox), ERR_OK);
    assert_int_equal(loop_open(&world.loop, &world.inbox, &hooks), ERR_OK);
    timer_init(&world.timer, on_timer);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    wheel_stop(&world.timer);
    loop_close(&world.loop);
    inbox_close(&world.inbox);
    return 0;
}

/* One turn; what was called in it, as letters. */
static const char *turn(int64_t max_wait_ms)
{
    memset(world.trace, 0, sizeof(world.trace));
    world.len = 0;
    loop_turn(&world.loop, max_wait_ms);
    return world.trace;
}

/* A descriptor that is ready until it is closed. */
static int ready_descriptor(uint64_t tag)
{
    int fd = eventfd(1, EFD_NONBLOCK);

    assert_true(fd >= 0);
    assert_int_equal(poll_add(&world.loop.poll, fd, EPOLLIN, tag), ERR_OK);
    return fd;
}

static void drop(int fd)
{
    poll_remove(&world.loop.poll, fd);
    close(fd);
}

static void phases_in_order(void **state)
{
    struct inbox_link link;
    int fd;

    (void)state;
    inbox_post(&world.inbox, &link, &link, 1);
    fd = ready_descriptor(7);
    wheel_start(&world.loop.wheel, &world.timer, 0);
    assert_string_equal(turn(-1), "N?RTPWB");
    assert_int_equal(world.notes, 1);
    assert_true(world.last_tag == 7);
    drop(fd);
    assert_string_equal(turn(0), "PWB");
    assert_true(world.loop.now_ms >= world.now_ms);
}

/* Whoever sent the second bytes may have waited for what was posted. */
static void what_is_posted_meanwhile_comes_before_the_next_is_read(void **state)
{
    struct inbox_link link;
    int fds[2] = {ready_descriptor(0), ready_descriptor(1)};

    (void)state;
    world.post_meanwhile = &link;
    assert_string_equal(turn(-1), "?RNRPWB");
    world.comes_late = true;
    world.post_meanwhile = &link;
    assert_string_equal(turn(-1), "?RRPW?LNLB");
    assert_int_equal(world.notes, 2);
    drop(fds[0]);
    drop(fds[1]);
}

static void late_ones_come_after_all_others(void **state)
{
    int fd = ready_descriptor(7);

    (void)state;
    world.comes_late = true;
    assert_string_equal(turn(-1), "?RPW?LB");
    drop(fd);
    assert_string_equal(turn(60000), "PWB"); /* at once: what LATE did is posted and written */
}

static void late_ones_with_more_are_asked_again(void **state)
{
    int fd = ready_descriptor(7), i;

    (void)state;
    world.comes_late = true;
    world.has_more = true;
    for (i = 0; i < 1000 && !strstr(turn(-1), "LL"); i++)
        ; /* unless this thread was held up for a whole slice */
    assert_true(i < 1000);
    drop(fd);
}

/* Each takes longer than a slice, so each turn has room for one. */
static void late_ones_take_turns(void **state)
{
    int fds[3];
    uint64_t seen[6];

    (void)state;
    world.comes_late = true;
    world.late_takes_us = 2000;
    for (int i = 0; i < 3; i++)
        fds[i] = ready_descriptor((uint64_t)i);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(turn(-1), "?RRRPW?LB");
        seen[i] = world.last_tag;
    }
    for (int i = 0; i < 3; i++) {
        assert_true(seen[i] == seen[i + 3]);
        assert_true(seen[i] != seen[(i + 1) % 3]);
        drop(fds[i]);
    }
}

enum { CROWD = 100, PARK_LEAST = 64, PARK_A_TURN = 16, AT_ONCE = 4, SLOW_US = 300 };

static int crowd[CROWD];

static void open_crowd(int n)
{
    world.comes_late = true;
    world.late_takes_us = SLOW_US; /* more than a slice */
    world.fds = crowd;
    for (int i = 0; i < n; i++)
        crowd[i] = ready_descriptor((uint64_t)i);
}

static void close_crowd(int n)
{
    for (int i = 0; i < n; i++)
        close(crowd[i]); /* out of whatever poll it is in */
}

/* Turns until somebody was heard: a thread that is held up has no time for anybody. */
static void turn_heard(void)
{
    int before = world.lates;

    for (int i = 0; i < 1000 && world.lates == before; i++) {
        turn(-1);
    }
    assert_true(world.lates > before);
}

static void many_that_had_no_turn_are_parked(void **state)
{
    (void)state;
    open_crowd(CROWD);
    turn_heard();
    assert_true(world.parked >= PARK_A_TURN);
    world.lates = 0;
    turn(-1); /* parked ones, a few at a time, have half of the slice */
    assert_true(world.lates >= AT_ONCE && world.lates <= AT_ONCE + 1);
    close_crowd(CROWD);
}

static void a_few_that_had_no_turn_stay(void **state)
{
    (void)state;
    open_crowd(PARK_LEAST - 1);
    turn_heard();
    assert_int_equal(world.parked, 0);
    close_crowd(PARK_LEAST - 1);
    open_crowd(PARK_LEAST + 1);
    turn_heard();
    assert_true(world.parked >= PARK_A_TURN);
    close_crowd(PARK_LEAST + 1);
}

/* Until there are few that READ tells of. */
static void park_crowd(void)
{
    world.comes_late = true;
    for (int i = 0; i < CROWD && world.parked <= CROWD - PARK_LEAST; i++)
        turn(-1);
    assert_true(world.parked > CROWD - PARK_LEAST);
}

static void parked_ones_take_turns(void **state)
{
    bool seen[CROWD] = {false};

    (void)state;
    open_crowd(CROWD);
    park_crowd();
    world.seen = seen;
    for (int turns = 0; turns < CROWD; turns++)
        turn(-1);
    for (int i = 0; i < CROWD; i++)
        assert_true(seen[i]);
    close_crowd(CROWD);
}

static void a_parked_one_ends_the_wait(void **state)
{
    eventfd_t count;
    int i;

    (void)state;
    open_crowd(CROWD);
    park_crowd();
    for (i = 0; i < CROWD; i++)
        assert_int_equal(eventfd_read(crowd[i], &count), 0);
    turn(0);
    assert_string_equal(turn(20), "PWB"); /* nobody is ready */
    for (i = 0; i < CROWD; i++) {
        world.last_tag = CROWD;
        assert_int_equal(eventfd_write(crowd[i], 1), 0);
        turn(-1);
        assert_int_equal(world.last_tag, i);
        assert_int_equal(eventfd_read(crowd[i], &count), 0);
        turn(0);
    }
    close_crowd(CROWD);
}

static void under_pressure_parked_ones_wait(void **state)
{
    (void)state;
    open_crowd(CROWD);
    park_crowd();
    world.pressed = true;
    assert_null(strchr(turn(-1), 'L'));
    world.pressed = false;
    assert_non_null(strchr(turn(-1), 'L'));
    close_crowd(CROWD);
}

static void under_pressure_late_ones_wait(void **state)
{
    int fd = ready_descriptor(7);

    (void)state;
    world.comes_late = true;
    world.pressed_later = true;
    assert_string_equal(turn(-1), "?RPW?B");
    world.pressed = false;
    assert_string_equal(turn(-1), "?RPW?LB");
    drop(fd);
}

static void all_notes_of_a_turn_at_once(void **state)
{
    struct inbox_link links[5];

    (void)state;
    for (int i = 0; i < 5; i++)
        inbox_post(&world.inbox, &links[i], &links[i], 1);
    assert_string_equal(turn(-1), "NPWB");
    assert_int_equal(world.notes, 5);
    assert_string_equal(turn(0), "PWB");
}

static void a_wake_is_consumed_and_never_shown(void **state)
{
    struct inbox_link link;
    struct epoll_event event;

    (void)state;
    inbox_post(&world.inbox, &link, &link, 1);
    assert_string_equal(turn(-1), "NPWB");
    assert_int_equal(poll_wait(&world.loop.poll, &event, 1, 0), 0);
}

static void a_note_to_itself_comes_next_turn(void **state)
{
    (void)state;
    world.post_in_post = &world.own;
    assert_string_equal(turn(0), "PWB");
    assert_string_equal(turn(-1), "NPWB");
    assert_int_equal(world.notes, 1);
}

/* Turns without limit that end show that nothing waits for too long; their number, that the loop
   does not spin instead of waiting. */
static void assert_waits_for_a_timer(void)
{
    int64_t due_ms = clock_mono_ms() + 700;
    int turns = 0;

    wheel_start(&world.loop.wheel, &world.timer, due_ms);
    while (!strchr(turn(-1), 'T') && turns < 100)
        turns++;
    assert_true(world.loop.now_ms >= due_ms);
    assert_true(turns <= 4);
}

static void waits_until_the_next_timer(void **state)
{
    (void)state;
    assert_waits_for_a_timer();
}

static void waits_no_longer_than_allowed(void **state)
{
    (void)state;
    assert_string_equal(turn(0), "PWB");
    assert_string_equal(turn(20), "PWB");
    wheel_start(&world.loop.wheel, &world.timer, clock_mono_ms() + 3600000);
    assert_string_equal(turn(0), "PWB");
    assert_string_equal(turn(20), "PWB");
}

static void does_not_wait_while_there_is_more_to_write(void **state)
{
    (void)state;
    world.more_to_write = true;
    assert_string_equal(turn(0), "PWB");
    assert_string_equal(turn(-1), "PWB");
    world.more_to_write = false;
    assert_string_equal(turn(-1), "PWB");
    assert_waits_for_a_timer(); /* waits again */
}

static int called;

static void count(struct timer *t)
{
    (void)t;
    called++;
}

static void start_due(struct timer *timers, int n)
{
    called = 0;
    for (int i = 0; i < n; i++) {
        timer_init(&timers[i], count);
        wheel_start(&world.loop.wheel, &timers[i], 0);
    }
}

static void at_most_8_timers_a_turn(void **state)
{
    enum { TIMERS = 2 * 8 + 1 };
    static struct timer timers[TIMERS];

    (void)state;
    start_due(timers, TIMERS);
    turn(-1);
    assert_int_equal(called, 8);
    world.loop.timers_left_ms = 0; /* however long this took */
    turn(-1);
    assert_int_equal(called, 16);
    turn(-1);
    assert_int_equal(called, TIMERS);
}

static void timers_that_fall_behind_are_more_a_turn(void **state)
{
    enum { TIMERS = 200 };
    static struct timer timers[TIMERS];

    (void)state;
    start_due(timers, TIMERS);
    turn(-1);
    assert_true(world.loop.timers_left_ms > 0);
    world.loop.timers_left_ms -= 200; /* as if it had been for so long */
    turn(-1);
    assert_int_equal(called, 8 + 128);
    while (called < TIMERS)
        turn(-1);
    turn(0);
    assert_int_equal(world.loop.timers_left_ms, 0);
}

static void under_pressure_all_but_reading_goes_on(void **state)
{
    struct inbox_link link;
    int fd = ready_descriptor(9);

    (void)state;
    world.pressed = true;
    inbox_post(&world.inbox, &link, &link, 1);
    wheel_start(&world.loop.wheel, &world.timer, 0);
    assert_string_equal(turn(-1), "N?TPWB");
    assert_string_equal(turn(-1), "?PWB");
    world.pressed = false;
    assert_string_equal(turn(-1), "?RPWB");
    assert_true(world.last_tag == 9);
    drop(fd);
}

/* More than one turn can take: everyone is served all the same. */
static void many_ready_descriptors_take_turns(void **state)
{
    enum { MANY = 600 };
    static int fds[MANY];
    static bool served[MANY];
    int left = MANY;

    (void)state;
    for (int i = 0; i < MANY; i++)
        fds[i] = ready_descriptor((uint64_t)i);
    for (int turns = 0; left > 0 && turns < 10 * MANY; turns++) {
        struct epoll_event none;

        turn(-1);
        assert_true(world.last_tag < MANY);
        /* the last one served is ready no more; the others stay so */
        if (!served[world.last_tag]) {
            served[world.last_tag] = true;
            drop(fds[world.last_tag]);
            left--;
        }
        assert_int_equal(poll_wait(&world.loop.poll, &none, 1, 0), left > 0);
    }
    assert_int_equal(left, 0);
}

enum { POSTED = 2000 };
static struct inbox_link posted[POSTED];

static void post_many(void *context)
{
    for (int i = 0; i < POSTED; i++) {
        inbox_post(context, &posted[i], &posted[i], 1);
        if (i % 100 == 0)
            usleep(500); /* lets the loop fall asleep now and then */
    }
}

static void another_thread_wakes_it(void **state)
{
    pthread_t thread;

    (void)state;
    world.stop_after = POSTED;
    memset(world.trace, 0, sizeof(world.trace));
    assert_int_equal(thread_start(&thread, "poster", post_many, &world.inbox), ERR_OK);
    while (!world.loop.stopping)
        turn(-1);
    thread_join(thread);
    assert_int_equal(world.notes, POSTED);
}

static void post_one(void *context)
{
    struct world *w = context;

    inbox_post(&w->inbox, &w->own, &w->own, 1);
}

static struct loop *stopped_by_timer;

static void stop_loop(struct timer *t)
{
    (void)t;
    loop_stop(stopped_by_timer);
}

/* A loop without hooks leaves its inbox alone. */
static void runs_without_hooks_until_stopped(void **state)
{
    struct loop_hooks none = {.owner = NULL};
    struct inbox inbox;
    struct timer t;
    struct loop l;
    int fd;

    (void)state;
    assert_int_equal(inbox_open(&inbox), ERR_OK);
    assert_int_equal(loop_open(&l, &inbox, &none), ERR_OK);
    fd = eventfd(1, EFD_NONBLOCK);
    assert_int_equal(poll_add(&l.poll, fd, EPOLLIN, 1), ERR_OK);
    loop_turn(&l, -1);
    poll_remove(&l.poll, fd);
    close(fd);
    stopped_by_timer = &l;
    timer_init(&t, stop_loop);
    wheel_start(&l.wheel, &t, l.now_ms + 20);
    loop_run(&l);
    assert_false(timer_is_armed(&t));
    loop_run(&l); /* stopped already: no turn */
    loop_close(&l);
    inbox_close(&inbox);
}

static void runs_until_a_note_stops_it(void **state)
{
    struct loop_hooks hooks = {.owner = &world, .on_notes = on_notes};
    pthread_t thread;

    (void)state;
    world.loop.hooks = hooks;
    world.stop_after = 1;
    assert_int_equal(thread_start(&thread, "poster", post_one, &world), ERR_OK);
    loop_run(&world.loop);
    thread_join(thread);
    assert_int_equal(world.notes, 1);
    assert_string_equal(world.trace, "N");
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(phases_in_order),
        IN_WORLD(what_is_posted_meanwhile_comes_before_the_next_is_read),
        IN_WORLD(late_ones_come_after_all_others),
        IN_WORLD(late_ones_with_more_are_asked_again),
        IN_WORLD(late_ones_take_turns),
        IN_WORLD(many_that_had_no_turn_are_parked),
        IN_WORLD(a_few_that_had_no_turn_stay),
        IN_WORLD(parked_ones_take_turns),
        IN_WORLD(a_parked_one_ends_the_wait),
        IN_WORLD(under_pressure_parked_ones_wait),
        IN_WORLD(under_pressure_late_ones_wait),
        IN_WORLD(all_notes_of_a_turn_at_once),
        IN_WORLD(a_wake_is_consumed_and_never_shown),
        IN_WORLD(a_note_to_itself_comes_next_turn),
        IN_WORLD(waits_until_the_next_timer),
        IN_WORLD(waits_no_longer_than_allowed),
        IN_WORLD(does_not_wait_while_there_is_more_to_write),
        IN_WORLD(at_most_8_timers_a_turn),
        IN_WORLD(timers_that_fall_behind_are_more_a_turn),
        IN_WORLD(under_pressure_all_but_reading_goes_on),
        IN_WORLD(many_ready_descriptors_take_turns),
        IN_WORLD(another_thread_wakes_it),
        cmocka_unit_test(runs_without_hooks_until_stopped),
        IN_WORLD(runs_until_a_note_stops_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
