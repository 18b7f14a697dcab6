#include "wire/json.h"

#include "base/mem.h"
#include "unit/wire/padded.h"
#include "wire/json_values.h"

enum { DEPTH = 64 };

static struct json *parser;
static struct bytes kept; /* the last text */

static int open_parser(void **state)
{
    (void)state;
    json_free(NULL);
    parser = json_new(DEPTH);
    return 0;
}

static int close_parser(void **state)
{
    (void)state;
    json_free(parser);
    padded_free(kept);
    kept = (struct bytes){0};
    return 0;
}

static enum err parse(struct bytes text, struct json_value *root, struct problem *why)
{
    padded_free(kept);
    kept = padded(text);
    return json_parse(parser, kept, root, why);
}

static struct json_value good(struct bytes text)
{
    struct json_value root;
    struct problem why;

    if (parse(text, &root, &why))
        fail_msg("refused: %.*s\n  %s", (int)text.len, text.at, why.text);
    return root;
}

static void bad(struct bytes text, const char *wanted)
{
    struct json_value root;
    struct problem why = {0};
    enum err e = parse(text, &root, &why);

    if (e != ERR_BAD || why.code != ERR_BAD)
        fail_msg("not refused as it should: %.*s", (int)text.len, text.at);
    assert_text(bytes_text(why.text), bytes_text(wanted), text.at);
    assert_int_equal(json_type(root), JSON_ABSENT);
}

static void test_types(void **state)
{
    (void)state;
    assert_int_equal(json_type((struct json_value){0}), JSON_ABSENT);
    assert_int_equal(json_type(good(BYTES("null"))), JSON_NULL);
    assert_int_equal(json_type(good(BYTES(" true "))), JSON_BOOL);
    assert_true(json_bool(good(BYTES("true"))));
    assert_int_equal(json_type(good(BYTES("\r\n\tfalse"))), JSON_BOOL);
    assert_false(json_bool(good(BYTES("false"))));
    assert_int_equal(json_type(good(BYTES("1"))), JSON_NUMBER);
    assert_int_equal(json_type(good(BYTES("1.5"))), JSON_NUMBER);
    assert_int_equal(json_type(good(BYTES("18446744073709551615"))), JSON_NUMBER);
    assert_int_equal(json_type(good(BYTES("\"\""))), JSON_STRING);
    assert_int_equal(json_type(good(BYTES("[]"))), JSON_ARRAY);
    assert_int_equal(json_type(good(BYTES("{}"))), JSON_OBJECT);
    assert_string_equal(json_type_name(JSON_STRING), "string");
    assert_string_equal(json_type_name(JSON_BOOL), "boolean");
    assert_string_equal(json_type_name(JSON_NULL), "null");
}

static void test_strings_are_unescaped(void **state)
{
    (void)state;
    assert_text(json_string(good(BYTES("\"plain\""))), BYTES("plain"), "plain");
    assert_text(json_string(good(BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""))),
                BYTES("\"\\/\b\f\n\r\t"), "short escapes");
    assert_text(json_string(good(BYTES("\"a\\u0000b\""))), BYTES("a\0b"), "zero");
    assert_text(json_string(good(BYTES("\"\\u00e9\\u20AC\\uD83D\\uDE00\""))),
                BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "code points");
    assert_text(json_string(good(BYTES("\"\x7f\xc2\x80\xef\xbb\xbf\""))),
                BYTES("\x7f\xc2\x80\xef\xbb\xbf"), "as they are");
}

static void whole_number(const char *text, bool fits, int64_t wanted)
{
    int64_t n = 42;

    assert_int_equal(json_int(good(bytes_text(text)), &n), fits);
    assert_true(n == (fits ? wanted : 42));
}

static void test_whole_numbers(void **state)
{
    (void)state;
    whole_number("0", true, 0);
    whole_number("-0", true, 0);
    whole_number("7", true, 7);
    whole_number("9223372036854775807", true, INT64_MAX);
    whole_number("9223372036854775808", false, 0);
    whole_number("18446744073709551615", false, 0);
    whole_number("-9223372036854775808", true, INT64_MIN);
    whole_number("1.0", false, 0);
    whole_number("1e2", false, 0);
    whole_number("\"1\"", false, 0);
    whole_number("true", false, 0);
    whole_number("null", false, 0);
}

