#include "dice.h"
#include "base/mem.h"
#include "base/vec.h"

enum { ITEMS_MAX = 1000, ROUNDS = 50000 };

static char things[ITEMS_MAX]; /* their addresses are the items */

struct model {
    void *at[ITEMS_MAX];
    uint32_t len;
};

static void push(struct vec *v, struct model *m, struct dice *d)
{
    void *item = &things[dice_roll(d, ITEMS_MAX)];

    if (m->len == ITEMS_MAX)
        return;
    vec_push(v, item);
    m->at[m->len++] = item;
}

static void swap_remove(struct vec *v, struct model *m, struct dice *d)
{
    uint32_t i;
    void *last;

    if (!m->len)
        return;
    i = (uint32_t)dice_roll(d, m->len);
    last = m->at[--m->len];
    m->at[i] = last;
    assert_ptr_equal(vec_swap_remove(v, i), i == m->len ? NULL : last);
}

static void same_as_an_array(void **state)
{
    struct dice d = dice_new("vec");
    int64_t before = mem_held();
    static struct model m;
    struct vec v = {0};
    size_t round, growing = 1;

    (void)state;
    m.len = 0;
    for (round = 0; round < ROUNDS; round++) {
        if (dice_roll(&d, 500) == 0)
            growing = dice_roll(&d, 4);
        if (dice_roll(&d, 4) < growing + 1)
            push(&v, &m, &d);
        else
            swap_remove(&v, &m, &d);
        assert_int_equal(v.len, m.len);
        assert_true(v.cap >= v.len);
        if (m.len)
            assert_memory_equal(v.at, m.at, m.len * sizeof(void *));
    }
    vec_fini(&v);
    assert_int_equal(mem_held(), before);
}

static void empty_is_valid(void **state)
{
    int64_t before = mem_held();
    struct vec v = {0};

    (void)state;
    vec_fini(&v);
    assert_int_equal(mem_held(), before);
    vec_push(&v, things);
    assert_null(vec_swap_remove(&v, 0));
    assert_int_equal(v.len, 0);
    vec_push(&v, things);
    assert_ptr_equal(v.at[0], things);
    vec_fini(&v);
    assert_true(v.at == NULL && v.len == 0 && v.cap == 0);
    assert_int_equal(mem_held(), before);
}

/* Memory follows the length down, and a push right after never needs what was just given back. */
static void gives_memory_back(void **state)
{
    int64_t before = mem_held();
    struct vec v = {0};
    uint32_t i, cap, shrunk = 0;

    (void)state;
    for (i = 0; i < ITEMS_MAX; i++)
        vec_push(&v, &things[i]);
    for (i = ITEMS_MAX; i-- > 10;) {
        cap = v.cap;
        assert_null(vec_swap_remove(&v, i));
        if (v.cap == cap)
            continue;
        shrunk++;
        cap = v.cap;
        vec_push(&v, &things[i]);
        assert_int_equal(v.cap, cap);
        assert_null(vec_swap_remove(&v, i));
        assert_int_equal(v.cap, cap);
    }
    assert_true(shrunk > 2);
    assert_in_range(mem_held() - before, 10 * sizeof(void *), 64 * sizeof(void *));
    for (i = 0; i < v.len; i++)
        assert_ptr_equal(v.at[i], &things[i]);
    vec_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_an_array),
        cmocka_unit_test(empty_is_valid),
        cmocka_unit_test(gives_memory_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
