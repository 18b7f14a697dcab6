#include <pthread.h>
#include "dice.h"
#include "dying.h"
#include "base/log.h"
#include "base/mem.h"

/* The sanitizers' allocators otherwise abort where the system's answers null. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static volatile size_t too_much = SIZE_MAX / 4; /* volatile: no compiler shall know */

static void held_follows_every_call(void **state)
{
    int64_t before = mem_held(), after;
    void *p = mem_alloc(1000), *q = mem_zero(0), *r = NULL;

    (void)state;
    assert_true(mem_held() >= before + 1000);
    p = mem_resize(p, 100000);
    assert_true(mem_held() >= before + 100000);
    p = mem_resize(p, 10);
    after = mem_held();
    assert_true(after > before && after < before + 100000);
    assert_int_equal(mem_try(5000, &r), ERR_OK);
    assert_non_null(r);
    assert_true(mem_held() >= after + 5000);
    mem_free(p);
    mem_free(q);
    mem_free(r);
    mem_free(NULL);
    assert_int_equal(mem_held(), before);
}

static void held_is_exact_after_random_work(void **state)
{
    struct dice d = dice_new("mem");
    struct {
        unsigned char *at;
        size_t len;
        unsigned char fill;
    } slot[64] = {{0}};
    int64_t before = mem_held();
    size_t i, k, round;

    (void)state;
    for (round = 0; round < 20000; round++) {
        i = dice_roll(&d, 64);
        for (k = 0; k < slot[i].len; k++)
            assert_int_equal(slot[i].at[k], slot[i].fill);
        if (dice_roll(&d, 3) == 0) {
            mem_free(slot[i].at);
            slot[i].at = NULL;
            slot[i].len = 0;
        } else {
            slot[i].len = dice_roll(&d, 300);
            slot[i].fill = (unsigned char)round;
            slot[i].at = mem_resize(slot[i].at, slot[i].len);
            memset(slot[i].at, slot[i].fill, slot[i].len);
        }
    }
    for (i = 0; i < 64; i++)
        mem_free(slot[i].at);
    assert_int_equal(mem_held(), before);
}

static void zero_is_zero(void **state)
{
    struct thing {
        char bytes[4000];
    } * t;
    size_t i, round;

    (void)state;
    for (round = 0; round < 4; round++) {
        t = mem_new(struct thing);
        for (i = 0; i < sizeof(t->bytes); i++)
            assert_int_equal(t->bytes[i], 0);
        memset(t->bytes, 0xff, sizeof(t->bytes));
        mem_free(t);
    }
}

static void copy_ends_in_zero(void **state)
{
    char *p = mem_copy(bytes_of("ab\0cd", 5)), *none = mem_copy(bytes_of(NULL, 0));

    (void)state;
    assert_memory_equal(p, "ab\0cd", 6);
    assert_string_equal(none, "");
    mem_free(p);
    mem_free(none);
}

static void try_answers_full(void **state)
{
    int64_t before = mem_held();
    void *out = &before;

    (void)state;
    assert_int_equal(mem_try(too_much, &out), ERR_FULL);
    assert_null(out);
    assert_int_equal(mem_held(), before);
}

static void try_stays_under_the_limit(void **state)
{
    void *first, *second;

    (void)state;
    assert_int_equal(mem_try(100000, &first), ERR_OK);
    mem_limit(mem_held() + 5000);
    assert_int_equal(mem_try(5001, &second), ERR_FULL);
    assert_null(second);
    assert_int_equal(mem_try(SIZE_MAX, &second), ERR_FULL);
    assert_int_equal(mem_try(5000, &second), ERR_OK);
    mem_free(second);
    second = mem_alloc(10000); /* never refused */
    mem_free(second);
    mem_limit(0);
    assert_int_equal(mem_try(10000, &second), ERR_OK);
    mem_free(second);
    mem_free(first);
}

static void what_changed_is_booked_on_a_part(void **state)
{
    int64_t part = meter_sum(METER_MEM_PENDING), before = mem_balance(), taken;
    void *p = mem_alloc(1000);

    (void)state;
    mem_book(METER_MEM_PENDING, before);
    taken = meter_sum(METER_MEM_PENDING) - part;
    assert_true(taken >= 1000 && taken < 1100);
    before = mem_balance();
    mem_free(p);
    mem_book(METER_MEM_PENDING, before);
    assert_int_equal(meter_sum(METER_MEM_PENDING), part);
}

enum { LARGE = 1024 * 1024, SPARE_MS = 1000 };