static void test_numbers_of_any_length_are_taken(void **state)
{
    char text[2000];

    (void)state;
    memset(text, '1', sizeof(text));
    text[1] = '.';
    good(bytes_of(text, sizeof(text)));
    good(BYTES("-1.5E-999"));
    good(BYTES("0e999"));
    good(BYTES("0.00000e99999999999999999999"));
    good(BYTES("1.7976931348623157e308"));
}

static void test_pick(void **state)
{
    static const char *const names[] = {"a", "ab", "missing", "c", ""};
    struct json_value v[5];
    int64_t n = 0;

    (void)state;
    json_pick(good(BYTES("{\"c\":null,\"x\":{\"a\":9,\"missing\":1},\"ab\":[1,{\"c\":2}],"
                         "\"a\\u0000\":8,\"\":3,\"\\u0061\":1,\"aba\":5}")),
              names, v, 5);
    assert_true(json_int(v[0], &n) && n == 1);
    assert_int_equal(json_type(v[1]), JSON_ARRAY);
    assert_int_equal(json_count(v[1]), 2);
    assert_int_equal(json_type(v[2]), JSON_ABSENT);
    assert_int_equal(json_type(v[3]), JSON_NULL);
    assert_true(json_int(v[4], &n) && n == 3);

    json_pick(good(BYTES("[\"a\",1]")), names, v, 4);
    assert_int_equal(json_type(v[0]), JSON_ABSENT);
    json_pick(good(BYTES("\"a\"")), names, v, 4);
    assert_int_equal(json_type(v[0]), JSON_ABSENT);
    json_pick((struct json_value){0}, names, v, 4);
    assert_int_equal(json_type(v[0]), JSON_ABSENT);
}

static void test_items(void **state)
{
    static const enum json_type wanted[] = {JSON_NUMBER, JSON_NUMBER, JSON_NUMBER, JSON_ARRAY,
                                            JSON_OBJECT, JSON_STRING, JSON_NULL,   JSON_BOOL};
    struct json_items it;
    struct json_value v, root;
    size_t i = 0;

    (void)state;
    root = good(BYTES("[1, 2.5, 18446744073709551615, [[],[3]], {\"a\":{}}, \"s\", null, true]"));
    assert_int_equal(json_count(root), 8);
    for (it = json_items(root); json_next(&it, &v); i++)
        assert_int_equal(json_type(v), wanted[i]);
    assert_int_equal(i, 8);
    assert_false(json_next(&it, &v));

    root = good(BYTES(" [ ] "));
    it = json_items(root);
    assert_false(json_next(&it, &v));
    assert_int_equal(json_count(root), 0);
}

static void test_refusals_say_where(void **state)
{
    (void)state;
    bad((struct bytes){0}, "line 1, column 1: expected a value, found the end");
    bad(BYTES(""), "line 1, column 1: expected a value, found the end");
    bad(BYTES(" \n "), "line 2, column 2: expected a value, found the end");
    bad(BYTES("\xef\xbb\xbf{}"), "line 1, column 1: expected a value");
    bad(BYTES("{} x"), "line 1, column 4: expected the end of the text");
    bad(BYTES("1 2"), "line 1, column 3: expected the end of the text");
    bad(BYTES("{}\xff"), "line 1, column 3: expected the end of the text");
    bad(BYTES("1\0"), "line 1, column 2: expected the end of the text");
    bad(BYTES("{\"a\":1"), "line 1, column 7: expected ',' or '}', found the end");
    bad(BYTES("{\"a\":1,}"), "line 1, column 8: expected a key in double quotes");
    bad(BYTES("{,}"), "line 1, column 2: expected a key in double quotes or '}'");
    bad(BYTES("{\"a\" 1}"), "line 1, column 6: expected ':' after a key");
    bad(BYTES("{\"a\":}"), "line 1, column 6: expected a value");
    bad(BYTES("{a:1}"), "line 1, column 2: expected a key in double quotes or '}'");
    bad(BYTES("{1:1}"), "line 1, column 2: expected a key in double quotes or '}'");
    bad(BYTES("{\"a\":1 \"b\":2}"), "line 1, column 8: expected ',' or '}'");
    bad(BYTES("{\"a\":1]"), "line 1, column 7: expected ',' or '}'");
    bad(BYTES("[1}"), "line 1, column 3: expected ',' or ']'");
    bad(BYTES("[1,]"), "line 1, column 4: expected a value");
    bad(BYTES("[,1]"), "line 1, column 2: expected a value or ']'");
    bad(BYTES("[1 2]"), "line 1, column 4: expected ',' or ']'");
    bad(BYTES("["), "line 1, column 2: expected a value or ']', found the end");
    bad(BYTES("]"), "line 1, column 1: expected a value");
    bad(BYTES("'a'"), "line 1, column 1: expected a value");
    bad(BYTES("\f1"), "line 1, column 1: expected a value");
    bad(BYTES("{\n  \"a\": 1,\n  \"\xc3\xa9\": x\n}"),
        "line 3, column 9: an unknown word; the words are true, false and null");
    bad(BYTES("tru"), "line 1, column 1: an unknown word; the words are true, false and null");
    bad(BYTES("[truex]"), "line 1, column 6: expected ',' or ']'");
    bad(BYTES("NaN"), "line 1, column 1: expected a value");
}

