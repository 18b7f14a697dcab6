#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "hub/shard.h"

/* The steps of the memory budget. */

static void a_step_comes_with_the_next_at_the_latest(void **state)
{
    static const struct {
        uint32_t percent[3], wanted[3];
    } cases[] = {
        {{85, 92, 100}, {85, 92, 100}}, {{100, 100, 100}, {100, 100, 100}},
        {{85, 50, 100}, {50, 50, 100}}, {{85, 92, 40}, {40, 40, 40}},
        {{10, 90, 80}, {10, 80, 80}},
    };
    size_t i;
    int step;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings set = {.memory_bytes = 1000};
        struct hub h = {.settings = &set};

        memcpy(set.memory_percent, cases[i].percent, sizeof(set.memory_percent));
        for (step = HUB_NO_CONNECTIONS; step <= HUB_NO_READERS; step++)
            assert_int_equal(hub_step_bytes(&h, (enum hub_step)step), 10 * cases[i].wanted[step]);
    }
}

static void it_is_taken_behind_its_last_byte(void **state)
{
    void *p = mem_alloc(100000), *more;
    struct settings set = {.memory_bytes = 100 * mem_held(), .memory_percent = {1, 1, 2}};
    struct hub h = {.settings = &set};

    (void)state;
    assert_int_equal(hub_step_bytes(&h, HUB_NO_SENDS), mem_held());
    assert_false(hub_is_at(&h, HUB_NO_CONNECTIONS));
    assert_false(hub_is_at(&h, HUB_NO_SENDS));
    more = mem_alloc(1);
    assert_true(hub_is_at(&h, HUB_NO_CONNECTIONS));
    assert_true(hub_is_at(&h, HUB_NO_SENDS));
    assert_false(hub_is_at(&h, HUB_NO_READERS));
    mem_free(more);
    assert_false(hub_is_at(&h, HUB_NO_CONNECTIONS));
    mem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_comes_with_the_next_at_the_latest),
        cmocka_unit_test(it_is_taken_behind_its_last_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
