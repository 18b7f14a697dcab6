#include "wire/json_write.h"

#include <math.h>
#include "unit/wire/padded.h"

static struct buf out;

static struct json_writer start(void)
{
    out.len = 0;
    return json_writer(&out);
}

static void written(const char *wanted)
{
    assert_text(buf_bytes(&out), bytes_text(wanted), "written");
}

static void text_is(struct bytes text, const char *wanted)
{
    struct json_writer w = start();

    json_text(&w, text);
    written(wanted);
}

static void real_is(double n, const char *wanted)
{
    struct json_writer w = start();

    json_real(&w, n);
    written(wanted);
}

static void number_is(int64_t n, const char *wanted)
{
    struct json_writer w = start();

    json_number(&w, n);
    written(wanted);
}

static void test_commas(void **state)
{
    struct json_writer w = start();

    (void)state;
    json_open_object(&w);
    json_member(&w, "a", BYTES("x"));
    json_key(&w, "b");
    json_open_array(&w);
    json_open_array(&w);
    json_close_array(&w);
    json_open_object(&w);
    json_close_object(&w);
    json_number(&w, 1);
    json_flag(&w, true);
    json_flag(&w, false);
    json_null(&w);
    json_real(&w, 0.5);
    json_text(&w, BYTES(""));
    json_close_array(&w);
    json_key(&w, "c");
    json_open_object(&w);
    json_key(&w, "d");
    json_null(&w);
    json_member(&w, "e", BYTES("y"));
    json_close_object(&w);
    json_key(&w, "f");
    json_number(&w, -2);
    json_close_object(&w);
    written("{\"a\":\"x\",\"b\":[[],{},1,true,false,null,0.5,\"\"],\"c\":{\"d\":null,\"e\":\"y\"},"
            "\"f\":-2}");
}

static void test_appends(void **state)
{
    struct json_writer w;

    (void)state;
    out.len = 0;
    buf_add(&out, BYTES("id@@RESPONSE@@"));
    w = json_writer(&out);
    json_open_object(&w);
    json_close_object(&w);
    written("id@@RESPONSE@@{}");
}