static void test_bad_numbers(void **state)
{
    (void)state;
    bad(BYTES("[01]"), "line 1, column 2: a number with a leading zero");
    bad(BYTES("[-01]"), "line 1, column 2: a number with a leading zero");
    bad(BYTES("[1.]"), "line 1, column 4: a digit behind the point is missing");
    bad(BYTES(".5"), "line 1, column 1: expected a value");
    bad(BYTES("+1"), "line 1, column 1: expected a value");
    bad(BYTES("-"), "line 1, column 2: a digit is missing");
    bad(BYTES("[-x]"), "line 1, column 3: a digit is missing");
    bad(BYTES("1e"), "line 1, column 3: a digit of the exponent is missing");
    bad(BYTES("1e+"), "line 1, column 4: a digit of the exponent is missing");
    bad(BYTES("[1.5.2]"), "line 1, column 5: expected ',' or ']'");
    bad(BYTES("[1a]"), "line 1, column 3: expected ',' or ']'");
    bad(BYTES("[0x1]"), "line 1, column 3: expected ',' or ']'");
    bad(BYTES("[5, 18446744073709551616]"),
        "line 1, column 5: a whole number of more than 64 bits");
    bad(BYTES("-9223372036854775809"), "line 1, column 1: a whole number of more than 64 bits");
    bad(BYTES("[1, 1e309]"), "line 1, column 5: a number out of range");
    bad(BYTES("[1, -0.001e312]"), "line 1, column 5: a number out of range");
    bad(BYTES("[1, 1.8e308]"), "line 1, column 5: a number out of range");
    bad(BYTES("1e99999999999999999999"), "line 1, column 1: a number out of range");
}

static void test_bad_strings(void **state)
{
    (void)state;
    bad(BYTES("[\"abc]"), "line 1, column 2: a string that does not end");
    bad(BYTES("[\"abc\\"), "line 1, column 2: a string that does not end");
    bad(BYTES("\"abc\\\""), "line 1, column 1: a string that does not end");
    bad(BYTES("\"a\x01\""), "line 1, column 3: a control character in a string must be escaped");
    bad(BYTES("\"a\tb\""), "line 1, column 3: a control character in a string must be escaped");
    bad(BYTES("\"a\nb\""), "line 1, column 3: a control character in a string must be escaped");
    bad(BYTES("\"a\0b\""), "line 1, column 3: a control character in a string must be escaped");
    bad(BYTES("\"\\x41\""), "line 1, column 2: an unknown escape in a string");
    bad(BYTES("\"\\u12g4\""), "line 1, column 2: \\u needs four hexadecimal digits");
    bad(BYTES("\"\\u123"), "line 1, column 2: \\u needs four hexadecimal digits");
    bad(BYTES("\"a\xc0\x80\""), "line 1, column 3: invalid UTF-8");
    bad(BYTES("\"\xed\xa0\x80\""), "line 1, column 2: invalid UTF-8");
    bad(BYTES("\"\xf5\x80\x80\x80\""), "line 1, column 2: invalid UTF-8");
    bad(BYTES("\"\x80\""), "line 1, column 2: invalid UTF-8");
    bad(BYTES("{\"\xe2\x82\":1}"), "line 1, column 3: invalid UTF-8");
    bad(BYTES("\"\xe2\x82"), "line 1, column 2: invalid UTF-8");
}

