#include "wire/http1.h"

#include <regex.h>
#include "unit/wire/split.h"

#define B(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { LIMIT = 4096 };

struct outcome {
    enum http1_result result;
    struct http1_bad bad;
    struct buf data;
    size_t used;
};

/* Hands `in` over in pieces, each in memory of its own; a piece is emptied as the header says. */
static struct outcome outcome(struct bytes in, enum split how, struct dice *d)
{
    struct outcome o = {.result = HTTP1_MORE};
    struct http1_chunks chunks = {0};

    while (o.result == HTTP1_MORE && o.used < in.len) {
        size_t n = split_next(how, d, in.len - o.used);
        char *piece = malloc(n);
        struct bytes rest = {piece, n}, data;

        assert_non_null(piece);
        memcpy(piece, in.at + o.used, n);
        do {
            o.result = http1_read_chunk(&chunks, &rest, &data, &o.bad);
            if (o.result == HTTP1_BAD)
                break;
            assert_true(o.result == HTTP1_DONE || data.len > 0 || rest.len == 0);
            buf_add(&o.data, data);
        } while (o.result == HTTP1_MORE && rest.len > 0);
        o.used += n - rest.len;
        free(piece);
    }
    return o;
}

/* Whole, byte by byte and in random pieces alike. */
static struct outcome outcome_of_all(struct bytes in, struct dice *d)
{
    struct outcome whole = outcome(in, SPLIT_NEVER, d);

    for (int i = 0; i < 4; i++) {
        struct outcome split = outcome(in, i == 0 ? SPLIT_BYTES : SPLIT_RANDOM, d);

        if (split.result != whole.result || split.used != whole.used)
            fail_msg("%.*s\ndepends on the pieces", (int)in.len, in.at);
        if (whole.result == HTTP1_BAD) {
            assert_int_equal(split.bad.status, whole.bad.status);
            assert_string_equal(split.bad.why, whole.bad.why);
        }
        assert_text(buf_bytes(&split.data), buf_bytes(&whole.data), in.at);
        buf_fini(&split.data);
    }
    return whole;
}

