#include "wire/ws.h"

#include "base/mem.h"
#include "unit/wire/split.h"

#define B(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FIN = 0x80, MASK_BIT = 0x80 };

static const struct ws_limits usual = {.message_bytes = 8 << 20, .empty_fragments = 64};

/* A client's header; `in` is the number of length bytes: 0, 2 or 8. */
static void add_header(struct buf *out, int start, uint64_t len, int in, const uint8_t mask[4])
{
    buf_add_char(out, (char)start);
    buf_add_char(out, (char)(MASK_BIT | (in == 0 ? (int)len : in == 2 ? 126 : 127)));
    for (int i = in - 1; i >= 0; i--)
        buf_add_char(out, (char)(len >> (8 * i)));
    buf_add(out, bytes_of((const char *)mask, 4));
}

/* A client's frame: start is FIN and opcode. */
static void add_frame(struct buf *out, int start, struct bytes payload, uint32_t key)
{
    uint8_t mask[4] = {(uint8_t)(key >> 24), (uint8_t)(key >> 16), (uint8_t)(key >> 8),
                       (uint8_t)key};

    add_header(out, start, payload.len, payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8, mask);
    for (size_t i = 0; i < payload.len; i++)
        buf_add_char(out, (char)(payload.at[i] ^ mask[i % 4]));
}

/* One event as text: "opcode/close_code[payload]". */
static void describe(struct buf *out, const struct ws_message *m)
{
    buf_printf(out, "%d/%d[", m->opcode, m->close_code);
    buf_add(out, m->payload);
    buf_add(out, BYTES("] "));
}

/* The promise to vector code: the address sanitizer watches these reads. */
static void over_read(struct bytes payload)
{
    static volatile char sink;

    for (size_t i = 0; i < WS_PADDING; i++)
        sink = payload.at[payload.len + i];
    (void)sink;
}

/* What the reader makes of `in`, handed over in pieces, each in memory of its own with the padding
   behind it. After a refusal nothing more is fed. */
static void outcome(struct buf *out, struct bytes in, const struct ws_limits *limits,
                    enum split how, struct dice *d)
{
    enum ws_result result = WS_MORE;
    struct ws_reader r;
    uint16_t code;

    ws_reader_init(&r);
    for (size_t used = 0, n; used < in.len && result == WS_MORE; used += n) {
        struct ws_message m;
        char *piece, *at;
        size_t len;

        n = split_next(how, d, in.len - used);
        piece = malloc(n + WS_PADDING);
        assert_non_null(piece);
        memcpy(piece, in.at + used, n);
        memset(piece + n, 0xAA, WS_PADDING);
        at = piece;
        len = n;
        while ((result = ws_read(&r, limits, &at, &len, &m, &code)) == WS_MESSAGE) {
            describe(out, &m);
            over_read(m.payload);
        }
        assert_true(result == WS_BAD || len == 0);
        for (size_t i = 0; i < WS_PADDING; i++)
            assert_int_equal((unsigned char)piece[n + i], 0xAA);
        free(piece);
    }
    if (result == WS_BAD)
        buf_printf(out, "bad %d", code);
    else if (!ws_reader_is_idle(&r))
        buf_printf(out, "more");
    ws_reader_fini(&r);
}

/* Whole, byte by byte and in random pieces alike, and nothing is left behind. */
static void outcome_of_all(struct buf *out, struct bytes in, const struct ws_limits *limits,
                           struct dice *d)
{
    int64_t held;

    outcome(out, in, limits, SPLIT_NEVER, d);
    held = mem_held();
    for (int i = 0; i < 4; i++) {
        struct buf split = {0};

        outcome(&split, in, limits, i == 0 ? SPLIT_BYTES : SPLIT_RANDOM, d);
        assert_text(buf_bytes(&split), buf_bytes(out), "whole and split differ");
        buf_fini(&split);
        assert_true(mem_held() == held);
    }
}

/* Frees in. */
static void expect(struct buf *in, const struct ws_limits *limits, const char *wanted,
                   struct dice *d)
{
    struct buf got = {0};

