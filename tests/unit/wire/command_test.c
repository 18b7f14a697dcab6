#include "wire/command.h"

#include "unit/wire/padded.h"

enum { ID_BYTES = 8 };

static struct json *parser;
static struct bytes kept; /* the last frame */

static enum err read_frame(struct bytes frame, struct command *c, struct problem *why)
{
    padded_free(kept);
    kept = padded(frame);
    *why = (struct problem){0};
    memset(c, 0xee, sizeof(*c)); /* everything is set */
    return command_read(parser, kept, ID_BYTES, c, why);
}

/* One frame and all that is read from it. meta: the value of its member "m", -1 when it is absent.
 */
static void reads(struct bytes frame, enum grammar grammar, enum command_kind kind, const char *id,
                  const char *name, int64_t meta)
{
    static const char *const names[] = {"m"};
    struct command c;
    struct problem why;
    struct json_value m;
    int64_t n = -1;

    if (read_frame(frame, &c, &why))
        fail_msg("%.*s: %s", (int)frame.len, frame.at, why.text);
    assert_int_equal(c.grammar, grammar);
    assert_int_equal(c.kind, kind);
    assert_text(c.id, bytes_text(id), "id");
    assert_text(c.name, bytes_text(name), "name");
    if (json_type(c.meta) != JSON_ABSENT) {
        assert_int_equal(json_type(c.meta), JSON_OBJECT);
        json_pick(c.meta, names, &m, 1);
        assert_true(json_int(m, &n));
    }
    assert_true(n == meta);
}

/* What is read even so. */
static void fails(struct bytes frame, enum err wanted, const char *sentence, enum grammar grammar,
                  const char *id, const char *name)
{
    struct command c;
    struct problem why;
    enum err e = read_frame(frame, &c, &why);

    assert_text(bytes_text(why.text), bytes_text(sentence), frame.at);
    assert_int_equal(e, wanted);
    assert_int_equal(why.code, wanted);
    assert_int_equal(c.grammar, grammar);
    assert_text(c.id, bytes_text(id), "id");
    assert_text(c.name, bytes_text(name), "name");
    assert_int_equal(json_type(c.meta), JSON_ABSENT);
}

static void reads_v1(const char *text, enum command_kind kind, const char *name, int64_t meta)
{
    reads(bytes_text(text), GRAMMAR_V1, kind, "", name, meta);
}

static void reads_v2(const char *text, enum command_kind kind, const char *id, const char *name,
                     int64_t meta)
{
    reads(bytes_text(text), GRAMMAR_V2, kind, id, name, meta);
}

static const struct {
    const char *name;
    enum command_kind kind;
} commands[] = {
    {"PING", COMMAND_PING},
    {"ACKNOWLEDGE", COMMAND_ACKNOWLEDGE},
    {"REFRESH_TOKEN", COMMAND_REFRESH_TOKEN},
    {"SEND_MESSAGE", COMMAND_SEND_MESSAGE},
    {"SEND_MESSAGE_WITH_ACKNOWLEDGE", COMMAND_SEND_MESSAGE_WITH_ACKNOWLEDGE},
    {"SEND_MESSAGE_WITH_PRESERVED_ORDER", COMMAND_SEND_MESSAGE_WITH_PRESERVED_ORDER},
    {"SEND_ENVELOPES", COMMAND_SEND_ENVELOPES},
    {"ping", COMMAND_UNKNOWN},
    {"PINGS", COMMAND_UNKNOWN},
    {"PIN", COMMAND_UNKNOWN},
    {" PING", COMMAND_UNKNOWN},
    {"SEND_MESSAGE ", COMMAND_UNKNOWN},
    {"", COMMAND_UNKNOWN},
};