static void *large(size_t size)
{
    void *p;

    assert_int_equal(mem_try(size, &p), ERR_OK);
    memset(p, 'x', size);
    return p;
}

static void a_freed_large_block_is_the_next_one(void **state)
{
    int64_t before = mem_held();
    char *p, *q, *r;

    (void)state;
    mem_drop_spares();
    p = large(LARGE);
    mem_free(p);
    assert_true(meter_sum(METER_MEM_SPARE) >= LARGE);
    assert_int_equal(mem_held(), before);
    q = large(LARGE);
    assert_ptr_equal(q, p);
    assert_int_equal(meter_sum(METER_MEM_SPARE), 0);
    assert_true(mem_held() >= before + LARGE);
    mem_free(q);
    q = mem_alloc(LARGE);
    assert_ptr_equal(q, p);
    mem_free(q);
    r = mem_resize(mem_alloc(LARGE / 2), LARGE); /* grows into it */
    assert_ptr_equal(r, p);
    assert_int_equal(meter_sum(METER_MEM_SPARE), 0);
    mem_free(r);
    r = large(3 * LARGE / 2); /* it is too small: its place is for what is used now */
    assert_int_equal(meter_sum(METER_MEM_SPARE), 0);
    mem_free(r);
    assert_true(meter_sum(METER_MEM_SPARE) >= 3 * LARGE / 2);
    mem_free(large(LARGE)); /* which has room for less, too */
    assert_true(meter_sum(METER_MEM_SPARE) >= 3 * LARGE / 2);
    assert_int_equal(mem_held(), before);
    mem_drop_spares();
}

static void two_spares_at_most_and_none_that_is_larger(void **state)
{
    void *p[3];
    int i;

    (void)state;
    mem_drop_spares();
    mem_free(large(LARGE - 65536));
    mem_free(large(2 * LARGE + 65536));
    assert_int_equal(meter_sum(METER_MEM_SPARE), 0);
    for (i = 0; i < 3; i++)
        p[i] = large(LARGE);
    for (i = 0; i < 3; i++)
        mem_free(p[i]);
    assert_true(meter_sum(METER_MEM_SPARE) >= 2 * LARGE);
    assert_true(meter_sum(METER_MEM_SPARE) < 3 * LARGE);
    mem_drop_spares();
}

static void a_spare_goes_a_second_after_the_last_was_freed(void **state)
{
    (void)state;
    mem_drop_spares();
    mem_free(large(LARGE));
    mem_mend(5000);
    mem_mend(5000 + SPARE_MS - 1);
    assert_true(meter_sum(METER_MEM_SPARE) >= LARGE);
    mem_free(large(LARGE)); /* used: its time begins again */
    mem_mend(5000 + SPARE_MS);
    mem_mend(5000 + 2 * SPARE_MS - 1);
    assert_true(meter_sum(METER_MEM_SPARE) >= LARGE);
    mem_mend(5000 + 2 * SPARE_MS);
    assert_int_equal(meter_sum(METER_MEM_SPARE), 0);
}

static void what_grows_to_a_large_block_stays_what_it_is(void **state)
{
    size_t sizes[] = {LARGE / 4, LARGE - 100, LARGE, LARGE + 26, 2 * LARGE, 3 * LARGE}, i, k, len;
    struct dice d = dice_new("mem large");
    int round;

    (void)state;
    for (round = 0; round < 20; round++) {
        unsigned char *p = mem_alloc(LARGE / 8);

        for (i = 0, len = LARGE / 8; i < 6; len = sizes[i++]) {
            for (k = 0; k < len; k++)
                p[k] = (unsigned char)(k * 7 + i);
            p = mem_resize(p, sizes[i]);
            for (k = 0; k < len; k++)
                if (p[k] != (unsigned char)(k * 7 + i))
                    fail_msg("byte %zu of %zu changed", k, len);
            if (dice_roll(&d, 2))
                mem_free(large(LARGE + dice_roll(&d, LARGE)));
        }
        mem_free(p);
    }
    mem_drop_spares();
}

static void *share_spares(void *context)
{
    struct dice d = *(struct dice *)context;

    for (int round = 0; round < 300; round++) {
        unsigned char *p = large(LARGE + dice_roll(&d, LARGE)),
                      mark = (unsigned char)dice_roll(&d, 256);

        memset(p, mark, LARGE);
        mem_mend((int64_t)round * 400);
        for (size_t k = 0; k < LARGE; k += 4096)
            if (p[k] != mark)
                abort(); /* two have it */
        mem_free(p);
    }
    return NULL;
}