    outcome_of_all(&got, buf_bytes(in), limits, d);
    assert_text(buf_bytes(&got), bytes_text(wanted), "frames");
    buf_fini(&got);
    buf_fini(in);
}

struct frame {
    int start;
    struct bytes payload;
};

static const struct {
    const char *wanted;
    struct frame frames[6]; /* as many as have a payload, be it an empty one */
} streams[] = {
    {"1/0[hello] ", {{FIN | WS_TEXT, B("hello")}}},
    {"2/0[\xFF\xFE] ", {{FIN | WS_BINARY, B("\xFF\xFE")}}},
    {"1/0[] ", {{FIN | WS_TEXT, B("")}}},
    {"9/0[] 10/0[pong] ", {{FIN | WS_PING, B("")}, {FIN | WS_PONG, B("pong")}}},
    {"1/0[hello] ", {{WS_TEXT, B("hel")}, {FIN, B("lo")}}},
    {"1/0[hello] ", {{WS_TEXT, B("")}, {WS_CONTINUATION, B("hello")}, {FIN, B("")}}},
    {"1/0[] ", {{WS_TEXT, B("")}, {FIN, B("")}}},
    {"1/0[hello] 1/0[x] ", {{WS_TEXT, B("hello")}, {FIN, B("")}, {FIN | WS_TEXT, B("x")}}},
    {"9/0[p] 10/0[q] 1/0[hello] ",
     {{WS_TEXT, B("hel")}, {FIN | WS_PING, B("p")}, {FIN | WS_PONG, B("q")}, {FIN, B("lo")}}},
    {"9/0[p] 1/0[hello] ", {{WS_TEXT, B("")}, {FIN | WS_PING, B("p")}, {FIN, B("hello")}}},
    {"8/1005[] 2/0[a] ", {{WS_BINARY, B("")}, {FIN | WS_CLOSE, B("")}, {FIN, B("a")}}},
    {"8/1000[bye] 1/0[a] ",
     {{FIN | WS_CLOSE, B("\x03\xE8"
                         "bye")},
      {FIN | WS_TEXT, B("a")}}},
    {"more", {{WS_TEXT, B("hel")}}},
    {"more", {{WS_TEXT, B("")}}},
    {"9/0[p] more", {{WS_TEXT, B("a")}, {FIN | WS_PING, B("p")}}},
    /* UTF-8 across and within fragments */
    {"1/0[\xE2\x82\xAC] ", {{FIN | WS_TEXT, B("\xE2\x82\xAC")}}},
    {"1/0[\xE2\x82\xAC] ", {{WS_TEXT, B("\xE2")}, {WS_CONTINUATION, B("\x82")}, {FIN, B("\xAC")}}},
    {"9/0[\xFF] 1/0[\xC3\xA4] ",
     {{WS_TEXT, B("\xC3")}, {FIN | WS_PING, B("\xFF")}, {FIN, B("\xA4")}}},
    {"2/0[\xFF\xC3] ", {{WS_BINARY, B("\xFF")}, {FIN, B("\xC3")}}},
    {"bad 1007", {{FIN | WS_TEXT, B("\xC3")}}},
    {"bad 1007",
     {{FIN | WS_TEXT, B("abc\xFF"
                        "abc")}}},
    {"bad 1007", {{WS_TEXT, B("\xC3")}, {FIN, B("")}}},
    {"bad 1007", {{WS_TEXT, B("\xED")}, {WS_CONTINUATION, B("\xA0")}}},
    {"bad 1007", {{WS_TEXT, B("a")}, {WS_CONTINUATION, B("\xFF")}, {0x70, B("a")}}},
    {"1/0[a] bad 1007", {{FIN | WS_TEXT, B("a")}, {FIN | WS_TEXT, B("\xE2\x82")}}},
    /* the order of frames */
    {"bad 1002", {{FIN, B("a")}}},
    {"bad 1002", {{WS_CONTINUATION, B("a")}}},
    {"1/0[a] bad 1002", {{FIN | WS_TEXT, B("a")}, {FIN, B("b")}}},
    {"1/0[ab] bad 1002", {{WS_TEXT, B("a")}, {FIN, B("b")}, {WS_CONTINUATION, B("c")}}},
    {"bad 1002", {{WS_TEXT, B("a")}, {FIN | WS_TEXT, B("b")}}},
    {"bad 1002", {{WS_TEXT, B("a")}, {FIN | WS_BINARY, B("b")}}},
    {"bad 1002", {{WS_TEXT, B("")}, {WS_TEXT, B("")}}},
    {"9/0[p] bad 1002", {{FIN | WS_PING, B("p")}, {FIN, B("b")}}},
    /* fragmented control frames */
    {"bad 1002", {{WS_PING, B("a")}}},
    {"bad 1002", {{WS_PONG, B("")}}},
    {"bad 1002", {{WS_CLOSE, B("\x03\xE8")}}},
    /* reserved bits and opcodes */
    {"bad 1002", {{FIN | 0x40 | WS_TEXT, B("a")}}},
    {"bad 1002", {{FIN | 0x20 | WS_TEXT, B("a")}}},
    {"bad 1002", {{FIN | 0x10 | WS_TEXT, B("a")}}},
    {"bad 1002", {{FIN | 0x40 | WS_PING, B("a")}}},
    {"bad 1002", {{WS_TEXT, B("a")}, {FIN | 0x40, B("a")}}},
    {"bad 1002", {{FIN | 3, B("a")}}},
    {"bad 1002", {{FIN | 4, B("a")}}},
    {"bad 1002", {{FIN | 5, B("a")}}},
    {"bad 1002", {{FIN | 6, B("a")}}},
    {"bad 1002", {{FIN | 7, B("a")}}},
    {"bad 1002", {{FIN | 11, B("a")}}},
    {"bad 1002", {{FIN | 12, B("a")}}},
    {"bad 1002", {{FIN | 13, B("a")}}},
    {"bad 1002", {{FIN | 14, B("a")}}},
    {"bad 1002", {{FIN | 15, B("a")}}},
};