static void test_every_name_in_both_grammars(void **state)
{
    char text[200];

    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        enum command_kind kind = commands[i].kind;
        const char *name = commands[i].name;

        snprintf(text, sizeof(text), "{\"command\":\"%s\"}", name);
        reads_v1(text, kind, name, -1);
        snprintf(text, sizeof(text), " \r\n\t{\"metaData\":{\"m\":7},\"command\":\"%s\"}\n", name);
        reads_v1(text, kind, name, 7);
        snprintf(text, sizeof(text), "{\"command\":\"%s\",\"metaData\":null,\"x\":1}", name);
        reads_v1(text, kind, name, -1);
        snprintf(text, sizeof(text), "i@@%s", name);
        reads_v2(text, kind, "i", name, -1);
        snprintf(text, sizeof(text), "i@@%s@@", name);
        reads_v2(text, kind, "i", name, -1);
        snprintf(text, sizeof(text), "i@@%s@@ \n", name);
        reads_v2(text, kind, "i", name, -1);
        snprintf(text, sizeof(text), "i@@%s@@null", name);
        reads_v2(text, kind, "i", name, -1);
        snprintf(text, sizeof(text), "i@@%s@@ {\"m\":9} ", name);
        reads_v2(text, kind, "i", name, kind == COMMAND_UNKNOWN ? -1 : 9);
    }
}

static void test_only_two_delimiters_count(void **state)
{
    (void)state;
    reads_v2("i@@SEND_MESSAGE@@{\"m\":1,\"message\":\"a@@b@@@@c\"}", COMMAND_SEND_MESSAGE, "i",
             "SEND_MESSAGE", 1);
    reads_v2("i@@@PING", COMMAND_UNKNOWN, "i", "@PING", -1);
    fails(BYTES("i@@PING@@@@"), ERR_BAD, "metaData, line 1, column 1: expected a value", GRAMMAR_V2,
          "i", "PING");
}

static void test_the_id_is_taken_as_it_is(void **state)
{
    (void)state;
    reads_v2(" a b @@PING", COMMAND_PING, " a b ", "PING", -1);
    reads_v2("x{\xc3\xa9@@PING", COMMAND_PING, "x{\xc3\xa9", "PING", -1);
    reads_v2("a@b@@PING", COMMAND_PING, "a@b", "PING", -1);
    reads_v2("PING@@PING", COMMAND_PING, "PING", "PING", -1);
}

static void test_id_limits(void **state)
{
    (void)state;
    reads_v2("1234567@@PING", COMMAND_PING, "1234567", "PING", -1);
    reads_v2("12345678@@PING@@{\"m\":3}", COMMAND_PING, "12345678", "PING", 3);
    fails(BYTES("123456789@@PING@@{\"m\":3}"), ERR_TOO_BIG,
          "the command id is longer than 8 bytes (pushca.limits.id-bytes)", GRAMMAR_V2, "12345678",
          "PING");
    fails(BYTES("123456789@@PING@@bad"), ERR_TOO_BIG,
          "the command id is longer than 8 bytes (pushca.limits.id-bytes)", GRAMMAR_V2, "12345678",
          "PING");
    fails(BYTES("@@PING"), ERR_BAD, "the command id must not be empty", GRAMMAR_V2, "", "PING");
    fails(BYTES("@@"), ERR_BAD, "the command id must not be empty", GRAMMAR_V2, "", "");
}

static void test_v2_answers_can_be_given_whatever_the_json(void **state)
{
    (void)state;
    fails(BYTES("i@@SEND_MESSAGE@@{\"m\":1"), ERR_BAD,
          "metaData, line 1, column 7: expected ',' or '}', found the end", GRAMMAR_V2, "i",
          "SEND_MESSAGE");
    fails(BYTES("i@@SEND_MESSAGE@@{}}"), ERR_BAD,
          "metaData, line 1, column 3: expected the end of the text", GRAMMAR_V2, "i",
          "SEND_MESSAGE");
    fails(BYTES("i@@SEND_MESSAGE@@{\"m\":1,\"m\":1}"), ERR_BAD,
          "metaData, line 1, column 8: the key \"m\" is there twice", GRAMMAR_V2, "i",
          "SEND_MESSAGE");
    fails(BYTES("i@@ACKNOWLEDGE@@[]"), ERR_BAD, "metaData must be an object, not an array",
          GRAMMAR_V2, "i", "ACKNOWLEDGE");
    fails(BYTES("i@@ACKNOWLEDGE@@\"x\""), ERR_BAD, "metaData must be an object, not a string",
          GRAMMAR_V2, "i", "ACKNOWLEDGE");
    reads_v2("i@@WHATEVER@@not json", COMMAND_UNKNOWN, "i", "WHATEVER", -1);
}