static void takes_what_is_right(void **state)
{
    static const struct {
        struct bytes in, data;
        size_t rest;
    } table[] = {
        {B("0\r\n\r\n"), B(""), 0},
        {B("000\r\n\r\n"), B(""), 0},
        {B("5\r\nhello\r\n0\r\n\r\n"), B("hello"), 0},
        {B("5\r\nhello\r\n0\r\n\r\nGET /"), B("hello"), 5},
        {B("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), B("abc"), 0},
        {B("a\r\n0123456789\r\n0\r\n\r\n"), B("0123456789"), 0},
        {B("00000000000000A\r\n0123456789\r\n0\r\n\r\n"), B("0123456789"), 0},
        {B("000000000000000A\r\n0123456789\r\n0\r\n\r\n"), B("0123456789"), 0},
        {B("4\r\n\r\n\r\n\r\n0\r\n\r\n"), B("\r\n\r\n"), 0},
        {B("3;a\r\nabc\r\n0;x\r\n\r\n"), B("abc"), 0},
        {B("3;a;b;!#$%&'*+-.^_`|~=~\r\nabc\r\n0\r\n\r\n"), B("abc"), 0},
        {B("3;a=\"\";b=\"\\\"\\\\\";c=\"\t\x80;=\"\r\nabc\r\n0\r\n\r\n"), B("abc"), 0},
        {B("3 ; a\t=\tb \t; c = \"d\" ;e\r\nabc\r\n0\r\n\r\n"), B("abc"), 0},
        {B("3;a ;b\r\nabc\r\n0\r\n\r\n"), B("abc"), 0},
        {B("3;a=b;c=\"d e\"\r\nabc\r\n0\r\n\r\n"), B("abc"), 0},
        {B("3 \t;\ta\r\nabc\r\n0\r\n\r\n"), B("abc"), 0},
        {B("0\r\nA: b\r\n\r\n"), B(""), 0},
        {B("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nrest"), B("x"), 4},
    };
    struct dice d = dice_new("chunks accepted");

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct outcome o = outcome_of_all(table[i].in, &d);

        assert_int_equal(o.result, HTTP1_DONE);
        assert_text(buf_bytes(&o.data), table[i].data, table[i].in.at);
        assert_int_equal(o.used, table[i].in.len - table[i].rest);
        buf_fini(&o.data);
        for (size_t n = 0; n < table[i].in.len - table[i].rest; n++) {
            o = outcome(bytes_of(table[i].in.at, n), SPLIT_NEVER, &d);
            assert_int_equal(o.result, HTTP1_MORE);
            buf_fini(&o.data);
        }
    }
}

static const struct bytes refused[] = {
    B("\r\n"),
    B("\n"),
    B(" 0\r\n"),
    B(";a\r\n"),
    B("g\r\n"),
    B("-1\r\n"),
    B("+1\r\n"),
    B("0x1\r\n"),
    B("1\n"),
    B("1\r\r\n"),
    B("1 \r\n"),
    B("1 1\r\n"),
    B("1,\r\n"),
    B("1\0"),
    B("1;a\n"),
    B("1;\0"),
    B("1;a\x7F"),
    B("1;a\rb"),
    B("1;\r"),
    B("1; \r"),
    B("1;;"),
    B("1;=a"),
    B("1;\"a\""),
    B("1;a=\r"),
    B("1;a==b"),
    B("1;a=;"),
    B("1;a=b=c"),
    B("1;a=b\"c\""),
    B("1;a=\"b\"c"),
    B("1;a=\"b\r"),
    B("1;a=\"b\\\r"),
    B("1;a=\"\x7F"),
    B("1;a b"),
    B("1;a=b c"),
    B("1;a,b"),
    B("1;a/b"),
    B("1;\x80"),
    B("1;a=\x80"),
    B("1;a \r"),
    B("1;a=b \r"),
    B("1;a=\"b\"\t\r"),
    B("10000000000000000\r\n"),
    B("00000000000000000\r\n"),
    B("3\r\nabcd"),
    B("3\r\nabc\n"),
    B("3\r\nabc\rx"),
    B("3\r\nabc\r\n\r\n"),
    B("3\r\nabc3\r\n"),
    B("0\r\n\n"),
    B("0\r\n\rx"),
    B("0\r\n A: b\r\n"),
    B("0\r\n: b\r\n"),
    B("0\r\nA\r\n"),
    B("0\r\nA b: c\r\n"),
    B("0\r\nA : b\r\n"),
    B("0\r\nA\t: b\r\n"),
    B("0\r\nGET / HTTP/1.1\r\n"),
    B("0\r\nA: b\n"),
    B("0\r\nA: b\r\r\n"),
    B("0\r\nA: b\r\n c\r\n"),
    B("0\r\nA: \0"),
    B("0\r\nA: b\x1B"),
};

static void refuses_what_is_wrong(void **state)
{
    struct dice d = dice_new("chunks refused");

    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct outcome o = outcome_of_all(refused[i], &d);

        if (o.result != HTTP1_BAD || o.bad.status != 400)
            fail_msg("%s", refused[i].at);
        buf_fini(&o.data);
    }
}

static void takes_any_size_of_64_bits(void **state)
{
    struct dice d = dice_new("chunks largest");
    struct outcome o = outcome_of_all(bytes_text("ffffffffffffffff\r\nabc"), &d);

    (void)state;
    assert_int_equal(o.result, HTTP1_MORE);
    assert_text(buf_bytes(&o.data), BYTES("abc"), "largest chunk");
    buf_fini(&o.data);
}

/* Nothing is known of a size before its line is whole: the next byte may be another digit, or none.
 */