static void test_lone_surrogates(void **state)
{
    static const char *const halves[] = {
        "\\ud800",        "\\udbff",        "\\udc00",        "\\uDFFF",         "\\ud800x",
        "\\ud800\\n",     "\\ud800\\ud800", "\\ud800\\u0041", "\\udc00\\ud800",  "\\ud800\\u",
        "\\uD83D\\uDBFF", "\\uD83D\\uE000", "\\udc00abcdef",  "\\ud83d \\ude00",
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        snprintf(text, sizeof(text), "[\"ok\\ud83d\\ude00%s\"]", halves[i]);
        bad(bytes_text(text), "line 1, column 17: half of a surrogate pair");
        snprintf(text, sizeof(text), "{\"%s\":1}", halves[i]);
        bad(bytes_text(text), "line 1, column 3: half of a surrogate pair");
    }
    good(BYTES("[\"\\ud7ff\\ue000\\ud800\\udc00\\udbff\\udfff\"]"));
}

/* levels of arrays, of objects, or of both in turn, around what stands inside. */
static struct bytes nest(char *out, size_t levels, int shape, const char *inside)
{
    size_t len = 0;

    for (size_t i = 0; i < levels; i++) {
        bool object = shape == 1 || (shape == 2 && i % 2);
        const char *open = object ? "{\"k\":" : "[";

        if (object && i + 1 == levels && !*inside)
            open = "{";
        memcpy(out + len, open, strlen(open));
        len += strlen(open);
    }
    memcpy(out + len, inside, strlen(inside));
    len += strlen(inside);
    for (size_t i = levels; i-- > 0;)
        out[len++] = shape == 1 || (shape == 2 && i % 2) ? '}' : ']';
    return bytes_of(out, len);
}

static void test_depth(void **state)
{
    static const char *const inside[] = {"", "1", "\"s\""};
    static const char *const wanted[] = {
        "line 1, column 65: nested deeper than pushca.limits.json-depth allows",
        "line 1, column 321: nested deeper than pushca.limits.json-depth allows",
        "line 1, column 193: nested deeper than pushca.limits.json-depth allows",
    };
    char text[1000];

    (void)state;
    for (int shape = 0; shape < 3; shape++) {
        for (size_t i = 0; i < 3; i++) {
            good(nest(text, DEPTH - 1, shape, inside[i]));
            good(nest(text, DEPTH, shape, inside[i]));
            bad(nest(text, DEPTH + 1, shape, inside[i]), wanted[shape]);
            bad(nest(text, DEPTH + 2, shape, inside[i]), wanted[shape]);
        }
    }
    bad(BYTES("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
        wanted[0]);
}

static void test_other_depths(void **state)
{
    struct json_value root;
    struct problem why;
    char text[5000];

    (void)state;
    for (size_t depth = 1; depth < 600; depth += 37) {
        struct json *j = json_new(depth);

        for (size_t more = 0; more < 2; more++) {
            struct bytes t = padded(nest(text, depth + more, 0, ""));

            assert_int_equal(json_parse(j, t, &root, &why), more ? ERR_BAD : ERR_OK);
            padded_free(t);
        }
        json_free(j);
    }
}

/* Without recursion a text of brackets alone costs no stack. */
static void test_a_million_brackets(void **state)
{
    enum { MANY = 1000000 };
    char *text = malloc(MANY);

    (void)state;
    assert_non_null(text);
    memset(text, '[', MANY);
    bad(bytes_of(text, MANY),
        "line 1, column 65: nested deeper than pushca.limits.json-depth allows");
    free(text);
}

static void test_duplicate_keys(void **state)
{
    (void)state;
    bad(BYTES("{\"a\":1,\"a\":1}"), "line 1, column 8: the key \"a\" is there twice");
    bad(BYTES("{\"a\":1,\"\\u0061\":2}"), "line 1, column 8: the key \"a\" is there twice");
    bad(BYTES("{\"\":1,\"b\":0,\"\":2}"), "line 1, column 13: the key \"\" is there twice");
    bad(BYTES("{\"a\":[\"a\",{\"b\":\"\\\"\\\\\",\n \"c\":1.5,\"b\":18446744073709551615}]}"),
        "line 2, column 10: the key \"b\" is there twice");
    bad(BYTES("[{},[{\"x\":{\"y\":1,\"z\":2,\"y\":3}}]]"),
        "line 1, column 24: the key \"y\" is there twice");
    bad(BYTES("{\"a\":{\"b\":1},\"c\":2,\"a\":3}"),
        "line 1, column 20: the key \"a\" is there twice");
    good(BYTES(
        "{\"a\":{\"a\":{\"a\":1}},\"A\":1,\"aa\":[\"a\",\"a\",{\"a\":\"a\"},{\"a\":\"a\"}]}"));
    good(BYTES("{\"a\":1,\"a\\u0000\":2,\"a\\u0000b\":3}"));
    good(BYTES("{\"\xc3\xa9\":1,\"e\\u0301\":2}")); /* no normalisation: other bytes, other key */
}

static void test_long_keys_are_cut_in_messages(void **state)
{
    char key[201] = "", text[500], wanted[200];

    (void)state;
    memset(key, 'k', 200);
    snprintf(text, sizeof(text), "{\"%s\":1,\"%s\":1}", key, key);
    snprintf(wanted, sizeof(wanted), "line 1, column 207: the key \"%.40s\" is there twice", key);
    bad(bytes_text(text), wanted);
    memcpy(key + 38, "\xe2\x82\xac\xe2\x82\xac", 6); /* the cut falls inside the first */
    snprintf(text, sizeof(text), "{\"%s\":1,\"%s\":1}", key, key);
    snprintf(wanted, sizeof(wanted), "line 1, column 207: the key \"%.38s\" is there twice", key);
    bad(bytes_text(text), wanted);
}

/* count different keys; the one numbered again, from 0, is repeated at the end when again < count.
 */
static void many_keys(struct buf *out, size_t count, size_t again)
{
    out->len = 0;
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s\"key%zu\":%zu", i ? "," : "{", i, i);
    if (again < count)
        buf_printf(out, ",\"key%zu\":0", again);
    buf_add_char(out, '}');
}

