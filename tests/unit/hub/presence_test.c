#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "hub/presence.h"

enum { CLIENTS = 3000, STEPS = 200000 };

static uint64_t hash_no(uint32_t i)
{
    return i == 7 ? 0 : hash_mix(i, 99); /* 0 is a hash like any other */
}

static uint64_t next_random(uint64_t *state)
{
    *state = hash_mix(*state, 1);
    return *state;
}

static void test_agrees_with_a_plain_list(void **state)
{
    static bool in[CLIENTS];
    uint64_t random = 5;
    struct presence p;
    uint32_t i, step;

    (void)state;
    presence_open(&p, CLIENTS / 2);
    for (step = 0; step < STEPS; step++) {
        i = (uint32_t)(next_random(&random) % CLIENTS);
        if (in[i])
            presence_remove(&p, hash_no(i));
        else if (p.used < CLIENTS / 2)
            presence_add(&p, hash_no(i));
        else
            continue;
        in[i] = !in[i];
        i = (uint32_t)(next_random(&random) % CLIENTS);
        assert_int_equal(presence_has(&p, hash_no(i)), in[i]);
    }
    presence_close(&p);
}

static void test_lists_all(void **state)
{
    uint64_t some[16];
    bool seen[100] = {0};
    uint32_t cursor = UINT32_MAX, count, i, j, sum = 0;
    struct presence p;

    (void)state;
    presence_open(&p, 100);
    for (i = 0; i < 100; i++)
        presence_add(&p, hash_no(i + 10));
    do {
        count = presence_list(&p, &cursor, some, 16);
        for (j = 0; j < count; j++)
            for (i = 0; i < 100; i++)
                if (some[j] == hash_no(i + 10) && !seen[i]) {
                    seen[i] = true;
                    sum++;
                }
    } while (cursor);
    assert_int_equal(sum, 100);
    presence_close(&p);
}

static void test_removing_who_is_not_in_changes_nothing(void **state)
{
    struct presence p;

    (void)state;
    presence_open(&p, 10);
    presence_add(&p, 1);
    presence_remove(&p, 2);
    assert_true(presence_has(&p, 1));
    presence_remove(&p, 1);
    presence_remove(&p, 1);
    assert_false(presence_has(&p, 1));
    presence_close(&p);
}

static void test_says_yes_to_everything_when_full(void **state)
{
    struct presence p;
    uint32_t i;

    (void)state;
    presence_open(&p, 1);
    assert_false(presence_has(&p, 12345));
    for (i = 0; i < 4096; i++)
        presence_add(&p, hash_no(i + 10));
    assert_true(presence_has(&p, 12345));
    for (i = 0; i < 4096; i++)
        presence_remove(&p, hash_no(i + 10));
    presence_close(&p);
}

/* ---- somebody looks while somebody writes ---- */

struct race {
    struct presence p;
    _Atomic bool over;
};

static void *write_others(void *context)
{
    struct race *r = context;
    uint64_t random = 3;
    bool in[512] = {0};
    uint32_t step, i;

    for (step = 0; step < STEPS; step++) {
        i = (uint32_t)(next_random(&random) % 512);
        if (in[i])
            presence_remove(&r->p, hash_no(i + 1000));
        else
            presence_add(&r->p, hash_no(i + 1000));
        in[i] = !in[i];
    }
    atomic_store(&r->over, true);
    return NULL;
}

static void test_who_stays_is_always_found(void **state)
{
    struct race r = {.over = false};
    pthread_t writer;
    uint32_t i;

    (void)state;
    presence_open(&r.p, 512);
    for (i = 0; i < 200; i++)
        presence_add(&r.p, hash_no(i + 10));
    assert_int_equal(pthread_create(&writer, NULL, write_others, &r), 0);
    while (!atomic_load(&r.over))
        for (i = 0; i < 200; i++)
            assert_true(presence_has(&r.p, hash_no(i + 10)));
    assert_int_equal(pthread_join(writer, NULL), 0);
    presence_close(&r.p);
}

/* ---- values ---- */

static void test_knows_which_values_are_here(void **state)
{
    static struct value_counts counts;
    struct hash_key key = {1, 2};
    struct filter f = {.like = {{BYTES("w"), BYTES("a"), {0}, {0}}}};

    (void)state;
    value_counts_add(&counts, WORKSPACE, hash_bytes(&key, BYTES("w")), 1);
    assert_false(value_counts_may_match(&counts, &key, &f));
    value_counts_add(&counts, ACCOUNT, hash_bytes(&key, BYTES("a")), 1);
    assert_true(value_counts_may_match(&counts, &key, &f));
    value_counts_add(&counts, WORKSPACE, hash_bytes(&key, BYTES("w")), -1);
    assert_false(value_counts_may_match(&counts, &key, &f));
    assert_true(value_counts_may_match(&counts, &key, &(struct filter){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_a_plain_list),
        cmocka_unit_test(test_lists_all),
        cmocka_unit_test(test_removing_who_is_not_in_changes_nothing),
        cmocka_unit_test(test_says_yes_to_everything_when_full),
        cmocka_unit_test(test_who_stays_is_always_found),
        cmocka_unit_test(test_knows_which_values_are_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