static void tells_what_is_left_of_a_chunk(void **state)
{
    struct bytes in = BYTES("123;a\r\n"), data;
    struct http1_chunks chunks = {0};
    struct http1_bad bad;

    (void)state;
    for (size_t i = 0; i < in.len; i++) {
        struct bytes one = bytes_of(in.at + i, 1);

        assert_int_equal(http1_chunk_left(&chunks), 0);
        assert_int_equal(http1_read_chunk(&chunks, &one, &data, &bad), HTTP1_MORE);
    }
    assert_int_equal(http1_chunk_left(&chunks), 0x123);
    in = BYTES("abc");
    assert_int_equal(http1_read_chunk(&chunks, &in, &data, &bad), HTTP1_MORE);
    assert_int_equal(http1_chunk_left(&chunks), 0x120);
}

static void fill(struct buf *out, size_t n)
{
    memset(buf_reserve(out, n), 'a', n);
    out->len += n;
}

static void end_is(struct buf *in, int status, struct dice *d)
{
    struct outcome o = outcome_of_all(buf_bytes(in), d);

    if (status) {
        assert_int_equal(o.result, HTTP1_BAD);
        assert_int_equal(o.bad.status, status);
    } else {
        assert_int_equal(o.result, HTTP1_DONE);
    }
    buf_fini(&o.data);
    buf_fini(in);
}

/* In one chunk and summed over two, white space included. */
static void holds_the_extension_limit(void **state)
{
    struct dice d = dice_new("chunks extensions");

    (void)state;
    for (int more = -1; more <= 1; more++) {
        size_t len = (size_t)(LIMIT + more);
        struct buf in = {0};

        buf_add(&in, BYTES("1;"));
        fill(&in, len - 1);
        buf_add(&in, BYTES("\r\nx\r\n0\r\n\r\n"));
        end_is(&in, more > 0 ? 400 : 0, &d);

        buf_add(&in, BYTES("1;"));
        fill(&in, len / 2 - 1);
        buf_add(&in, BYTES("\r\nx\r\n0;"));
        fill(&in, len - len / 2 - 1);
        buf_add(&in, BYTES("\r\n\r\n"));
        end_is(&in, more > 0 ? 400 : 0, &d);

        buf_add(&in, BYTES("0"));
        for (size_t i = 2; i < len; i++)
            buf_add_char(&in, ' ');
        buf_add(&in, BYTES(";a\r\n\r\n"));
        end_is(&in, more > 0 ? 400 : 0, &d);
    }
}

/* RFC 9112, section 7.1.1, as a regular expression; without bytes that no random text here has. */
#define BWS   "[ \t]*"
#define NAME  "[xy]+"
#define VALUE "(" NAME "|\"([^\"\\\x01]|\\\\[^\x01])*\")"