static void add_stream(struct buf *in, const struct frame *frames, struct dice *d)
{
    for (const struct frame *f = frames; f < frames + 6 && f->payload.at; f++)
        add_frame(in, f->start, f->payload, (uint32_t)dice_roll(d, UINT32_MAX));
}

static void reads_what_was_sent(void **state)
{
    struct dice d = dice_new("ws streams");

    (void)state;
    for (size_t i = 0; i < COUNT(streams); i++) {
        struct buf in = {0};

        add_stream(&in, streams[i].frames, &d);
        expect(&in, &usual, streams[i].wanted, &d);
    }
}

static void refuses_unmasked_frames(void **state)
{
    static const struct bytes table[] = {
        B("\x81\x00"), B("\x81\x01"), B("\x81\x7E"), B("\x89\x00"), B("\x88\x00"), B("\x02\x7F"),
    };
    struct dice d = dice_new("ws unmasked");

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct buf in = {0};

        buf_add(&in, table[i]);
        expect(&in, &usual, "bad 1002", &d);
    }
}

static void wants_the_shortest_length(void **state)
{
    static const struct {
        uint64_t len;
        int in;
        const char *wanted;
    } table[] = {
        {0, 2, "bad 1002"},
        {125, 2, "bad 1002"},
        {126, 2, "more"},
        {65535, 2, "more"},
        {0, 8, "bad 1002"},
        {126, 8, "bad 1002"},
        {65535, 8, "bad 1002"},
        {65536, 8, "more"},
        {INT64_MAX, 8, "bad 1009"},
        {UINT64_C(1) << 63, 8, "bad 1002"},
        {UINT64_MAX, 8, "bad 1002"},
        {1, 0, "more"},
    };
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct dice d = dice_new("ws lengths");

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct buf in = {0};

        add_header(&in, FIN | WS_BINARY, table[i].len, table[i].in, mask);
        expect(&in, &usual, table[i].wanted, &d);
    }
}

