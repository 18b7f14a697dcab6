/* Compressed messages among others; frames as such are ws_test.c's. */
#include "base/mem.h"
#include "unit/wire/split.h"
#include "wire/deflater.h"
#include "wire/inflater.h"
#include "wire/ws.h"

#define B(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    FIN = 0x80,
    RSV1 = WS_DEFLATED,
    RSV2 = 0x20,
    RSV3 = 0x10,
    LIMIT = 1000,
};

static const struct ws_limits limits = {.message_bytes = LIMIT, .empty_fragments = 4};

static void add_frame(struct buf *out, int start, struct bytes payload, struct dice *d)
{
    char mask[4];
    size_t in = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;

    for (int i = 0; i < 4; i++)
        mask[i] = (char)dice_roll(d, 256);
    buf_add_char(out, (char)start);
    buf_add_char(out, (char)(0x80 | (in == 0 ? payload.len : in == 2 ? 126 : 127)));
    for (size_t i = in; i > 0; i--)
        buf_add_char(out, (char)(payload.len >> (8 * (i - 1))));
    buf_add(out, bytes_of(mask, 4));
    for (size_t i = 0; i < payload.len; i++)
        buf_add_char(out, (char)(payload.at[i] ^ mask[i % 4]));
}

/* "opcode[payload] " of every message, then "bad code", "more", or nothing. */
static void outcome(struct buf *out, struct bytes in, bool agreed, enum split how, struct dice *d)
{
    enum ws_result result = WS_MORE;
    struct inflater inflater;
    struct ws_reader r;
    uint16_t code;

    inflater_init(&inflater, 15, true, 0);
    ws_reader_init(&r);
    if (agreed)
        ws_reader_inflate(&r, &inflater);
    for (size_t used = 0, n; used < in.len && result == WS_MORE; used += n) {
        struct ws_message m;
        char *piece, *at;
        size_t len;

        n = split_next(how, d, in.len - used);
        piece = mem_alloc(n + WS_PADDING);
        memcpy(piece, in.at + used, n);
        memset(piece + n, 0xAA, WS_PADDING);
        at = piece;
        len = n;
        while ((result = ws_read(&r, &limits, &at, &len, &m, &code)) == WS_MESSAGE) {
            volatile char padding = m.payload.at[m.payload.len + WS_PADDING - 1];

            (void)padding;
            buf_printf(out, "%d[", m.opcode);
            buf_add(out, m.payload);
            buf_add(out, BYTES("] "));
        }
        mem_free(piece);
    }
    if (result == WS_BAD)
        buf_printf(out, "bad %d", code);
    else if (!ws_reader_is_idle(&r))
        buf_printf(out, "more");
    ws_reader_fini(&r);
    inflater_fini(&inflater);
}

/* However split. Frees in. */
static void expect(struct buf *in, bool agreed, const char *wanted, struct dice *d)
{
    for (int i = 0; i < 6; i++) {
        struct buf got = {0};

        outcome(&got, buf_bytes(in), agreed, i < 2 ? (enum split)i : SPLIT_RANDOM, d);
        assert_text(buf_bytes(&got), bytes_text(wanted), "frames");
        buf_fini(&got);
    }
    buf_fini(in);
}

struct frame {
    int start;
    struct bytes payload;
};

#define HELLO B("\xf2\x48\xcd\xc9\xc9\x07\x00")