static void test_many_keys(void **state)
{
    static const size_t counts[] = {2, 8, 15, 16, 17, 31, 32, 33, 1000, 100000};
    struct dice dice = dice_new("many keys");
    struct buf text = {0};
    char wanted[100];

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        size_t picks[] = {0, counts[i] - 1, dice_roll(&dice, counts[i])};

        many_keys(&text, counts[i], counts[i]);
        good(buf_bytes(&text));
        for (size_t k = 0; k < 3; k++) {
            size_t begin;

            many_keys(&text, counts[i], counts[i]);
            begin = text.len + 1; /* column behind the comma to come */
            many_keys(&text, counts[i], picks[k]);
            snprintf(wanted, sizeof(wanted),
                     "line 1, column %zu: the key \"key%zu\" is there twice", begin, picks[k]);
            bad(buf_bytes(&text), wanted);
        }
    }
    buf_fini(&text);
}

/* No byte behind the text counts, though it would complete it. */
static void test_what_is_behind_does_not_count(void **state)
{
    struct bytes whole = BYTES("{\"key\":[true,-12.5e3,\"s\\u00e9\\ud83d\\ude00\"],\"n\":null}");
    struct json_value root;
    struct problem why;

    (void)state;
    for (size_t n = 0; n <= whole.len; n++) {
        struct bytes behind = n < whole.len ? bytes_of(whole.at + n, whole.len - n) : BYTES("}");
        struct bytes text = padded_with(bytes_of(whole.at, n), behind);

        assert_int_equal(json_parse(parser, text, &root, &why), n < whole.len ? ERR_BAD : ERR_OK);
        padded_free(text);
    }
    root = good(BYTES("12")); /* digits may follow */
    {
        struct bytes text = padded_with(BYTES("12"), BYTES("34"));
        int64_t n = 0;

        assert_int_equal(json_parse(parser, text, &root, &why), ERR_OK);
        assert_true(json_int(root, &n) && n == 12);
        padded_free(text);
    }
}