static void takes_extensions_by_their_grammar(void **state)
{
    static const char bytes[] = ";;;===  \txyxy\"\"\"\\,\x01";
    struct dice d = dice_new("chunks grammar");
    int good = 0;
    regex_t grammar;

    (void)state;
    assert_int_equal(regcomp(&grammar, "^(" BWS ";" BWS NAME "(" BWS "=" BWS VALUE ")?)*$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    for (int i = 0; i < 60000; i++) {
        size_t len = dice_roll(&d, 14);
        struct buf in = {0};
        struct outcome o;
        bool is_good;

        buf_add_char(&in, '0');
        for (size_t n = 0; n < len; n++)
            buf_add_char(&in,
                         n == 0 && dice_roll(&d, 2) ? ';' : bytes[dice_roll(&d, sizeof bytes - 1)]);
        buf_add_char(&in, '\0');
        is_good = regexec(&grammar, in.at + 1, 0, NULL, 0) == 0;
        good += is_good;
        in.len--;
        buf_add(&in, BYTES("\r\n\r\n"));
        o = outcome_of_all(buf_bytes(&in), &d);
        if (o.result != (is_good ? HTTP1_DONE : HTTP1_BAD))
            fail_msg("%.*s", (int)in.len, in.at);
        buf_fini(&o.data);
        buf_fini(&in);
    }
    assert_true(good > 4000);
    regfree(&grammar);
}

/* Bytes of all trailer lines with their CRLFs. */
static void holds_the_trailer_limit(void **state)
{
    struct dice d = dice_new("chunks trailer");

    (void)state;
    for (int more = -1; more <= 1; more++) {
        size_t len = (size_t)(LIMIT + more);
        struct buf in = {0};

        buf_add(&in, BYTES("0\r\nA:"));
        fill(&in, len - 4);
        buf_add(&in, BYTES("\r\n\r\n"));
        end_is(&in, more > 0 ? 431 : 0, &d);

        buf_add(&in, BYTES("0\r\nA:\r\nB:"));
        fill(&in, len - 8);
        buf_add(&in, BYTES("\r\n\r\n"));
        end_is(&in, more > 0 ? 431 : 0, &d);

        buf_add(&in, BYTES("0\r\n"));
        for (size_t i = 0; i < len / 4 - 1; i++)
            buf_add(&in, BYTES("A:\r\n"));
        buf_add(&in, bytes_of("A:aaa", 2 + len % 4));
        buf_add(&in, BYTES("\r\n\r\n"));
        end_is(&in, more > 0 ? 431 : 0, &d);
    }
}

/* A random body in random chunks, with the body itself. */
static void encode(struct buf *in, struct buf *body, struct dice *d)
{
    static const char *const extensions[] = {"", "", ";a", " ; b=\"c\""};

    for (size_t left = dice_roll(d, 20); left > 0; left--) {
        size_t n = 1 + dice_roll(d, dice_roll(d, 4) ? 20 : 5000);

        buf_printf(in, "%zx%s\r\n", n, extensions[dice_roll(d, COUNT(extensions))]);
        while (n-- > 0) {
            char c = (char)dice_roll(d, 256);

            buf_add_char(in, c);
            buf_add_char(body, c);
        }
        buf_add(in, BYTES("\r\n"));
    }
    buf_add(in, dice_roll(d, 2) ? BYTES("0\r\n\r\n") : BYTES("0\r\nA: b\r\n\r\n"));
}

static void gives_back_what_was_cut(void **state)
{
    struct dice d = dice_new("chunks random");

    (void)state;
    for (int i = 0; i < 300; i++) {
        struct buf in = {0}, body = {0};
        struct outcome o;

        encode(&in, &body, &d);
        o = outcome_of_all(buf_bytes(&in), &d);
        assert_int_equal(o.result, HTTP1_DONE);
        assert_int_equal(o.used, in.len);
        assert_text(buf_bytes(&o.data), buf_bytes(&body), "random chunks");
        buf_fini(&in);
        buf_fini(&body);
        buf_fini(&o.data);
    }
}

static void says_the_same_of_spoilt_bodies(void **state)
{
    static const char bytes[] = "\r\n ;:019afG\0\x7F";
    static const char body[] =
        "3;a\r\nabc\r\n11\r\n0123456789abcdef0\r\n0 ;b\r\nA: b\r\nC:\r\n\r\nx";
    struct dice d = dice_new("chunks spoilt");

    (void)state;
    for (int i = 0; i < 30000; i++) {
        char spoilt[sizeof body];
        struct outcome o;

        memcpy(spoilt, body, sizeof body);
        for (size_t n = 1 + dice_roll(&d, 3); n > 0; n--)
            spoilt[dice_roll(&d, sizeof body - 1)] = bytes[dice_roll(&d, sizeof bytes - 1)];
        o = outcome_of_all(bytes_of(spoilt, sizeof body - 1), &d);
        buf_fini(&o.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(takes_any_size_of_64_bits),
        cmocka_unit_test(tells_what_is_left_of_a_chunk),
        cmocka_unit_test(holds_the_extension_limit),
        cmocka_unit_test(takes_extensions_by_their_grammar),
        cmocka_unit_test(holds_the_trailer_limit),
        cmocka_unit_test(gives_back_what_was_cut),
        cmocka_unit_test(says_the_same_of_spoilt_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