static void holds_the_control_limit(void **state)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    static const int opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    struct dice d = dice_new("ws control limit");

    (void)state;
    for (size_t i = 0; i < COUNT(opcodes); i++) {
        for (size_t len = WS_CONTROL_MAX - 1; len <= WS_CONTROL_MAX; len++) {
            struct buf in = {0}, wanted = {0};
            char payload[WS_CONTROL_MAX];

            memset(payload, 'a', sizeof payload);
            memcpy(payload, "\x03\xE8", 2);
            add_frame(&in, FIN | opcodes[i], bytes_of(payload, len), 7);
            if (opcodes[i] == WS_CLOSE)
                buf_printf(&wanted, "8/1000[%.*s] ", (int)len - 2, payload + 2);
            else
                buf_printf(&wanted, "%d/0[%.*s] ", opcodes[i], (int)len, payload);
            buf_add_char(&wanted, 0);
            expect(&in, &usual, wanted.at, &d);
            buf_fini(&wanted);
        }
        for (int length_bytes = 2; length_bytes <= 8; length_bytes += 6) {
            struct buf in = {0};

            add_header(&in, FIN | opcodes[i], WS_CONTROL_MAX + 1, length_bytes, mask);
            expect(&in, &usual, "bad 1002", &d);
        }
    }
}

static void reads_close_frames(void **state)
{
    static const int good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                               1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const int bad[] = {0,    1,    999,  1004, 1005, 1006,  1015, 1016,
                              1100, 1999, 2000, 2999, 5000, 32768, 65535};
    static const struct {
        struct bytes payload;
        const char *wanted;
    } table[] = {
        {B(""), "8/1005[] "},
        {B("\x03"), "bad 1002"},
        {B("\x03\xE8"), "8/1000[] "},
        {B("\x03\xE8\xC3\xA4"), "8/1000[\xC3\xA4] "},
        {B("\x03\xE8\xC3"), "bad 1007"},
        {B("\x03\xE8 \xFF"), "bad 1007"},
        {B("\x03\xED\xFF"), "bad 1002"},
    };
    struct dice d = dice_new("ws close");

    (void)state;
    for (size_t i = 0; i < COUNT(good) + COUNT(bad); i++) {
        bool is_good = i < COUNT(good);
        int code = is_good ? good[i] : bad[i - COUNT(good)];
        char payload[3] = {(char)(code >> 8), (char)code, 'x'}, wanted[32];
        struct buf in = {0};

        snprintf(wanted, sizeof wanted, is_good ? "8/%d[x] " : "bad 1002", code);
        add_frame(&in, FIN | WS_CLOSE, bytes_of(payload, sizeof payload), 99);
        expect(&in, &usual, wanted, &d);
    }
    for (size_t i = 0; i < COUNT(table); i++) {
        struct buf in = {0};

        add_frame(&in, FIN | WS_CLOSE, table[i].payload, 99);
        expect(&in, &usual, table[i].wanted, &d);
    }
}

/* The header alone decides; the payload of the frame that is too much is never waited for. */
static void holds_the_message_limit(void **state)
{
    static const size_t limits[] = {1, 125, 126, 65535, 65536, 100000};
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct dice d = dice_new("ws message limit");

    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        for (int more = -1; more <= 1; more++) {
            struct ws_limits l = {.message_bytes = limits[i], .empty_fragments = 2};
            size_t len = limits[i] + (size_t)more, first = len > 0 ? dice_roll(&d, len) : 0;
            int in_bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
            const char *wanted = more > 0 ? "bad 1009" : len > 0 ? "more" : "2/0[] ";
            struct buf in = {0};
            char *body = calloc(1, len + 1);

            assert_non_null(body);
            add_header(&in, FIN | WS_BINARY, len, in_bytes, mask);
            expect(&in, &l, wanted, &d);

            add_frame(&in, WS_BINARY, bytes_of(body, first), 1);
            add_frame(&in, FIN | WS_PING, BYTES(""), 1);
            len -= first;
            in_bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
            add_header(&in, WS_CONTINUATION, len, in_bytes, mask);
            expect(&in, &l, more > 0 ? "9/0[] bad 1009" : "9/0[] more", &d);
            free(body);
        }
    }
}