static const struct {
    const char *wanted;
    struct frame frames[6]; /* as many as have a payload, be it an empty one */
} streams[] = {
    {"1[Hello] ", {{FIN | RSV1 | WS_TEXT, HELLO}}},
    {"2[Hello] ", {{FIN | RSV1 | WS_BINARY, HELLO}}},
    {"1[Hello] 1[plain] 1[Hello] ",
     {{FIN | RSV1 | WS_TEXT, HELLO}, {FIN | WS_TEXT, B("plain")}, {FIN | RSV1 | WS_TEXT, HELLO}}},
    {"1[Hello] ", {{RSV1 | WS_TEXT, B("\xf2\x48\xcd")}, {FIN, B("\xc9\xc9\x07\x00")}}},
    {"9[p] 10[] 1[Hello] ",
     {{RSV1 | WS_TEXT, B("\xf2\x48\xcd")},
      {FIN | WS_PING, B("p")},
      {WS_CONTINUATION, B("\xc9\xc9")},
      {FIN | WS_PONG, B("")},
      {FIN, B("\x07\x00")}}},
    {"1[Hello] ", {{RSV1 | WS_TEXT, B("")}, {WS_CONTINUATION, HELLO}, {FIN, B("")}}},
    {"1[] 2[] ", {{FIN | RSV1 | WS_TEXT, B("\x00")}, {FIN | RSV1 | WS_BINARY, B("")}}},
    {"1[] ", {{RSV1 | WS_TEXT, B("")}, {FIN, B("")}}},
    {"more", {{RSV1 | WS_TEXT, HELLO}}},
    /* where the bit may not stand */
    {"bad 1002", {{RSV1 | WS_TEXT, B("\xf2\x48\xcd")}, {FIN | RSV1, B("\xc9\xc9\x07\x00")}}},
    {"bad 1002", {{WS_TEXT, B("a")}, {FIN | RSV1, B("b")}}},
    {"bad 1002", {{FIN | RSV1 | WS_PING, B("")}}},
    {"bad 1002", {{FIN | RSV1 | WS_PONG, B("")}}},
    {"bad 1002", {{FIN | RSV1 | WS_CLOSE, B("\x03\xe8")}}},
    {"bad 1002", {{FIN | RSV2 | WS_TEXT, B("")}}},
    {"bad 1002", {{FIN | RSV3 | WS_TEXT, B("")}}},
    {"bad 1002", {{FIN | RSV1 | RSV2 | WS_TEXT, HELLO}}},
    {"bad 1002", {{FIN | RSV1 | RSV3 | WS_BINARY, HELLO}}},
    {"bad 1002", {{RSV1 | WS_TEXT, HELLO}, {FIN | RSV1 | WS_TEXT, HELLO}}},
    /* the rule of empty fragments is about frames */
    {"bad 1008",
     {{RSV1 | WS_TEXT, B("")},
      {WS_CONTINUATION, B("")},
      {WS_CONTINUATION, B("")},
      {WS_CONTINUATION, B("")},
      {WS_CONTINUATION, B("")},
      {FIN, B("")}}},
    /* no data, and none to the end */
    {"bad 1007", {{FIN | RSV1 | WS_TEXT, B("Hello")}}},
    {"bad 1007", {{FIN | RSV1 | WS_BINARY, B("\xf2\x48\xcd\xc9")}}},
    {"1[Hello] bad 1007",
     {{FIN | RSV1 | WS_TEXT, HELLO}, {FIN | RSV1 | WS_TEXT, B("\xf2\x00\x11\x00\x00")}}},
};

static void reads_what_was_sent(void **state)
{
    struct dice d = dice_new("streams");

    (void)state;
    for (size_t i = 0; i < COUNT(streams); i++) {
        struct buf in = {0};

        for (size_t f = 0; f < COUNT(streams[i].frames) && streams[i].frames[f].payload.at; f++)
            add_frame(&in, streams[i].frames[f].start, streams[i].frames[f].payload, &d);
        expect(&in, true, streams[i].wanted, &d);
    }
}

static void without_agreement_the_bit_is_an_error(void **state)
{
    struct dice d = dice_new("not agreed");
    struct buf in = {0};

    (void)state;
    add_frame(&in, FIN | RSV1 | WS_TEXT, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), &d);
    expect(&in, false, "bad 1002", &d);
}

static void add_compressed(struct buf *in, int start, struct bytes text, struct dice *d)
{
    struct deflater *with;
    struct buf packed = {0};

    assert_int_equal(deflater_new(15, 6, true, 0, &with), ERR_OK);
    assert_int_equal(deflater_add(with, text, &packed, SIZE_MAX), ERR_OK);
    add_frame(in, start, buf_bytes(&packed), d);
    deflater_free(with);
    buf_fini(&packed);
}

static void the_limit_is_about_what_comes_out(void **state)
{
    struct dice d = dice_new("limit");
    char letters[LIMIT + 1], wanted[LIMIT + 5];

    (void)state;
    memset(letters, 'z', sizeof(letters));
    for (size_t n = LIMIT - 1; n <= LIMIT + 1; n++) {
        struct buf in = {0};

        add_compressed(&in, FIN | RSV1 | WS_TEXT, bytes_of(letters, n), &d);
        assert_true(in.len < 50);
        snprintf(wanted, sizeof(wanted), "1[%.*s] ", (int)n, letters);
        expect(&in, true, n <= LIMIT ? wanted : "bad 1009", &d);
    }
}