/* Texts around the sizes at which buffers grow and at which they are given back. */
static void test_texts_of_many_sizes(void **state)
{
    static const size_t sizes[] = {2,      4095,   4096,    4097,   5000, 262143,
                                   262144, 262145, 3000000, 300000, 17,   262144};
    struct buf text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct bytes got;

        text.len = 0;
        buf_add_char(&text, '"');
        memset(buf_reserve(&text, sizes[i] - 2), 'x', sizes[i] - 2);
        text.len += sizes[i] - 2;
        buf_add_char(&text, '"');
        got = json_string(good(buf_bytes(&text)));
        assert_text(got, bytes_of(text.at + 1, sizes[i] - 2), "string");
        text.at[text.len - 1] = 'x'; /* and a failure of that size */
        bad(buf_bytes(&text), "line 1, column 1: a string that does not end");
    }
    buf_fini(&text);
}

static void test_array_longer_than_the_tape_counts(void **state)
{
    enum { MANY = (1 << 24) + 3 };
    struct buf text = {0};
    char *to = buf_reserve(&text, 2 * MANY + 1);

    (void)state;
    *to++ = '[';
    for (size_t i = 0; i < MANY; i++) {
        *to++ = '1';
        *to++ = i + 1 < MANY ? ',' : ']';
    }
    text.len = 2 * MANY + 1;
    assert_int_equal(json_count(good(buf_bytes(&text))), MANY);
    buf_fini(&text);
}

/* A text of so many values: a root with the others in it, of all kinds. */
static struct bytes text_of_values(struct buf *out, int count)
{
    static const char *const kinds[] = {
        "1", "\"a,[\\\"{,\"", "[]", "{ }", "null", "[ \n]", "\"\"", "-1", "2.5e-1",
    };
    static const int kinds_len = sizeof(kinds) / sizeof(kinds[0]);

    out->len = 0;
    buf_add_char(out, '[');
    for (int i = 1; i < count; i++) {
        if (i > 1)
            buf_add(out, i % 4 ? BYTES(",") : BYTES(", "));
        buf_add(out, bytes_text(kinds[i % kinds_len]));
    }
    buf_add_char(out, ']');
    return buf_bytes(out);
}

static void test_limit_of_values(void **state)
{
    struct buf text = {0};

    (void)state;
    json_limit_values(parser, 1000);
    (void)good(text_of_values(&text, 999));
    (void)good(text_of_values(&text, 1000));
    bad(text_of_values(&text, 1001), "more values than pushca.limits.json-values (1000) allows");
    json_limit_values(parser, 3);
    (void)good(BYTES("{\"a\":1,\"b\":[]}"));
    (void)good(BYTES("[[[]]]"));
    (void)good(BYTES("\"a text that is, however long, one value [,,,,,,,,,,,,,,,,,,,,,,,,,,]\""));
    bad(BYTES("{\"a\":1,\"b\":[2]}"), "more values than pushca.limits.json-values (3) allows");
    bad(BYTES("[[[[]]]]"), "more values than pushca.limits.json-values (3) allows");
    bad(BYTES("[1,2,3]"), "more values than pushca.limits.json-values (3) allows");
    bad(BYTES("\"never ended, and a backslash at its end: \\"),
        "line 1, column 1: a string that does not end");
    json_limit_values(parser, SIZE_MAX);
    buf_fini(&text);
}

/* What json_excess says, said slowly. */
static enum json_excess excess_slowly(struct bytes text, size_t most, size_t limit)
{
    size_t values = 1, i;
    ptrdiff_t depth = 0;

    if (text.len / 2 < most)
        return JSON_FITS;
    for (i = 0; i < text.len && values <= most; i++) {
        if (text.at[i] == '"') {
            for (i++; i < text.len && text.at[i] != '"'; i++)
                i += text.at[i] == '\\';
        } else if (strchr("[{", text.at[i])) {
            size_t next = i + 1;

            if (++depth > (ptrdiff_t)limit)
                return JSON_DEEP;
            while (next < text.len && strchr(" \n\r\t", text.at[next]))
                next++;
            values += next >= text.len || !strchr("]}", text.at[next]);
        } else {
            depth -= strchr("]}", text.at[i]) != NULL;
            values += text.at[i] == ',';
        }
    }
    return values > most ? JSON_MANY : JSON_FITS;
}