/* A message at its limit may still be ended by an empty fragment. */
static void ends_a_full_message(void **state)
{
    static const struct ws_limits four = {.message_bytes = 4, .empty_fragments = 1};
    struct dice d = dice_new("ws full message");
    struct buf in = {0};

    (void)state;
    add_frame(&in, WS_TEXT, BYTES("full"), 1);
    add_frame(&in, FIN, BYTES(""), 1);
    add_frame(&in, FIN | WS_TEXT, BYTES("next"), 1);
    expect(&in, &four, "1/0[full] 1/0[next] ", &d);
}

/* Control frames between them neither count nor hide the run; payload ends it. */
static void holds_the_empty_fragment_limit(void **state)
{
    static const uint32_t limits[] = {0, 1, 64};
    struct dice d = dice_new("ws empty fragments");

    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        for (int more = -1; more <= 1; more++) {
            struct ws_limits l = {.message_bytes = 100, .empty_fragments = limits[i]};
            struct buf in = {0};
            int count = (int)limits[i] + more;

            if (count < 0)
                continue;
            add_frame(&in, WS_TEXT, BYTES("a"), 1);
            for (int n = 0; n < count; n++)
                add_frame(&in, WS_CONTINUATION, BYTES(""), 2);
            add_frame(&in, WS_CONTINUATION, BYTES("b"), 1);
            for (int n = 0; n < count; n++) {
                if (n == 1)
                    add_frame(&in, FIN | WS_PONG, BYTES(""), 2);
                add_frame(&in, WS_CONTINUATION, BYTES(""), 2);
            }
            add_frame(&in, FIN, BYTES(""), 1);
            add_frame(&in, FIN | WS_TEXT, BYTES(""), 1);
            expect(&in, &l,
                   more > 0    ? "bad 1008"
                   : count > 1 ? "10/0[] 1/0[ab] 1/0[] "
                               : "1/0[ab] 1/0[] ",
                   &d);
        }
    }
}

static void counts_an_empty_beginning(void **state)
{
    static const struct ws_limits one = {.message_bytes = 100, .empty_fragments = 1};
    struct dice d = dice_new("ws empty beginning");
    struct buf in = {0};

    (void)state;
    add_frame(&in, WS_TEXT, BYTES(""), 1);
    add_frame(&in, WS_CONTINUATION, BYTES(""), 1);
    expect(&in, &one, "bad 1008", &d);
}

/* A frame that lies whole in the input is handed out where it lies. */
static void hands_out_in_place(void **state)
{
    struct ws_reader r;
    struct ws_message m;
    struct buf in = {0};
    uint16_t code;
    char *at, *end;
    size_t len;

    (void)state;
    ws_reader_init(&r);
    add_frame(&in, FIN | WS_TEXT, BYTES("hello"), 0x12345678);
    add_frame(&in, FIN | WS_PING, BYTES("ping"), 0x9ABCDEF0);
    add_frame(&in, FIN | WS_CLOSE,
              BYTES("\x03\xE8"
                    "bye"),
              0x12345678);
    memset(buf_reserve(&in, WS_PADDING), 0, WS_PADDING);
    at = in.at;
    len = in.len;
    end = in.at + in.len;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_read(&r, &usual, &at, &len, &m, &code), WS_MESSAGE);
        assert_true(m.payload.at > in.at && m.payload.at + m.payload.len == at);
        assert_true(at + len == end);
        assert_true(ws_reader_is_idle(&r));
    }
    assert_text(m.payload, BYTES("bye"), "close");
    assert_int_equal(ws_read(&r, &usual, &at, &len, &m, &code), WS_MORE);
    ws_reader_fini(&r);
    buf_fini(&in);
}

/* One call of the reader with bytes that are gone afterwards; it must take them all. */
static enum ws_result feed(struct ws_reader *r, struct bytes in, struct ws_message *m)
{
    char *piece = malloc(in.len + WS_PADDING), *at = piece;
    size_t len = in.len;
    enum ws_result result;
    uint16_t code;

    assert_non_null(piece);
    memcpy(piece, in.at, in.len);
    memset(piece + in.len, 0, WS_PADDING);
    result = ws_read(r, &usual, &at, &len, m, &code);
    assert_int_equal(len, 0);
    free(piece);
    return result;
}