static void threads_share_spares(void **state)
{
    struct dice d = dice_new("mem threads"), seeds[3];
    int64_t before = mem_held();
    pthread_t threads[3];
    int i;

    (void)state;
    mem_drop_spares();
    for (i = 0; i < 3; i++) {
        seeds[i] = d;
        (void)dice_roll(&d, 2);
        assert_int_equal(pthread_create(&threads[i], NULL, share_spares, &seeds[i]), 0);
    }
    for (i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    mem_drop_spares();
    assert_int_equal(meter_sum(METER_MEM_SPARE), 0);
    assert_int_equal(mem_held(), before);
}

static void alloc_too_much(void)
{
    mem_free(mem_alloc(too_much));
}

static void zero_too_much(void)
{
    mem_free(mem_zero(too_much));
}

static void resize_too_much(void)
{
    mem_free(mem_resize(mem_alloc(1), too_much));
}

static void the_others_die_with_a_word(void **state)
{
    char said[4096];

    (void)state;
    assert_true(dies(alloc_too_much, said, sizeof(said)));
    assert_non_null(strstr(said, "ERROR memory refused bytes="));
    assert_true(dies(zero_too_much, said, sizeof(said)));
    assert_non_null(strstr(said, "memory refused"));
    assert_true(dies(resize_too_much, said, sizeof(said)));
    assert_non_null(strstr(said, "memory refused"));
}

static void ask_too_much_in_json(void)
{
    log_setup(LOG_ERROR, LOG_JSON);
    mem_free(mem_alloc(too_much));
}

/* The last line; a sanitizer has words of its own before. */
static void the_word_is_json_where_the_log_is(void **state)
{
    char said[4096], *word;

    (void)state;
    assert_true(dies(ask_too_much_in_json, said, sizeof(said)));
    word = strstr(said, "{\"time\":\"");
    assert_non_null(word);
    assert_non_null(strstr(word, "\"level\":\"error\",\"event\":\"memory refused\",\"bytes\":"));
    assert_string_equal(strchr(word, '}'), "}\n");
}

static void without_a_reserve_nothing_is_short(void **state)
{
    (void)state;
    assert_false(mem_is_short());
    mem_mend(1000);
    assert_false(mem_is_short());
}

static void a_reserve_counts_as_nothing_held(void **state)
{
    int64_t before = mem_held();

    (void)state;
    mem_reserve_open(1 << 20);
    assert_false(mem_is_short());
    assert_int_equal(mem_held(), before);
    mem_reserve_close();
    assert_false(mem_is_short());
}

static void a_reserve_that_is_refused_leaves_us_short(void **state)
{
    (void)state;
    mem_reserve_open(too_much);
    assert_true(mem_is_short());
    mem_mend(1000);
    assert_true(mem_is_short());
    mem_reserve_close();
    assert_false(mem_is_short());
}

static void ask_too_much_with_a_reserve(void)
{
    mem_reserve_open(1 << 20);
    mem_free(mem_alloc(too_much));
}

static void the_reserve_is_used_before_the_end(void **state)
{
    char said[4096];

    (void)state;
    assert_true(dies(ask_too_much_with_a_reserve, said, sizeof(said)));
    assert_non_null(strstr(said, "reserve=1048576"));
    assert_non_null(strstr(said, "memory refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_follows_every_call),
        cmocka_unit_test(held_is_exact_after_random_work),
        cmocka_unit_test(zero_is_zero),
        cmocka_unit_test(copy_ends_in_zero),
        cmocka_unit_test(try_answers_full),
        cmocka_unit_test(try_stays_under_the_limit),
        cmocka_unit_test(what_changed_is_booked_on_a_part),
        cmocka_unit_test(a_freed_large_block_is_the_next_one),
        cmocka_unit_test(two_spares_at_most_and_none_that_is_larger),
        cmocka_unit_test(a_spare_goes_a_second_after_the_last_was_freed),
        cmocka_unit_test(what_grows_to_a_large_block_stays_what_it_is),
        cmocka_unit_test(threads_share_spares),
        cmocka_unit_test(the_others_die_with_a_word),
        cmocka_unit_test(the_word_is_json_where_the_log_is),
        cmocka_unit_test(without_a_reserve_nothing_is_short),
        cmocka_unit_test(a_reserve_counts_as_nothing_held),
        cmocka_unit_test(a_reserve_that_is_refused_leaves_us_short),
        cmocka_unit_test(the_reserve_is_used_before_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
