#include "dice.h"
#include <time.h>
#include "base/clock.h"

static int64_t read_ms(clockid_t clock)
{
    struct timespec t;

    assert_int_equal(clock_gettime(clock, &t), 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void mono_is_the_monotonic_clock(void **state)
{
    int64_t last = 0;
    int i;

    (void)state;
    for (i = 0; i < 10000; i++) {
        int64_t before = read_ms(CLOCK_MONOTONIC), now = clock_mono_ms();

        assert_true(before <= now && now <= read_ms(CLOCK_MONOTONIC));
        assert_true(now >= last);
        last = now;
    }
}

static void wall_is_the_time_of_day(void **state)
{
    int64_t before = read_ms(CLOCK_REALTIME), now = clock_wall_ms();

    (void)state;
    assert_true(before <= now && now <= read_ms(CLOCK_REALTIME));
    assert_true(now > 1600000000000); /* milliseconds, not seconds */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mono_is_the_monotonic_clock),
        cmocka_unit_test(wall_is_the_time_of_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