static void holds_nothing_when_idle(void **state)
{
    int64_t before = mem_held();
    struct ws_reader r;
    struct ws_message m;
    struct buf in = {0};

    (void)state;
    ws_reader_init(&r);
    assert_true(ws_reader_is_idle(&r));
    assert_int_equal(feed(&r, BYTES("\x89"), &m), WS_MORE);
    assert_false(ws_reader_is_idle(&r));
    assert_int_equal(feed(&r, BYTES("\x82\1\2\3\4"), &m), WS_MORE);
    assert_false(ws_reader_is_idle(&r));
    assert_true(mem_held() == before);
    assert_int_equal(feed(&r, BYTES("q"), &m), WS_MORE);
    assert_true(mem_held() > before);
    assert_int_equal(feed(&r, BYTES("q"), &m), WS_MESSAGE);
    assert_true(mem_held() > before);
    assert_text(m.payload, BYTES("ps"), "ping");
    ws_reader_forget_taken(&r);
    assert_true(mem_held() == before);
    assert_int_equal(ws_read(&r, &usual, &(char *){NULL}, &(size_t){0}, &m, &(uint16_t){0}),
                     WS_MORE);
    assert_true(mem_held() == before);
    assert_true(ws_reader_is_idle(&r));

    add_frame(&in, WS_BINARY, BYTES("held"), 1);
    assert_int_equal(feed(&r, buf_bytes(&in), &m), WS_MORE);
    in.len = 0;
    assert_false(ws_reader_is_idle(&r));
    add_frame(&in, FIN, BYTES(" too"), 1);
    assert_int_equal(feed(&r, buf_bytes(&in), &m), WS_MESSAGE);
    assert_text(m.payload, BYTES("held too"), "message");
    buf_fini(&in);
    assert_true(mem_held() > before);
    assert_int_equal(feed(&r, bytes_of("", 0), &m), WS_MORE);
    assert_true(mem_held() == before);
    assert_true(ws_reader_is_idle(&r));
    ws_reader_fini(&r);
}

static void grows_with_what_arrived(void **state)
{
    static const uint8_t mask[4] = {0};
    enum { ANNOUNCED = 8 << 20, PIECE = 1000 };
    int64_t before = mem_held();
    struct ws_reader r;
    struct ws_message m;
    struct buf in = {0};
    char piece[PIECE] = {0};

    (void)state;
    ws_reader_init(&r);
    add_header(&in, FIN | WS_BINARY, ANNOUNCED, 8, mask);
    assert_int_equal(feed(&r, buf_bytes(&in), &m), WS_MORE);
    buf_fini(&in);
    assert_true(mem_held() == before);
    for (size_t sent = PIECE; sent < ANNOUNCED; sent += PIECE) {
        assert_int_equal(feed(&r, bytes_of(piece, PIECE), &m), WS_MORE);
        assert_true((size_t)(mem_held() - before) <= 2 * (sent + WS_PADDING) + 4096);
    }
    assert_int_equal(feed(&r, bytes_of(piece, ANNOUNCED % PIECE), &m), WS_MESSAGE);
    assert_int_equal(m.payload.len, ANNOUNCED);
    ws_reader_fini(&r);
    assert_true(mem_held() == before);
}

/* Bad text is refused when its first bad byte arrives, however much of the frame is missing. */
static void refuses_bad_text_at_once(void **state)
{
    static const uint8_t mask[4] = {0};
    struct ws_reader r;
    struct ws_message m;
    struct buf in = {0};
    uint16_t code;
    char *at;
    size_t len;

    (void)state;
    ws_reader_init(&r);
    add_header(&in, WS_TEXT, 1000, 2, mask);
    buf_add(&in, BYTES("abc\xED"));
    assert_int_equal(feed(&r, buf_bytes(&in), &m), WS_MORE);
    in.len = 0;
    buf_add(&in, BYTES("\xA0"));
    memset(buf_reserve(&in, WS_PADDING), 0, WS_PADDING);
    at = in.at;
    len = in.len;
    assert_int_equal(ws_read(&r, &usual, &at, &len, &m, &code), WS_BAD);
    assert_int_equal(code, WS_CLOSE_BAD_TEXT);
    ws_reader_fini(&r);
    buf_fini(&in);
}

