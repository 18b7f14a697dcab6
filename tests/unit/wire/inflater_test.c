#include "wire/inflater.h"

#include "base/mem.h"
#include "base/meter.h"
#include "unit/wire/split.h"
#include "wire/deflate.h"
#include "wire/deflater.h"
#include "wire/ws.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define B(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

enum { USUAL = 8 << 20 };

/* One message, handed over in pieces, into out, which is emptied first. */
static enum err inflate_one(struct inflater *i, struct bytes in, struct buf *out, size_t limit,
                            enum split how, struct dice *d)
{
    enum err e = ERR_OK;

    out->len = 0;
    while (!e && in.len > 0) {
        size_t n = split_next(how, d, in.len);
        char *copy = mem_copy(bytes_of(in.at, n)); /* so that reading behind a piece is seen */

        e = inflater_add(i, bytes_of(copy, n), out, limit);
        assert_true(out->len <= limit);
        mem_free(copy);
        in = bytes_of(in.at + n, in.len - n);
    }
    return e ? e : inflater_end(i, out, limit);
}

/* Every message becomes its text, however it is split. */
static void assert_inflates(bool forgets, const struct bytes (*messages)[2], size_t count)
{
    struct dice d = dice_new("inflater");

    for (int how = SPLIT_NEVER; how <= SPLIT_RANDOM; how++) {
        struct inflater i;
        struct buf out = {0};

        inflater_init(&i, 15, forgets, 0);
        for (size_t m = 0; m < count; m++) {
            assert_int_equal(inflate_one(&i, messages[m][0], &out, USUAL, (enum split)how, &d),
                             ERR_OK);
            assert_text(buf_bytes(&out), messages[m][1], "inflated");
        }
        inflater_fini(&i);
        buf_fini(&out);
    }
    assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
}

