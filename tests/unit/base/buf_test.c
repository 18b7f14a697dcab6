#include "dice.h"
#include "base/buf.h"
#include "base/mem.h"

enum { ROUNDS = 20000, MODEL_MAX = 8192, PIECE_MAX = 300 };

struct model {
    char at[MODEL_MAX];
    size_t len;
};

static void append(struct model *m, const char *at, size_t n)
{
    memcpy(m->at + m->len, at, n);
    m->len += n;
}

static void random_step(struct buf *b, struct model *m, struct dice *d)
{
    char piece[PIECE_MAX];
    size_t n = dice_roll(d, PIECE_MAX);

    dice_fill(d, piece, sizeof(piece));
    switch (dice_roll(d, 5)) {
    case 0:
        buf_add(b, bytes_of(piece, n));
        append(m, piece, n);
        break;
    case 1:
        buf_add_char(b, piece[0]);
        append(m, piece, 1);
        break;
    case 2:
        memcpy(buf_reserve(b, PIECE_MAX), piece, n);
        b->len += n; /* less than was reserved */
        append(m, piece, n);
        break;
    case 3:
        buf_printf(b, "%0*d", (int)n + 1, 7);
        memset(piece, '0', n);
        piece[n] = '7';
        append(m, piece, n + 1);
        break;
    default:
        n = dice_roll(d, m->len + 1);
        buf_drop(b, n);
        memmove(m->at, m->at + n, m->len - n);
        m->len -= n;
    }
    if (m->len + PIECE_MAX > MODEL_MAX) {
        buf_drop(b, m->len);
        m->len = 0;
    }
}

static void same_as_a_plain_array(void **state)
{
    struct dice d = dice_new("buf");
    int64_t before = mem_held();
    struct model m = {.len = 0};
    struct buf b = {0};
    int round;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        random_step(&b, &m, &d);
        assert_int_equal(b.len, m.len);
        assert_true(b.cap >= b.len);
        assert_true(bytes_equal(buf_bytes(&b), bytes_of(m.at, m.len)));
    }
    buf_fini(&b);
    assert_int_equal(mem_held(), before);
}

static void empty_is_valid(void **state)
{
    int64_t before = mem_held();
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_bytes(&b).len, 0);
    buf_drop(&b, 0);
    buf_fini(&b);
    buf_add(&b, bytes_of(NULL, 0));
    assert_int_equal(b.len, 0);
    assert_non_null(buf_reserve(&b, 0));
    buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    buf_fini(&b);
    assert_true(b.at == NULL && b.len == 0 && b.cap == 0);
    buf_add_char(&b, 'x'); /* and usable again */
    assert_true(bytes_equal(buf_bytes(&b), BYTES("x")));
    buf_fini(&b);
    assert_int_equal(mem_held(), before);
}

/* A million single bytes move the block about twenty times, not a million times. */
static void grows_by_doubling(void **state)
{
    struct buf b = {0};
    size_t i, moves = 0, cap = 0;

    (void)state;
    for (i = 0; i < 1000000; i++) {
        buf_add_char(&b, (char)i);
        moves += b.cap != cap;
        cap = b.cap;
    }
    assert_in_range(moves, 2, 24);
    assert_in_range(b.cap, b.len, 2 * b.len);
    for (i = 0; i < b.len; i++)
        if (b.at[i] != (char)i)
            fail_msg("byte %zu was lost", i);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_a_plain_array),
        cmocka_unit_test(empty_is_valid),
        cmocka_unit_test(grows_by_doubling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