static void test_v1_refusals(void **state)
{
    (void)state;
    fails(BYTES("{"), ERR_BAD,
          "line 1, column 2: expected a key in double quotes or '}', found the end", GRAMMAR_V1, "",
          "");
    fails(BYTES(" \n {\"command\":\"PING\"} x"), ERR_BAD,
          "line 2, column 21: expected the end of the text", GRAMMAR_V1, "", "");
    fails(BYTES("{\"command\":\"PING\",\"command\":\"PING\"}"), ERR_BAD,
          "line 1, column 19: the key \"command\" is there twice", GRAMMAR_V1, "", "");
    fails(BYTES("{}"), ERR_BAD, "command is missing", GRAMMAR_V1, "", "");
    fails(BYTES("{\"command\":null}"), ERR_BAD, "command is missing", GRAMMAR_V1, "", "");
    fails(BYTES("{\"command\":5}"), ERR_BAD, "command must be a string, not a number", GRAMMAR_V1,
          "", "");
    fails(BYTES("{\"command\":{}}"), ERR_BAD, "command must be a string, not an object", GRAMMAR_V1,
          "", "");
    fails(BYTES("{\"command\":\"PING\",\"metaData\":[]}"), ERR_BAD,
          "metaData must be an object, not an array", GRAMMAR_V1, "", "PING");
    fails(BYTES("{\"command\":\"PING\",\"metaData\":\"\"}"), ERR_BAD,
          "metaData must be an object, not a string", GRAMMAR_V1, "", "PING");
    /* A brace first means v1, delimiters or not. */
    fails(BYTES("{@@PING"), ERR_BAD, "line 1, column 2: expected a key in double quotes or '}'",
          GRAMMAR_V1, "", "");
}

static void reads_none(struct bytes text, enum command_kind kind, const char *name)
{
    reads(text, GRAMMAR_NONE, kind, "", name, -1);
}

static void test_neither_grammar(void **state)
{
    (void)state;
    reads_none((struct bytes){0}, COMMAND_UNKNOWN, "");
    reads_none(BYTES(" \t\r\n"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("hello"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("[]"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("a@b"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("@"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("ping"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("PINGS"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("PING\0"), COMMAND_UNKNOWN, "");
    reads_none(BYTES("PING"), COMMAND_PING, "PING");
    reads_none(BYTES("\r\n PING\t\n"), COMMAND_PING, "PING");
}

/* Every beginning of a good frame is read without harm, whatever lies behind it. */
static void test_beginnings(void **state)
{
    static const char *const frames[] = {
        "{\"command\":\"SEND_MESSAGE\",\"metaData\":{\"filter\":{},\"message\":\"a@@b\"}}",
        "i@@SEND_MESSAGE@@{\"filter\":{\"workSpaceId\":\"w\"},\"message\":\"a@@b\"}",
    };

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        size_t len = strlen(frames[f]);

        for (size_t n = 0; n <= len; n++) {
            struct bytes text = padded_with(bytes_of(frames[f], n),
                                            n < len ? bytes_text(frames[f] + n) : BYTES("}"));
            struct command c;
            struct problem why;
            enum err e = command_read(parser, text, ID_BYTES, &c, &why);

            if (n == len)
                assert_int_equal(c.kind, COMMAND_SEND_MESSAGE);
            else if (f == 0)
                assert_int_equal(e, n ? ERR_BAD : ERR_OK);
            if (e || n < len)
                assert_int_equal(json_type(c.meta), JSON_ABSENT);
            padded_free(text);
        }
    }
}

static int open_parser(void **state)
{
    (void)state;
    parser = json_new(64);
    return 0;
}

static int close_parser(void **state)
{
    (void)state;
    json_free(parser);
    padded_free(kept);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_name_in_both_grammars),
        cmocka_unit_test(test_only_two_delimiters_count),
        cmocka_unit_test(test_the_id_is_taken_as_it_is),
        cmocka_unit_test(test_id_limits),
        cmocka_unit_test(test_v2_answers_can_be_given_whatever_the_json),
        cmocka_unit_test(test_v1_refusals),
        cmocka_unit_test(test_neither_grammar),
        cmocka_unit_test(test_beginnings),
    };

    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
