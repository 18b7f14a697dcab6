#include "wire/deflater.h"

#include "base/mem.h"
#include "base/meter.h"
#include "unit/wire/split.h"
#include "wire/deflate.h"
#include "wire/inflater.h"

enum { LONGEST = 200000 };

/* Words that come again near and far, and noise. */
static void make_text(struct buf *out, size_t n, struct dice *d)
{
    static const char *const words[] = {"workSpaceId", "\"message\":", "deviceId", "aaaaaaaa"};

    out->len = 0;
    while (out->len < n) {
        if (dice_roll(d, 4) > 0)
            buf_add(out, bytes_text(words[dice_roll(d, 4)]));
        else
            buf_add_char(out, (char)dice_roll(d, 256));
        if (out->len > 50 && dice_roll(d, 100) == 0) { /* from anywhere before */
            size_t from = dice_roll(d, out->len - 40);

            (void)buf_reserve(out, 40);
            buf_add(out, bytes_of(out->at + from, 40));
        }
    }
    out->len = n;
}

/* The peer's window is no larger than ours, so a reference that reaches too far fails. */
static void comes_back(unsigned bits, bool forgets, struct dice *d)
{
    static const size_t lens[] = {1, 2, 100, 1000, 40000, LONGEST};
    struct buf text = {0}, packed = {0}, out = {0};
    struct deflater *from;
    struct inflater to;

    assert_int_equal(deflater_new(bits, 1 + bits % 9, forgets, 0, &from), ERR_OK);
    inflater_init(&to, bits, forgets, 0);
    for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
        make_text(&text, lens[i / 2], d);
        packed.len = out.len = 0;
        assert_int_equal(deflater_add(from, buf_bytes(&text), &packed, SIZE_MAX), ERR_OK);
        assert_int_equal(inflater_add(&to, buf_bytes(&packed), &out, LONGEST), ERR_OK);
        assert_int_equal(inflater_end(&to, &out, LONGEST), ERR_OK);
        assert_text(buf_bytes(&out), buf_bytes(&text), "deflated and inflated");
    }
    deflater_free(from);
    inflater_fini(&to);
    buf_fini(&text);
    buf_fini(&packed);
    buf_fini(&out);
}

static void what_goes_in_comes_back(void **state)
{
    struct dice d = dice_new("deflater");

    (void)state;
    for (unsigned bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits++) {
        comes_back(bits, true, &d);
        comes_back(bits, false, &d);
    }
    assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
}

static void a_context_makes_repeats_short(void **state)
{
    struct bytes text = BYTES("{\"price\":17,\"what\":\"something that is said again\"}");
    struct deflater *forgets, *keeps;
    struct buf out = {0};
    size_t first;

    (void)state;
    assert_int_equal(deflater_new(15, 6, true, 0, &forgets), ERR_OK);
    assert_int_equal(deflater_new(15, 6, false, 0, &keeps), ERR_OK);
    assert_int_equal(deflater_add(keeps, text, &out, SIZE_MAX), ERR_OK);
    first = out.len;
    assert_int_equal(deflater_add(keeps, text, &out, SIZE_MAX), ERR_OK);
    assert_true(out.len - first < first / 4);
    out.len = 0;
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(deflater_add(forgets, text, &out, SIZE_MAX), ERR_OK);
        assert_int_equal(out.len, i * first);
    }
    deflater_free(forgets);
    deflater_free(keeps);
    buf_fini(&out);
}

static void too_long_an_outcome_is_taken_back(void **state)
{
    struct dice dice = dice_new("noise");
    struct bytes text = BYTES("yes yes yes yes yes yes yes yes");
    struct buf noise = {0}, out = {0};
    struct deflater *d;
    size_t len;

    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_add_char(&noise, (char)dice_roll(&dice, 256));
    buf_add(&out, BYTES("before"));
    assert_int_equal(deflater_new(15, 6, true, 0, &d), ERR_OK);
    assert_int_equal(deflater_add(d, buf_bytes(&noise), &out, noise.len - 1), ERR_TOO_BIG);
    assert_text(buf_bytes(&out), BYTES("before"), "untouched");
    assert_int_equal(deflater_add(d, text, &out, SIZE_MAX), ERR_OK);
    len = out.len - 6;
    assert_true(len < text.len);
    for (size_t most = len - 3; most <= len + 3; most++) {
        out.len = 6;
        if (deflater_add(d, text, &out, most) == ERR_OK) {
            assert_int_equal(out.len - 6, len);
            assert_true(most >= len);
        } else {
            assert_text(buf_bytes(&out), BYTES("before"), "untouched");
            assert_true(most <= len); /* filled to the last byte counts as too long */
        }
    }
    deflater_free(d);
    buf_fini(&noise);
    buf_fini(&out);
}

static void no_window_takes_more_than_was_said(void **state)
{
    (void)state;
    for (unsigned bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits++) {
        struct deflater *d;
        int64_t held;

        assert_int_equal(deflater_new(bits, 9, false, 0, &d), ERR_OK);
        held = meter_sum(METER_DEFLATE_HELD);
        assert_true(held > 1 << (bits + 2));
        assert_true(held <= (int64_t)deflater_bytes(bits));
        deflater_free(d);
        assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
    }
}

static void over_the_budget_there_is_none(void **state)
{
    int64_t before = mem_held();
    struct deflater *d;

    (void)state;
    assert_int_equal(deflater_new(15, 6, true, 1, &d), ERR_FULL);
    assert_null(d);
    /* used up half-way */
    assert_int_equal(deflater_new(15, 6, true, mem_held() + 50000, &d), ERR_FULL);
    assert_null(d);
    assert_int_equal(mem_held(), before);
    assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_back),
        cmocka_unit_test(a_context_makes_repeats_short),
        cmocka_unit_test(too_long_an_outcome_is_taken_back),
        cmocka_unit_test(no_window_takes_more_than_was_said),
        cmocka_unit_test(over_the_budget_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
