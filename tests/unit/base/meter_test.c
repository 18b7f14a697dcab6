#include "dice.h"
#include <pthread.h>
#include "base/meter.h"

enum { THREADS = 8, ADDS = 100000, MANY = 1100 };

struct job {
    pthread_barrier_t *counted, *looked_at; /* null: no waiting */
    uint64_t seed;
    int64_t sum[METERS];
    int64_t after; /* added after meter_close, to METER_SOCKETS */
    int opens;     /* 0: never opens cells */
};

static void *work(void *given)
{
    struct job *j = given;
    struct dice d = {j->seed};
    int i;

    if (j->opens)
        meter_open();
    for (i = 0; i < ADDS; i++) {
        enum meter m = (enum meter)dice_roll(&d, METERS);
        int64_t n = (int64_t)dice_roll(&d, 2000) - 1000;

        meter_add(m, n);
        j->sum[m] += n;
    }
    if (j->counted) {
        pthread_barrier_wait(j->counted);
        pthread_barrier_wait(j->looked_at);
    }
    meter_close();
    meter_add(METER_SOCKETS, j->after);
    return NULL;
}

static void read_all(int64_t out[METERS])
{
    int m;

    for (m = 0; m < METERS; m++)
        out[m] = meter_sum((enum meter)m);
}

static void grown_by(const int64_t before[METERS], const struct job *jobs, int64_t extra)
{
    int m, i;

    for (m = 0; m < METERS; m++) {
        int64_t expected = before[m] + (m == METER_SOCKETS ? extra : 0);

        for (i = 0; i < THREADS; i++)
            expected += jobs[i].sum[m];
        assert_int_equal(meter_sum((enum meter)m), expected);
    }
}

/* Exact while the threads hold their cells, exact when they have closed them. */
static void sums_over_threads(void **state)
{
    struct dice d = dice_new("meter");
    pthread_barrier_t counted, looked_at;
    static struct job jobs[THREADS];
    int64_t before[METERS];
    pthread_t threads[THREADS];
    int i, turn;

    (void)state;
    for (turn = 0; turn < 3; turn++) {
        read_all(before);
        pthread_barrier_init(&counted, NULL, THREADS + 1);
        pthread_barrier_init(&looked_at, NULL, THREADS + 1);
        for (i = 0; i < THREADS; i++) {
            jobs[i] = (struct job){.counted = &counted,
                                   .looked_at = &looked_at,
                                   .seed = dice_word(&d),
                                   .after = i,
                                   .opens = i % 4 != 0};
            assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
        }
        pthread_barrier_wait(&counted);
        grown_by(before, jobs, 0);
        pthread_barrier_wait(&looked_at);
        for (i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        grown_by(before, jobs, THREADS * (THREADS - 1) / 2);
        pthread_barrier_destroy(&counted);
        pthread_barrier_destroy(&looked_at);
    }
}

static void one_meter_is_not_another(void **state)
{
    int64_t before[METERS];
    int m, other;

    (void)state;
    meter_open();
    for (m = 0; m < METERS; m++) {
        read_all(before);
        meter_add((enum meter)m, 7);
        for (other = 0; other < METERS; other++)
            assert_int_equal(meter_sum((enum meter)other), before[other] + (other == m ? 7 : 0));
    }
    meter_close();
    meter_close(); /* a second time is harmless */
    meter_open();  /* and cells may be had again */
    read_all(before);
    meter_add(METER_COMMANDS, 1);
    assert_int_equal(meter_sum(METER_COMMANDS), before[METER_COMMANDS] + 1);
    meter_close();
    assert_int_equal(meter_sum(METER_COMMANDS), before[METER_COMMANDS] + 1);
}

static void *add_one(void *given)
{
    (void)given;
    meter_open();
    meter_add(METER_COMMANDS, 1);
    meter_close();
    return NULL;
}

/* The registry has 1,024 places; whoever comes later counts all the same. */
static void more_threads_than_places(void **state)
{
    int64_t before = meter_sum(METER_COMMANDS);
    pthread_t thread;
    int i;

    (void)state;
    for (i = 0; i < MANY; i++) {
        assert_int_equal(pthread_create(&thread, NULL, add_one, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(meter_sum(METER_COMMANDS), before + i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_threads),
        cmocka_unit_test(one_meter_is_not_another),
        cmocka_unit_test(more_threads_than_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