/* One message in random fragments, control frames between them, and what should come out. */
static void add_random_message(struct buf *in, struct buf *wanted, struct dice *d)
{
    static const struct bytes characters[] = {B("a"), B("\xC3\xA4"), B("\xE2\x82\xAC"),
                                              B("\xF0\x9F\x98\x80")};
    bool text = dice_roll(d, 2);
    size_t len = dice_roll(d, dice_roll(d, 8) ? 300 : 70000), at = 0;
    int opcode = text ? WS_TEXT : WS_BINARY;
    struct buf body = {0};

    (void)buf_reserve(&body, len);
    while (body.len < len) {
        char random = (char)dice_roll(d, 256);

        buf_add(&body, text ? characters[dice_roll(d, COUNT(characters))] : bytes_of(&random, 1));
    }
    do {
        size_t left = body.len - at;
        size_t n = dice_roll(d, 2) ? left : dice_roll(d, left + 1);
        bool last = n == left && dice_roll(d, 4) > 0;

        add_frame(in, (last ? FIN : 0) | opcode, bytes_of(body.at + at, n),
                  (uint32_t)dice_roll(d, UINT32_MAX));
        opcode = WS_CONTINUATION;
        at += n;
        if (last)
            break;
        if (dice_roll(d, 3) == 0) {
            size_t ping_len = dice_roll(d, WS_CONTROL_MAX + 1);
            char ping[WS_CONTROL_MAX];
            struct ws_message m = {.opcode = WS_PING, .payload = {ping, ping_len}};

            for (size_t i = 0; i < sizeof ping; i++)
                ping[i] = (char)dice_roll(d, 256);
            add_frame(in, FIN | WS_PING, m.payload, (uint32_t)dice_roll(d, UINT32_MAX));
            describe(wanted, &m);
        }
    } while (true);
    describe(wanted, &(struct ws_message){.opcode = text ? WS_TEXT : WS_BINARY,
                                          .payload = buf_bytes(&body)});
    buf_fini(&body);
}

static void gives_back_what_was_framed(void **state)
{
    struct dice d = dice_new("ws random");

    (void)state;
    for (int i = 0; i < 300; i++) {
        struct buf in = {0}, wanted = {0}, got = {0};

        for (size_t n = 1 + dice_roll(&d, 5); n > 0; n--)
            add_random_message(&in, &wanted, &d);
        outcome_of_all(&got, buf_bytes(&in), &usual, &d);
        assert_text(buf_bytes(&got), buf_bytes(&wanted), "random frames");
        buf_fini(&in);
        buf_fini(&wanted);
        buf_fini(&got);
    }
}

static void says_the_same_of_spoilt_frames(void **state)
{
    static const struct ws_limits tight = {.message_bytes = 6, .empty_fragments = 1};
    struct dice d = dice_new("ws spoilt");

    (void)state;
    for (int i = 0; i < 30000; i++) {
        struct buf in = {0}, got = {0};

        for (int n = 0; n < 2; n++)
            add_stream(&in, streams[dice_roll(&d, COUNT(streams))].frames, &d);
        for (size_t n = dice_roll(&d, 3); n > 0; n--)
            in.at[dice_roll(&d, in.len)] ^= (char)(1 << dice_roll(&d, 8));
        outcome_of_all(&got, buf_bytes(&in), dice_roll(&d, 2) ? &usual : &tight, &d);
        buf_fini(&in);
        buf_fini(&got);
    }
}

static void writes_headers(void **state)
{
    static const struct {
        uint64_t len;
        struct bytes wanted;
    } table[] = {
        {0, B("\x82\x00")},
        {125, B("\x82\x7D")},
        {126, B("\x82\x7E\x00\x7E")},
        {65535, B("\x82\x7E\xFF\xFF")},
        {65536, B("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00")},
        {0x123456789A, B("\x82\x7F\x00\x00\x00\x12\x34\x56\x78\x9A")},
    };
    char out[WS_HEADER_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        size_t len = ws_write_header(out, WS_BINARY, table[i].len);

        assert_text(bytes_of(out, len), table[i].wanted, "header");
    }
    assert_int_equal(ws_write_header(out, WS_PONG, 1), 2);
    assert_int_equal((unsigned char)out[0], FIN | WS_PONG);
}