/* As many bytes as the limit that do not get smaller take a frame that is longer than the limit. */
static void a_long_frame_of_a_short_message_is_taken(void **state)
{
    struct dice d = dice_new("noise");
    char noise[LIMIT];
    struct buf in = {0}, got = {0};

    (void)state;
    for (size_t i = 0; i < LIMIT; i++)
        noise[i] = (char)dice_roll(&d, 256);
    add_compressed(&in, FIN | RSV1 | WS_BINARY, bytes_of(noise, LIMIT), &d);
    assert_true(in.len > LIMIT + 8);
    outcome(&got, buf_bytes(&in), true, SPLIT_RANDOM, &d);
    assert_int_equal(got.len, LIMIT + 4);
    assert_memory_equal(got.at + 2, noise, LIMIT);
    buf_fini(&in);
    buf_fini(&got);
}

/* Before its message is complete, and before what comes behind it is looked at. */
static void bad_text_fails_as_it_comes_out(void **state)
{
    static const struct {
        struct bytes text;
        const char *wanted;
        bool is_final;
    } cases[] = {
        {B("good \xc3\xa4"), "1[good \xc3\xa4] ", true},
        {B("bad \xc3\x28"), "bad 1007", false},
        {B("cut \xc3"), "bad 1007", true},
        {B("cut \xc3"), "more", false},
        {B("surrogate \xed\xa0\x80"), "bad 1007", false},
    };
    struct dice d = dice_new("text");
    char flood[2 * LIMIT] = "\xff";

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf in = {0};

        add_compressed(&in, (cases[i].is_final ? FIN : 0) | RSV1 | WS_TEXT, cases[i].text, &d);
        expect(&in, true, cases[i].wanted, &d);
    }
    for (int binary = 0; binary < 2; binary++) {
        struct buf in = {0};

        add_compressed(&in, FIN | RSV1 | (binary ? WS_BINARY : WS_TEXT),
                       bytes_of(flood, sizeof(flood)), &d);
        expect(&in, true, binary ? "bad 1009" : "bad 1007", &d);
    }
}

static void nothing_is_held_when_idle(void **state)
{
    int64_t before = mem_held();
    struct dice d = dice_new("idle");
    struct inflater inflater;
    struct ws_reader r;
    struct ws_message m;
    uint16_t code;
    struct buf in = {0};
    char *at;
    size_t len;

    (void)state;
    inflater_init(&inflater, 15, true, 0);
    ws_reader_init(&r);
    ws_reader_inflate(&r, &inflater);
    add_frame(&in, FIN | RSV1 | WS_TEXT, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), &d);
    (void)buf_reserve(&in, WS_PADDING);
    at = in.at;
    len = in.len;
    assert_int_equal(ws_read(&r, &limits, &at, &len, &m, &code), WS_MESSAGE);
    assert_int_equal(ws_read(&r, &limits, &at, &len, &m, &code), WS_MORE);
    assert_true(ws_reader_is_idle(&r));
    buf_fini(&in);
    assert_int_equal(mem_held(), before);
}

static void knows_whole_messages_of_ours(void **state)
{
    static const size_t lens[] = {0, 1, 125, 126, 65535, 65536};
    struct bytes payload;

    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct buf f = {0};
        size_t head = ws_write_header(buf_reserve(&f, WS_HEADER_MAX), WS_TEXT, lens[i]);

        f.len = head;
        memset(buf_reserve(&f, lens[i] + 1), 'x', lens[i]);
        f.len += lens[i];
        assert_true(ws_holds_message(buf_bytes(&f), &payload));
        assert_ptr_equal(payload.at, f.at + head);
        assert_int_equal(payload.len, lens[i]);
        f.at[0] = (char)(f.at[0] | WS_DEFLATED);
        assert_false(ws_holds_message(buf_bytes(&f), &payload));
        buf_fini(&f);
    }
    assert_true(ws_holds_message(BYTES("\x82\x01x"), &payload));
    assert_false(ws_holds_message(BYTES("\x89\x01x"), &payload));
    assert_false(ws_holds_message(BYTES("\x88\x02\x03\xe8"), &payload));
    assert_false(ws_holds_message(BYTES("HTTP/1.1 101"), &payload));
    assert_false(ws_holds_message(BYTES(""), &payload));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_sent),
        cmocka_unit_test(without_agreement_the_bit_is_an_error),
        cmocka_unit_test(the_limit_is_about_what_comes_out),
        cmocka_unit_test(a_long_frame_of_a_short_message_is_taken),
        cmocka_unit_test(bad_text_fails_as_it_comes_out),
        cmocka_unit_test(nothing_is_held_when_idle),
        cmocka_unit_test(knows_whole_messages_of_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