static void test_excess_of_random_texts(void **state)
{
    static const char letters[] = ",,,,,,--11[[]]{}  \"\\\n:x";
    struct dice d = dice_new("json excess");
    char text[200];
    int counts[3] = {0};

    (void)state;
    for (int round = 0; round < 200000; round++) {
        size_t len = dice_roll(&d, sizeof(text)), most = 1 + dice_roll(&d, 40), i;
        size_t limit = 1 + dice_roll(&d, 8), kinds = 4 + dice_roll(&d, sizeof(letters) - 4);
        enum json_excess is;

        for (i = 0; i < len; i++)
            text[i] = letters[dice_roll(&d, kinds)];
        is = json_excess(bytes_of(text, len), most, limit);
        if (is != excess_slowly(bytes_of(text, len), most, limit))
            fail_msg("%d for at most %zu values %zu deep in %.*s", is, most, limit, (int)len, text);
        counts[is]++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(counts[i] > 100);
}

/* Of a long text depth is seen before it is parsed, and told all the same. */
static void test_limit_of_depth_in_long_texts(void **state)
{
    const struct bytes before = BYTES("[1,[2],\"[[[[[[[[[[\",{\"a\":[3]},");
    struct buf text = {0};
    char where[100];
    int i;

    (void)state;
    snprintf(where, sizeof(where),
             "line 1, column %zu: nested deeper than pushca.limits.json-depth allows",
             before.len + DEPTH);
    json_limit_values(parser, 1000);
    for (int deep = DEPTH - 2; deep <= DEPTH + 2; deep++) {
        text.len = 0;
        buf_add(&text, before);
        for (i = 1; i < deep; i++)
            buf_add(&text, BYTES("["));
        for (i = 1; i < deep; i++)
            buf_add(&text, BYTES("]"));
        buf_add(&text, BYTES(",\""));
        for (i = 0; i < 3000; i++)
            buf_add_char(&text, 'x');
        buf_add(&text, BYTES("\"]"));
        if (deep <= DEPTH)
            (void)good(buf_bytes(&text));
        else
            bad(buf_bytes(&text), where);
    }
    json_limit_values(parser, SIZE_MAX);
    buf_fini(&text);
}

/* Counted like all other memory, and not kept for texts that may never come again. */
static void test_a_large_text_leaves_nothing_behind(void **state)
{
    int64_t before;
    struct buf text = {0};

    (void)state;
    good(BYTES("[1]"));
    json_rest(parser);
    before = mem_held();
    buf_add_char(&text, '[');
    for (int i = 0; i < 300000; i++)
        buf_add(&text, BYTES("1,"));
    buf_add(&text, BYTES("1]"));
    good(buf_bytes(&text));
    assert_true(mem_held() - before > 12 * 600000);
    json_rest(parser);
    buf_fini(&text);
    good(BYTES("[1]"));
    assert_true(mem_held() - before < 100000);
}

static void test_over_the_memory_limit_it_is_refused(void **state)
{
    struct json_value root;
    struct problem why;
    struct buf text = {0};
    struct bytes own;

    (void)state;
    json_rest(parser);
    buf_add_char(&text, '"');
    for (int i = 0; i < 100000; i++)
        buf_add(&text, BYTES("0123456789"));
    buf_add_char(&text, '"');
    own = padded(buf_bytes(&text));
    mem_limit(mem_held() + 5000000);
    assert_int_equal(json_parse(parser, own, &root, &why), ERR_FULL);
    assert_non_null(strstr(why.text, "no memory for a JSON text of 1000002 bytes"));
    mem_limit(mem_held() + 20000000);
    assert_int_equal(json_parse(parser, own, &root, &why), ERR_OK);
    mem_limit(0);
    json_rest(parser);
    padded_free(own);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_strings_are_unescaped),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_numbers_of_any_length_are_taken),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_refusals_say_where),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_bad_strings),
        cmocka_unit_test(test_lone_surrogates),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_other_depths),
        cmocka_unit_test(test_a_million_brackets),
        cmocka_unit_test(test_duplicate_keys),
        cmocka_unit_test(test_long_keys_are_cut_in_messages),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_what_is_behind_does_not_count),
        cmocka_unit_test(test_texts_of_many_sizes),
        cmocka_unit_test(test_array_longer_than_the_tape_counts),
        cmocka_unit_test(test_limit_of_values),
        cmocka_unit_test(test_limit_of_depth_in_long_texts),
        cmocka_unit_test(test_excess_of_random_texts),
        cmocka_unit_test(test_a_large_text_leaves_nothing_behind),
        cmocka_unit_test(test_over_the_memory_limit_it_is_refused),
    };

    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
