#include "unit/base/dice.h"
#include "base/mem.h"
#include "hub/bitmap.h"

enum { PLACES = 2000, COVERED = 2048, SETS = 4, ROUNDS = 300, CHANGES = 200 };

/* What a bitmap must agree with. */
struct model {
    struct bitmap map;
    uint32_t covers;
    bool in[PLACES];
};

/* Around a word, a block, and two blocks. */
static const uint32_t edges[] = {1, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025, 1999, 2000};

static uint32_t whole_blocks(uint32_t places)
{
    return (places + BITMAP_BLOCK - 1) / BITMAP_BLOCK * BITMAP_BLOCK;
}

static uint32_t draw_edge(struct dice *d)
{
    return edges[dice_roll(d, sizeof(edges) / sizeof(edges[0]))];
}

/* A place that it covers, and the model too. */
static uint32_t draw_place(struct dice *d, const struct model *m)
{
    uint32_t most = m->covers < PLACES ? m->covers : PLACES;
    uint32_t place = dice_roll(d, 2) ? draw_edge(d) - 1 : (uint32_t)dice_roll(d, most);

    return place < most ? place : most - 1;
}

static void change(struct dice *d, struct model *m)
{
    uint32_t place = draw_place(d, m);

    m->in[place] = dice_roll(d, 3) != 0;
    if (m->in[place])
        bitmap_set(&m->map, place);
    else
        bitmap_clear(&m->map, place);
}

static void start(struct dice *d, struct model *m)
{
    uint32_t places = draw_edge(d), i;

    *m = (struct model){.covers = whole_blocks(places)};
    bitmap_init(&m->map, places);
    for (i = dice_roll(d, 3) == 0 ? 3 : CHANGES; i > 0; i--)
        change(d, m);
    places = draw_edge(d);
    bitmap_grow(&m->map, places);
    if (whole_blocks(places) > m->covers)
        m->covers = whole_blocks(places);
    for (i = (uint32_t)dice_roll(d, CHANGES); i > 0; i--)
        change(d, m);
}

static bool have_in_common(const struct model *sets, int count, uint32_t place)
{
    int i;

    for (i = 0; i < count; i++)
        if (place >= PLACES || !sets[i].in[place])
            return false;
    return true;
}

/* Blocks come in ascending order, none of them empty, and hold every common place and no other. */
static void check_common(const struct model *sets, int count)
{
    const struct bitmap *of[SETS];
    uint64_t common[BITMAP_WORDS];
    bool found[COVERED] = {false};
    uint32_t next = 0, block, i;

    for (i = 0; i < (uint32_t)count; i++)
        of[i] = &sets[i].map;
    for (block = 0; bitmap_common(of, count, &block, common); block++) {
        bool any = false;

        assert_in_range(block, next, COVERED / BITMAP_BLOCK - 1);
        next = block + 1;
        for (i = 0; i < BITMAP_BLOCK; i++)
            any |= found[block * BITMAP_BLOCK + i] = common[i / 64] >> i % 64 & 1;
        assert_true(any);
    }
    for (i = 0; i < COVERED; i++)
        assert_int_equal(found[i], have_in_common(sets, count, i));
}

static void test_common_places_equal_a_scan(void **unused)
{
    struct dice d = dice_new("bitmap");
    static struct model sets[SETS];
    int round, i;

    (void)unused;
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < SETS; i++)
            start(&d, &sets[i]);
        for (i = 2; i <= SETS; i++)
            check_common(sets, i);
        for (i = 0; i < SETS; i++)
            bitmap_fini(&sets[i].map);
    }
    assert_int_equal(mem_held(), 0);
}

static void test_it_covers_whole_blocks(void **unused)
{
    struct bitmap b = {0};
    size_t i;

    (void)unused;
    assert_false(bitmap_covers(&b, 0));
    for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        bitmap_init(&b, edges[i]);
        assert_true(bitmap_covers(&b, whole_blocks(edges[i]) - 1));
        assert_false(bitmap_covers(&b, whole_blocks(edges[i])));
        bitmap_grow(&b, 1); /* never shrinks */
        assert_true(bitmap_covers(&b, edges[i] - 1));
        bitmap_fini(&b);
    }
}

static void test_one_block_is_found_among_many(void **unused)
{
    enum { MANY = 1000000, PLACE = 654321 };
    struct bitmap a, b;
    const struct bitmap *of[] = {&a, &b};
    uint64_t common[BITMAP_WORDS];
    uint32_t block = 0, i;

    (void)unused;
    bitmap_init(&a, MANY);
    bitmap_init(&b, MANY);
    for (i = 0; i < MANY; i++)
        bitmap_set(i % 2 ? &a : &b, i);
    assert_false(bitmap_common(of, 2, &block, common));
    bitmap_set(&b, PLACE);
    block = 0;
    assert_true(bitmap_common(of, 2, &block, common));
    assert_int_equal(block, PLACE / BITMAP_BLOCK);
    assert_true(common[PLACE % BITMAP_BLOCK / 64] == (uint64_t)1 << PLACE % 64);
    block++;
    assert_false(bitmap_common(of, 2, &block, common));
    bitmap_fini(&a);
    bitmap_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_common_places_equal_a_scan),
        cmocka_unit_test(test_it_covers_whole_blocks),
        cmocka_unit_test(test_one_block_is_found_among_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
