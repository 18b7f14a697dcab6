#include "dice.h"
#include "base/rand.h"

enum { DRAWS = 30000 };

/* Of any length, also across the pool's end, exactly what was asked for is written. */
static void fills_what_it_is_asked_for(void **state)
{
    static unsigned char space[3000 + 2];
    struct rand r;
    size_t n;

    (void)state;
    rand_init(&r);
    for (n = 0; n <= 3000; n += n < 1100 ? 1 : 97) {
        memset(space, 0, sizeof(space));
        rand_fill(&r, space + 1, n);
        assert_int_equal(space[0], 0);
        assert_int_equal(space[n + 1], 0);
        if (n >= 16) { /* 2^-64 each that these are all zero by chance */
            assert_true(memcmp(space + 1, (char[8]){0}, 8) != 0);
            assert_true(memcmp(space + 1 + n - 8, (char[8]){0}, 8) != 0);
        }
    }
}

/* A byte at a time is as good as many: every value comes, and the pool ends now and then. */
static void single_bytes_are_random_too(void **state)
{
    int seen[256] = {0}, i;
    struct rand r;

    (void)state;
    rand_init(&r);
    for (i = 0; i < DRAWS; i++) {
        unsigned char byte;

        rand_fill(&r, &byte, 1);
        seen[byte]++;
    }
    for (i = 0; i < 256; i++) /* 117 expected, eight standard deviations either way */
        assert_in_range(seen[i], 30, 204);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void never_repeats(void **state)
{
    static uint64_t drawn[2 * DRAWS];
    struct rand one, two;
    size_t i;

    (void)state;
    rand_init(&one);
    rand_init(&two);
    for (i = 0; i < DRAWS; i++) {
        rand_fill(&one, &drawn[2 * i], 8);
        rand_fill(&two, &drawn[2 * i + 1], 8);
    }
    qsort(drawn, 2 * DRAWS, sizeof(drawn[0]), by_value);
    for (i = 1; i < 2 * DRAWS; i++)
        assert_true(drawn[i - 1] < drawn[i]);
}

/* What was handed out, a token's secret perhaps, does not stay behind. */
static void keeps_no_copy(void **state)
{
    struct rand r;
    unsigned char out[16];
    int i;

    (void)state;
    rand_init(&r);
    for (i = 0; i < 100; i++) {
        rand_fill(&r, out, sizeof(out));
        assert_null(memmem(&r, sizeof(r), out, sizeof(out)));
    }
}

static void below_reaches_every_value_and_none_beyond(void **state)
{
    struct rand r;
    uint64_t n;
    int i;

    (void)state;
    rand_init(&r);
    for (n = 1; n <= 9; n++) {
        unsigned seen = 0;

        for (i = 0; i < 2000; i++) {
            uint64_t x = rand_below(&r, n);

            assert_true(x < n);
            seen |= 1U << x;
        }
        assert_int_equal(seen, (1U << n) - 1);
    }
    for (i = 0; i < 1000; i++)
        assert_true(rand_below(&r, UINT64_MAX) < UINT64_MAX);
}

/* Of 3 * 2^62 values a third lies below 2^62; taken modulo alone it would be a half. The bounds are
   12 standard deviations away. */
static void below_has_no_bias(void **state)
{
    struct rand r;
    int i, low = 0;

    (void)state;
    rand_init(&r);
    for (i = 0; i < DRAWS; i++)
        low += rand_below(&r, (uint64_t)3 << 62) < (uint64_t)1 << 62;
    assert_in_range(low, DRAWS / 3 - 1000, DRAWS / 3 + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_what_it_is_asked_for),
        cmocka_unit_test(single_bytes_are_random_too),
        cmocka_unit_test(never_repeats),
        cmocka_unit_test(keeps_no_copy),
        cmocka_unit_test(below_reaches_every_value_and_none_beyond),
        cmocka_unit_test(below_has_no_bias),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
