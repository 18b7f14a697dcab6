#include "dice.h"
#include "dying.h"
#include "base/map.h"
#include "base/mem.h"

enum { ITEMS = 600, ROUNDS = 60000, SLOT_BYTES = 16, SMALLEST_BYTES = 8 * SLOT_BYTES };

struct item {
    unsigned key;
    uint64_t hash;
    bool in; /* the model: is it in the map? */
    int seen;
};

static struct item items[ITEMS];

static bool same(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const unsigned *)key;
}

/* The ways a hash can be bad; the last one is good. */
enum shape { ALL_EQUAL, FEW, NEIGHBOURS, AT_THE_END, HIGH_BITS, GOOD, SHAPES };

static uint64_t shaped(enum shape shape, unsigned key, struct dice *d)
{
    switch (shape) {
    case ALL_EQUAL:
        return 5;
    case FEW:
        return key % 7;
    case NEIGHBOURS:
        return key;
    case AT_THE_END: /* runs that wrap round the end of every table size */
        return UINT64_MAX - key % 3;
    case HIGH_BITS:
        return (uint64_t)key << 48;
    case GOOD:
    case SHAPES:
    default:
        return dice_word(d);
    }
}

static void walk(const struct map *m, size_t expected)
{
    size_t cursor = 0, n = 0, i;
    struct item *item;

    for (i = 0; i < ITEMS; i++)
        items[i].seen = 0;
    while ((item = map_each(m, &cursor))) {
        item->seen++;
        n++;
    }
    assert_int_equal(n, expected);
    assert_int_equal(m->len, expected);
    for (i = 0; i < ITEMS; i++)
        assert_int_equal(items[i].seen, items[i].in);
}

static size_t toggle(struct map *m, struct item *item, size_t len)
{
    void *found = map_find(m, item->hash, same, &item->key);

    if (item->in) {
        assert_ptr_equal(found, item);
        map_remove(m, item->hash, item);
    } else {
        assert_null(found);
        map_add(m, item->hash, item);
    }
    item->in = !item->in;
    return item->in ? len + 1 : len - 1;
}

static void run(enum shape shape, size_t span, struct dice *d)
{
    int64_t before = mem_held();
    size_t len = 0, i, round;
    struct map m;

    for (i = 0; i < ITEMS; i++)
        items[i] = (struct item){(unsigned)i, shaped(shape, (unsigned)i, d), false, 0};
    map_init(&m);
    for (round = 0; round < ROUNDS / SHAPES; round++) {
        struct item *item = &items[dice_roll(d, span)], *other = &items[dice_roll(d, ITEMS)];

        len = toggle(&m, item, len);
        assert_ptr_equal(map_find(&m, other->hash, same, &other->key), other->in ? other : NULL);
        if (round % 64 == 0)
            walk(&m, len);
    }
    for (i = 0; i < ITEMS; i++)
        if (items[i].in)
            len = toggle(&m, &items[i], len);
    walk(&m, 0);
    assert_in_range(mem_held() - before, 0, 2 * SMALLEST_BYTES); /* it shrank on the way */
    map_fini(&m);
    assert_int_equal(mem_held(), before);
}

static void same_as_a_flag_in_each_item(void **state)
{
    struct dice d = dice_new("map");
    int shape;

    (void)state;
    for (shape = 0; shape < SHAPES; shape++) {
        run((enum shape)shape, 12, &d);
        run((enum shape)shape, ITEMS, &d);
    }
}

static void an_empty_one_finds_nothing(void **state)
{
    int64_t before = mem_held();
    unsigned key = 1;
    size_t cursor = 0;
    struct map m;

    (void)state;
    map_init(&m);
    assert_null(map_find(&m, 1, same, &key));
    assert_null(map_each(&m, &cursor));
    assert_int_equal(mem_held(), before); /* costs nothing until used */
    map_fini(&m);
    map_fini(&m);
}

/* same() may be asked of equal hashes only: it is where strings are compared. */
static int asked;

static bool count_and_compare(const void *item, const void *key)
{
    asked++;
    return same(item, key);
}

static void keys_are_compared_when_hashes_are_equal(void **state)
{
    struct item a = {.key = 1, .hash = 8}, b = {.key = 2, .hash = 16}; /* one home, two hashes */
    struct map m;

    (void)state;
    map_init(&m);
    map_add(&m, a.hash, &a);
    map_add(&m, b.hash, &b);
    asked = 0;
    assert_ptr_equal(map_find(&m, b.hash, count_and_compare, &b.key), &b);
    assert_int_equal(asked, 1);
    assert_null(map_find(&m, 24, count_and_compare, &a.key));
    assert_int_equal(asked, 1);
    map_fini(&m);
}

/* At most 3/4 full, and after growing by two more than 3/8. */
static void costs_what_it_says(void **state)
{
    int64_t before = mem_held();
    struct dice d = dice_new("map cost");
    size_t i;
    struct map m;

    (void)state;
    map_init(&m);
    for (i = 0; i < ITEMS; i++) {
        size_t held, full = i + 1;

        items[i].hash = dice_word(&d);
        map_add(&m, items[i].hash, &items[i]);
        held = (size_t)(mem_held() - before);
        assert_true(held / SLOT_BYTES * 3 >= full * 4);
        assert_true(held <= SMALLEST_BYTES + 64 || held / SLOT_BYTES * 3 < full * 8 + 16);
    }
    map_fini(&m);
}

static void remove_a_stranger(void)
{
    struct map m;

    map_init(&m);
    map_add(&m, items[0].hash, &items[0]);
    map_remove(&m, items[0].hash, &items[1]);
}

static void remove_from_nothing(void)
{
    struct map m;

    map_init(&m);
    map_remove(&m, 1, &items[1]);
}

static void removing_a_stranger_is_a_broken_invariant(void **state)
{
    char said[512];

    (void)state;
    assert_true(dies(remove_a_stranger, said, sizeof(said)));
    assert_true(dies(remove_from_nothing, said, sizeof(said)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_a_flag_in_each_item),
        cmocka_unit_test(an_empty_one_finds_nothing),
        cmocka_unit_test(keys_are_compared_when_hashes_are_equal),
        cmocka_unit_test(costs_what_it_says),
        cmocka_unit_test(removing_a_stranger_is_a_broken_invariant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