/* RFC 7692, section 7.2.3, and what else is to be taken. */
static void messages_of_the_standard(void **state)
{
    static const struct bytes messages[][2] = {
        {B("\xf2\x48\xcd\xc9\xc9\x07\x00"), B("Hello")},
        {B("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), B("Hello")},
        {B("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), B("Hello")},
        {B("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), B("Hello")},
        {B("\x00"), B("")},
        /* ended by BFINAL or by a whole empty block, without the byte that should follow */
        {B("\xf3\x48\xcd\xc9\xc9\x07\x00"), B("Hello")},
        {B("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"), B("Hello")},
        {B(""), B("")},
        /* empty blocks, some of them final */
        {B("\x00\x00\x00\xff\xff\x01\x00\x00\xff\xff\x03\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
         B("Hello")},
    };

    (void)state;
    assert_inflates(true, messages, COUNT(messages));
}

static void context_goes_from_message_to_message(void **state)
{
    static const struct bytes messages[][2] = {
        {B("\xf2\x48\xcd\xc9\xc9\x07\x00"), B("Hello")},
        {B("\xf2\x00\x11\x00\x00"), B("Hello")},
        {B("\x00"), B("")},
        {B(""), B("")},
        {B("\xf3\x00\x11\x00\x00"), B("Hello")}, /* BFINAL ends no context */
        {B("\xf2\x00\x11\x00\x00"), B("Hello")},
    };
    struct inflater i;
    struct buf out = {0};

    (void)state;
    assert_inflates(false, messages, COUNT(messages));
    inflater_init(&i, 15, true, 0);
    for (int m = 0; m < 2; m++) /* the second one leans on what was forgotten */
        assert_int_equal(inflate_one(&i, messages[m][0], &out, USUAL, SPLIT_NEVER, NULL),
                         m == 0 ? ERR_OK : ERR_BAD);
    inflater_fini(&i);
    buf_fini(&out);
}

static void what_is_no_compressed_data_is_bad(void **state)
{
    static const struct bytes cases[] = {
        B("\x07"),                         /* no such kind of block */
        B("\x00\x05\x00\xfa\xfe\x48"),     /* a length that is not its complement's */
        B("\x02"),                         /* ends inside a block's first bits */
        B("\xf2\x48\xcd\xc9"),             /* ends inside a block */
        B("\x00\x05\x00\xfa\xff\x48\x65"), /* ends inside stored bytes, tail included */
        B("\x00\x00\x00\xff"),             /* ends inside a stored block's length */
        B("\xf2\x00\x11\x00\x00"),         /* looks further back than the beginning */
        B("Hello, this is not compressed"),
    };
    struct dice d = dice_new("bad");

    (void)state;
    for (size_t c = 0; c < COUNT(cases); c++) {
        for (int how = SPLIT_NEVER; how <= SPLIT_RANDOM; how++) {
            struct inflater i;
            struct buf out = {0};

            inflater_init(&i, 15, true, 0);
            if (inflate_one(&i, cases[c], &out, USUAL, (enum split)how, &d) != ERR_BAD)
                fail_msg("case %zu is taken", c);
            inflater_fini(&i);
            buf_fini(&out);
        }
    }
}

static struct buf zeros_compressed(size_t n)
{
    struct deflater *d;
    struct buf out = {0};
    char *zeros = mem_zero(n);

    assert_int_equal(deflater_new(15, 6, true, 0, &d), ERR_OK);
    assert_int_equal(deflater_add(d, bytes_of(zeros, n), &out, SIZE_MAX), ERR_OK);
    deflater_free(d);
    mem_free(zeros);
    return out;
}

static void the_limit_holds_for_what_comes_out(void **state)
{
    struct dice d = dice_new("limit");

    (void)state;
    for (size_t n = 999; n <= 1001; n++) {
        struct buf in = zeros_compressed(n), out = {0};

        for (int how = SPLIT_NEVER; how <= SPLIT_RANDOM; how++) {
            struct inflater i;
            enum err e;

            inflater_init(&i, 15, true, 0);
            e = inflate_one(&i, buf_bytes(&in), &out, 1000, (enum split)how, &d);
            assert_int_equal(e, n <= 1000 ? ERR_OK : ERR_TOO_BIG);
            if (!e)
                assert_int_equal(out.len, n);
            inflater_fini(&i);
        }
        buf_fini(&in);
        buf_fini(&out);
    }
}

/* As after a reload in the middle of a message. */
static void a_narrower_limit_counts_at_once(void **state)
{
    struct buf in = zeros_compressed(100000), out = {0};
    struct inflater i;

    (void)state;
    inflater_init(&i, 15, true, 0);
    assert_int_equal(inflater_add(&i, bytes_of(in.at, in.len / 2), &out, 1000000), ERR_OK);
    assert_true(out.len > 1000);
    assert_int_equal(
        inflater_add(&i, bytes_of(in.at + in.len / 2, in.len - in.len / 2), &out, 1000),
        ERR_TOO_BIG);
    inflater_fini(&i);
    buf_fini(&in);
    buf_fini(&out);
}

/* A block of 1,549 zeros that ends on a whole byte. Wherever the room for output ends: what ends
   the block may lie in a byte that was taken before. */
static void the_end_is_seen_in_any_room(void **state)
{
    struct bytes block = BYTES("\x62\x18\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x00");

    (void)state;
    for (size_t room = 1; room < 1600; room++) {
        struct inflater i;
        struct buf out = {0};

        (void)buf_reserve(&out, room + WS_PADDING);
        inflater_init(&i, 15, true, 0);
        assert_int_equal(inflate_one(&i, block, &out, USUAL, SPLIT_NEVER, NULL), ERR_OK);
        assert_int_equal(out.len, 1549);
        inflater_fini(&i);
        buf_fini(&out);
    }
}

static void a_bomb_takes_no_more_than_its_limit(void **state)
{
    enum { LIMIT = 100000 };
    struct buf in = zeros_compressed(USUAL + 1), out = {0};
    int64_t before = mem_held();
    struct inflater i;

    (void)state;
    assert_true(in.len < 10000);
    inflater_init(&i, 15, true, 0);
    assert_int_equal(inflater_add(&i, buf_bytes(&in), &out, LIMIT), ERR_TOO_BIG);
    assert_true(mem_held() - before < (int64_t)((size_t)2 * LIMIT + inflater_bytes(15)));
    inflater_fini(&i);
    buf_fini(&out);
    inflater_init(&i, 15, true, 0);
    assert_int_equal(inflate_one(&i, buf_bytes(&in), &out, USUAL + 1, SPLIT_NEVER, NULL), ERR_OK);
    assert_int_equal(out.len, USUAL + 1);
    inflater_fini(&i);
    buf_fini(&out);
    buf_fini(&in);
}

/* What is promised to whoever agrees on a window. */
static void no_window_takes_more_than_was_said(void **state)
{
    struct buf in = zeros_compressed(100000);

    (void)state;
    for (unsigned bits = DEFLATE_BITS_LEAST; bits <= DEFLATE_BITS_MAX; bits++) {
        struct inflater i;
        struct buf out = {0};
        int64_t held;

        inflater_init(&i, bits, false, 0);
        assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
        assert_int_equal(inflater_add(&i, bytes_of(in.at, in.len / 2), &out, USUAL), ERR_OK);
        held = meter_sum(METER_DEFLATE_HELD);
        assert_true(held > 1 << bits);
        assert_true(held <= (int64_t)inflater_bytes(bits < 9 ? 9 : bits));
        inflater_fini(&i);
        buf_fini(&out);
        assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
    }
    buf_fini(&in);
}

static void over_the_budget_nothing_is_inflated(void **state)
{
    struct buf in = zeros_compressed(1000000), out = {0};
    char *ballast;
    struct inflater i;

    (void)state;
    inflater_init(&i, 15, true, 1);
    assert_int_equal(inflater_add(&i, buf_bytes(&in), &out, USUAL), ERR_FULL);
    inflater_fini(&i);
    /* used up while the message grows: noticed when it needs more */
    inflater_init(&i, 15, true, mem_held() + 200000);
    ballast = mem_alloc(120000);
    assert_int_equal(inflater_add(&i, buf_bytes(&in), &out, USUAL), ERR_FULL);
    assert_true(out.len < 500000);
    inflater_fini(&i);
    assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
    mem_free(ballast);
    buf_fini(&in);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_the_standard),
        cmocka_unit_test(context_goes_from_message_to_message),
        cmocka_unit_test(what_is_no_compressed_data_is_bad),
        cmocka_unit_test(the_limit_holds_for_what_comes_out),
        cmocka_unit_test(a_narrower_limit_counts_at_once),
        cmocka_unit_test(the_end_is_seen_in_any_room),
        cmocka_unit_test(a_bomb_takes_no_more_than_its_limit),
        cmocka_unit_test(no_window_takes_more_than_was_said),
        cmocka_unit_test(over_the_budget_nothing_is_inflated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