static void test_escapes(void **state)
{
    struct json_writer w;

    (void)state;
    text_is((struct bytes){0}, "\"\"");
    text_is(BYTES("plain / \x7f \xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80"),
            "\"plain / \x7f \xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80\"");
    text_is(BYTES("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    text_is(BYTES("a\0b\x01\x0b\x1f"), "\"a\\u0000b\\u0001\\u000b\\u001f\"");
    text_is(BYTES("\n"), "\"\\n\"");
    w = start();
    json_open_array(&w);
    json_text_and(&w, BYTES("a\"b"), BYTES("c"));
    json_text_and(&w, (struct bytes){0}, (struct bytes){0});
    json_close_array(&w);
    written("[\"a\\\"bc\",\"\"]");
}

/* Long texts are looked at eight bytes at a time: every byte, at every place of one, alone. */
static void test_every_byte_at_every_place(void **state)
{
    char text[19], wanted[64];

    (void)state;
    for (size_t place = 0; place < sizeof(text); place++) {
        for (int c = 0; c < 0x80; c++) {
            static const char letters[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
            const char *letter = c ? strchr(letters, c) : NULL;
            char there[8];

            if (letter)
                snprintf(there, sizeof(there), "\\%c", names[letter - letters]);
            else
                snprintf(there, sizeof(there), c < 0x20 ? "\\u%04x" : "%c", (unsigned)c);
            memset(text, 'x', sizeof(text));
            text[place] = (char)c;
            snprintf(wanted, sizeof(wanted), "\"%.*s%s%.*s\"", (int)place, "xxxxxxxxxxxxxxxxxxx",
                     there, (int)(sizeof(text) - 1 - place), "xxxxxxxxxxxxxxxxxxx");
            text_is(bytes_of(text, sizeof(text)), wanted);
        }
    }
}

static void test_delimiter_at_every_place(void **state)
{
    char text[19], wanted[64];

    (void)state;
    for (size_t place = 0; place + 1 < sizeof(text); place++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + place, "@@", 2);
        snprintf(wanted, sizeof(wanted), "\"%.*s@\\u0040%.*s\"", (int)place, "xxxxxxxxxxxxxxxxxxx",
                 (int)(sizeof(text) - 2 - place), "xxxxxxxxxxxxxxxxxxx");
        text_is(bytes_of(text, sizeof(text)), wanted);
    }
}

static void test_delimiter_never_appears(void **state)
{
    struct json_writer w;

    (void)state;
    text_is(BYTES("@"), "\"@\"");
    text_is(BYTES("@@"), "\"@\\u0040\"");
    text_is(BYTES("@@@"), "\"@\\u0040@\"");
    text_is(BYTES("@@@@"), "\"@\\u0040@\\u0040\"");
    text_is(BYTES("@a@"), "\"@a@\"");
    text_is(BYTES("@\n@"), "\"@\\n@\"");
    text_is(BYTES("a@@b@@@c@"), "\"a@\\u0040b@\\u0040@c@\"");

    w = start();
    json_open_array(&w);
    json_text(&w, BYTES("@"));
    json_text(&w, BYTES("@"));
    json_close_array(&w);
    written("[\"@\",\"@\"]");

    w = start();
    json_open_object(&w);
    json_member(&w, "@@", BYTES("@"));
    json_close_object(&w);
    written("{\"@\\u0040\":\"@\"}");
}

static void test_numbers(void **state)
{
    (void)state;
    number_is(0, "0");
    number_is(INT64_MAX, "9223372036854775807");
    number_is(INT64_MIN, "-9223372036854775808");
}

static void test_reals(void **state)
{
    (void)state;
    real_is(0, "0");
    real_is(-0.0, "0");
    real_is(-0.0000001, "0");
    real_is(1, "1");
    real_is(100, "100");
    real_is(-2.5, "-2.5");
    real_is(0.1, "0.1");
    real_is(1.0 / 3, "0.333333");
    real_is(123456.654321, "123456.654321");
    real_is(0.000001, "0.000001");
    real_is(1e20, "100000000000000000000");
    real_is(NAN, "null");
    real_is(INFINITY, "null");
    real_is(-1.7976931348623157e308, /* as long as it gets */
            "-1797693134862315708145274237317043567980705675258449965989174768031572607800285"
            "38760589558632766878171540458953514382464234321326889464182768467546703537516986"
            "04991057655128207624549009038932894407586850845513394230458323690322294816580855"
            "9332123348274797826204144723168738177180919299881250404026184124858368");
}

/* What is written is read back, and never holds the delimiter. */
static void test_random_strings_come_back(void **state)
{
    static const char *const pieces[] = {
        "@", "@",   "@@", "a", "\"", "\\", "\n", "\x01", "u0040", "\xc3\xa9", "\xf0\x9f\x98\x80",
        "/", "\x7f"};
    struct dice dice = dice_new("strings");
    struct json *j = json_new(2);
    struct buf text = {0};

    (void)state;
    for (int round = 0; round < 5000; round++) {
        struct json_writer w = start();
        struct json_value v;
        struct problem why;
        struct bytes p;

        text.len = 0;
        for (size_t n = dice_roll(&dice, 12); n > 0; n--)
            buf_add(&text,
                    bytes_text(pieces[dice_roll(&dice, sizeof(pieces) / sizeof(pieces[0]))]));
        if (dice_roll(&dice, 8) == 0)
            buf_add_char(&text, 0);
        json_text(&w, buf_bytes(&text));
        assert_null(memmem(out.at, out.len, "@@", 2));
        p = padded(buf_bytes(&out));
        assert_int_equal(json_parse(j, p, &v, &why), ERR_OK);
        assert_text(json_string(v), buf_bytes(&text), "read back");
        padded_free(p);
    }
    buf_fini(&text);
    json_free(j);
}

static int close_out(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commas),
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_delimiter_at_every_place),
        cmocka_unit_test(test_delimiter_never_appears),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_random_strings_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, close_out);
}