static void writes_close_frames(void **state)
{
    char out[WS_HEADER_MAX + WS_CONTROL_MAX];
    char reason[200];
    size_t len;

    (void)state;
    len = ws_write_close(out, 1000, bytes_of(NULL, 0));
    assert_text(bytes_of(out, len), BYTES("\x88\x02\x03\xE8"), "no reason");
    len = ws_write_close(out, 1013, BYTES("later"));
    assert_text(bytes_of(out, len), BYTES("\x88\x07\x03\xF5later"), "reason");
    len = ws_write_close(out, WS_CLOSE_NONE, BYTES("later"));
    assert_text(bytes_of(out, len), BYTES("\x88\x00"), "no code");

    memset(reason, 'a', sizeof reason);
    for (size_t n = 122; n <= 124; n++) {
        size_t kept = n < 123 ? n : 123;

        len = ws_write_close(out, 1000, bytes_of(reason, n));
        assert_int_equal(len, 4 + kept);
        assert_int_equal(out[1], 2 + (int)kept);
    }
    /* a character over the edge goes whole */
    for (size_t before = 0; before < 3; before++) {
        memset(reason, 'a', sizeof reason);
        memcpy(reason + 123 - before, "\xE2\x82\xAC", 3);
        len = ws_write_close(out, 1000, bytes_of(reason, 150));
        assert_int_equal(len, 4 + 123 - before);
    }
    memcpy(reason + 120, "\xE2\x82\xAC", 3);
    reason[123] = reason[124] = 'a';
    len = ws_write_close(out, 1000, bytes_of(reason, 150));
    assert_int_equal(len, 4 + 123);
}

static void accepts_keys(void **state)
{
    static const char *const bad[] = {
        "",
        "-GhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBsZSBub25jZQ= ",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBs SBub25jZQ==",
        "dGhlIHNhbXBs-SBub25jZQ==",
        "dGhlIHNhbXBs_SBub25jZQ==",
        "SGVsbG8sIHdvcmxkIQ==",
    };
    char out[WS_ACCEPT_TEXT + 1];

    (void)state;
    assert_int_equal(ws_accept_key(BYTES("dGhlIHNhbXBsZSBub25jZQ=="), out), ERR_OK);
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(ws_accept_key(BYTES("x3JJHMbDL1EzLkh9GBhXDw=="), out), ERR_OK);
    assert_string_equal(out, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    assert_int_equal(ws_accept_key(BYTES("+/+/+/+/+/+/+/+/+/+/+w=="), out), ERR_OK);
    assert_int_equal(strlen(out), WS_ACCEPT_TEXT);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(ws_accept_key(bytes_text(bad[i]), out), ERR_BAD);
    assert_int_equal(ws_accept_key(BYTES("dGhlIHNhbXB\0ZSBub25jZQ=="), out), ERR_BAD);
    assert_int_equal(ws_accept_key(bytes_of(NULL, 0), out), ERR_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_sent),
        cmocka_unit_test(refuses_unmasked_frames),
        cmocka_unit_test(wants_the_shortest_length),
        cmocka_unit_test(holds_the_control_limit),
        cmocka_unit_test(reads_close_frames),
        cmocka_unit_test(holds_the_message_limit),
        cmocka_unit_test(ends_a_full_message),
        cmocka_unit_test(holds_the_empty_fragment_limit),
        cmocka_unit_test(counts_an_empty_beginning),
        cmocka_unit_test(hands_out_in_place),
        cmocka_unit_test(holds_nothing_when_idle),
        cmocka_unit_test(grows_with_what_arrived),
        cmocka_unit_test(refuses_bad_text_at_once),
        cmocka_unit_test(gives_back_what_was_framed),
        cmocka_unit_test(says_the_same_of_spoilt_frames),
        cmocka_unit_test(writes_headers),
        cmocka_unit_test(writes_close_frames),
        cmocka_unit_test(accepts_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
