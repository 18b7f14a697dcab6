#include "dice.h"
#include "base/arena.h"
#include "base/mem.h"

enum { PIECES = 400, KEPT_BYTES = 64 * 1024, SLACK_BYTES = 512 };

struct piece {
    unsigned char *at;
    size_t len;
};

static size_t some_size(struct dice *d)
{
    switch (dice_roll(d, 20)) {
    case 0:
        return 0;
    case 1:
        return dice_roll(d, 100000);
    default:
        return dice_roll(d, 200);
    }
}

/* Each piece is filled with its own number at once, and must still hold it at the end. */
static void hand_out_and_check(struct arena *a, struct dice *d)
{
    struct piece pieces[PIECES];
    size_t n = 1 + dice_roll(d, PIECES), i, k;

    for (i = 0; i < n; i++) {
        pieces[i].len = some_size(d);
        pieces[i].at = arena_alloc(a, pieces[i].len);
        assert_non_null(pieces[i].at);
        assert_int_equal((uintptr_t)pieces[i].at % 16, 0);
        memset(pieces[i].at, (int)(i & 0xff), pieces[i].len);
    }
    for (i = 0; i < n; i++)
        for (k = 0; k < pieces[i].len; k++)
            if (pieces[i].at[k] != (i & 0xff))
                fail_msg("piece %zu of %zu was overwritten at byte %zu", i, n, k);
}

static void pieces_never_overlap(void **state)
{
    struct dice d = dice_new("arena");
    int64_t before = mem_held();
    struct arena a;
    int round;

    (void)state;
    arena_init(&a);
    for (round = 0; round < 100; round++) {
        hand_out_and_check(&a, &d);
        arena_reset(&a);
        assert_in_range(mem_held() - before, 0, KEPT_BYTES + SLACK_BYTES);
    }
    arena_fini(&a);
    assert_int_equal(mem_held(), before);
}

static void reset_keeps_a_small_block_and_no_large_one(void **state)
{
    int64_t before = mem_held(), kept;
    struct arena a;
    void *first;
    int round;

    (void)state;
    arena_init(&a);
    assert_int_equal(mem_held(), before); /* nothing used, nothing held */
    first = arena_alloc(&a, 100);
    kept = mem_held();
    for (round = 0; round < 100; round++) {
        arena_reset(&a);
        assert_ptr_equal(arena_alloc(&a, 100), first);
        assert_int_equal(mem_held(), kept);
    }
    arena_reset(&a);
    memset(arena_alloc(&a, KEPT_BYTES), 1, KEPT_BYTES);
    arena_reset(&a);
    assert_in_range(mem_held() - before, KEPT_BYTES, KEPT_BYTES + SLACK_BYTES);
    memset(arena_alloc(&a, KEPT_BYTES + 1), 1, KEPT_BYTES + 1);
    arena_reset(&a);
    assert_int_equal(mem_held(), before);
    arena_fini(&a);
    arena_fini(&a); /* a second end is harmless */
    assert_int_equal(mem_held(), before);
}

static void copies_are_copies(void **state)
{
    char text[] = "to be copied";
    struct arena a;
    struct bytes one, none;

    (void)state;
    arena_init(&a);
    one = arena_copy(&a, bytes_text(text));
    none = arena_copy(&a, bytes_of(NULL, 0));
    memset(text, 'x', sizeof(text) - 1);
    assert_true(bytes_equal(one, BYTES("to be copied")));
    assert_int_equal(none.len, 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_never_overlap),
        cmocka_unit_test(reset_keeps_a_small_block_and_no_large_one),
        cmocka_unit_test(copies_are_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
