#include "wire/body.h"

#include "unit/wire/padded.h"

#define WS     "\"workSpaceId\":\"w\""
#define ACC    "\"accountId\":\"a\""
#define DEV    "\"deviceId\":\"d\""
#define APP    "\"applicationId\":\"p\""
#define CLIENT "{" WS "," ACC "," DEV "," APP "}"

static const struct body_limits limits = {
    .dimension_bytes = 8, .exclude = 3, .id_bytes = 5, .envelopes = 2, .pool = 10};

static struct json *parser;
static struct arena arena;
static struct problem why;
static struct body_reader reader = {&arena, &limits, &why};
static struct bytes kept; /* the last text */

static struct json_value value(const char *text)
{
    struct json_value v;

    padded_free(kept);
    kept = padded(bytes_text(text));
    arena_reset(&arena);
    if (json_parse(parser, kept, &v, &why))
        fail_msg("%s: %s", text, why.text);
    why = (struct problem){0};
    return v;
}

static void refused(enum err e, enum err wanted, const char *sentence)
{
    assert_text(bytes_text(why.text), bytes_text(sentence), sentence);
    assert_int_equal(e, wanted);
    assert_int_equal(why.code, wanted);
}

static void is_client(const struct identity *c)
{
    struct identity wanted = {{BYTES("w"), BYTES("a"), BYTES("d"), BYTES("p")}};

    assert_true(identity_equal(c, &wanted));
}

/* Each reader, asked about one text. */
static enum err open_as(const char *text, bool pooled)
{
    struct open_body b;

    return body_read_open(&reader, value(text), pooled, &b);
}

static enum err send_as(const char *text)
{
    struct send_body b;

    return body_read_send(&reader, value(text), &b);
}

static enum err acked_as(const char *text)
{
    struct acked_body b;

    return body_read_acked(&reader, value(text), &b);
}

static enum err envelopes_as(const char *text)
{
    struct envelopes_body b;

    return body_read_envelopes(&reader, value(text), &b);
}

static void bad_open(const char *text, const char *sentence)
{
    refused(open_as(text, false), ERR_BAD, sentence);
}

static void bad_pool(const char *text, enum err wanted, const char *sentence)
{
    refused(open_as(text, true), wanted, sentence);
}

static void bad_send(const char *text, const char *sentence)
{
    refused(send_as(text), ERR_BAD, sentence);
}

static void bad_acked(const char *text, const char *sentence)
{
    refused(acked_as(text), ERR_BAD, sentence);
}

static void bad_envelopes(const char *text, const char *sentence)
{
    refused(envelopes_as(text), ERR_BAD, sentence);
}

static void test_open(void **state)
{
    struct open_body b;

    (void)state;
    assert_int_equal(body_read_open(&reader, value("{\"client\":" CLIENT "}"), false, &b), ERR_OK);
    is_client(&b.client);
    assert_int_equal(b.instance_id.len, 0);
    assert_int_equal(b.pool_size, 1);
    assert_int_equal(body_read_open(&reader,
                                    value("{\"apiKey\":7,\"passwordHash\":[],\"x\":{},\"poolSize\":"
                                          "\"many\",\"pusherInstanceId\":\"node-1\",\"Client\":3,"
                                          "\"client\":{" APP "," DEV "," ACC "," WS
                                          ",\"pusherInstanceId\":null}}"),
                                    false, &b),
                     ERR_OK);
    is_client(&b.client);
    assert_text(b.instance_id, BYTES("node-1"), "instance");
    assert_int_equal(b.pool_size, 1);
}

static void test_open_takes_the_printed_example(void **state)
{
    struct open_body b;

    (void)state;
    assert_int_equal(body_read_open(&reader,
                                    value("{\"Client\":" CLIENT ",\"client\":null,"
                                          "\"pusherInstanceId\":null}"),
                                    false, &b),
                     ERR_OK);
    is_client(&b.client);
    assert_int_equal(b.instance_id.len, 0);
    bad_open("{\"Client\":{" WS "," DEV "," APP "}}", "Client.accountId is missing");
}

static void test_open_refusals(void **state)
{
    (void)state;
    bad_open("[]", "the body must be an object, not an array");
    bad_open("\"x\"", "the body must be an object, not a string");
    bad_open("null", "client is missing");
    bad_open("{}", "client is missing");
    bad_open("{\"client\":null}", "client is missing");
    bad_open("{\"client\":\"x\"}", "client must be an object, not a string");
    bad_open("{\"client\":[]}", "client must be an object, not an array");
    bad_open("{\"client\":{}}", "client.workSpaceId is missing");
    bad_open("{\"client\":{" WS "," ACC "," DEV "}}", "client.applicationId is missing");
    bad_open("{\"client\":{" WS "," ACC ",\"deviceId\":null," APP "}}",
             "client.deviceId is missing");
    bad_open("{\"client\":{" WS ",\"accountId\":\"\"," DEV "," APP "}}",
             "client.accountId must not be empty");
    bad_open("{\"client\":{" WS ",\"accountId\":7," DEV "," APP "}}",
             "client.accountId must be a string, not a number");
    bad_open("{\"client\":{" WS ",\"accountId\":true," DEV "," APP "}}",
             "client.accountId must be a string, not a boolean");
    bad_open("{\"client\":{" WS ",\"accountId\":{}," DEV "," APP "}}",
             "client.accountId must be a string, not an object");
    bad_open("{\"client\":{" WS ",\"accountid\":\"a\"," DEV "," APP "}}",
             "client.accountId is missing");
    bad_open("{\"client\":" CLIENT ",\"pusherInstanceId\":1}",
             "pusherInstanceId must be a string, not a number");
}

/* A member that is there and wrong gives its own sentence; absent is another. */
static void test_control_characters(void **state)
{
    static const char *const written[] = {"\\u0000", "\\n",      "\\u001f", "\\u007f", "\\u0080",
                                          "\\u009f", "\xc2\x85", "\x7f",    "x\\tx"};
    char text[300];

    (void)state;
    for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
        snprintf(text, sizeof(text), "{\"client\":{" WS ",\"accountId\":\"%s\"," DEV "," APP "}}",
                 written[i]);
        bad_open(text, "client.accountId must not contain control characters");
        snprintf(text, sizeof(text), "{\"filter\":{\"deviceId\":\"%s\"},\"message\":\"m\"}",
                 written[i]);
        bad_send(text, "filter.deviceId must not contain control characters");
        snprintf(text, sizeof(text), "{\"id\":\"%s\",\"filter\":{},\"message\":\"m\"}", written[i]);
        bad_send(text, "id must not contain control characters");
    }
    assert_int_equal(
        open_as("{\"client\":{" WS ",\"accountId\":\"\\u00a0 \\u2028\"," DEV "," APP "}}", false),
        ERR_OK);
}

static void test_dimension_limit(void **state)
{
    static const char client[] = "{\"client\":{" WS "," ACC ",\"deviceId\":\"%s\"," APP "}}";
    static const char filter[] = "{\"filter\":{\"deviceId\":\"%s\"},\"message\":\"\"}";
    static const char *const fits[] = {"1234567", "12345678", "\\u20ac\\u20ac12"};
    static const char *const over[] = {"123456789", "\\u20ac\\u20ac123"};
    char text[300];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), client, fits[i]);
        assert_int_equal(open_as(text, false), ERR_OK);
        snprintf(text, sizeof(text), filter, fits[i]);
        assert_int_equal(send_as(text), ERR_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), client, over[i]);
        refused(open_as(text, false), ERR_TOO_BIG,
                "client.deviceId is longer than 8 bytes (pushca.limits.dimension-bytes)");
        snprintf(text, sizeof(text), filter, over[i]);
        refused(send_as(text), ERR_TOO_BIG,
                "filter.deviceId is longer than 8 bytes (pushca.limits.dimension-bytes)");
    }
}

static void test_pool_size(void **state)
{
    static const char form[] = "{\"client\":" CLIENT ",\"poolSize\":%s}";
    static const char *const wrong[] = {"0", "-1", "1.0", "1e1", "18446744073709551615"};
    struct open_body b;
    char text[300];

    (void)state;
    for (int64_t n = 1; n <= 11; n++) {
        enum err e;

        snprintf(text, sizeof(text), "{\"client\":" CLIENT ",\"poolSize\":%lld}", (long long)n);
        e = body_read_open(&reader, value(text), true, &b);
        if (n <= 10) {
            assert_int_equal(e, ERR_OK);
            assert_int_equal(b.pool_size, n);
        } else {
            refused(e, ERR_TOO_BIG, "poolSize is more than 10 (pushca.limits.pool-size)");
        }
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), form, wrong[i]);
        bad_pool(text, ERR_BAD, "poolSize must be a whole number from 1 to 10");
    }
    bad_pool("{\"client\":" CLIENT "}", ERR_BAD, "poolSize is missing");
    bad_pool("{\"client\":" CLIENT ",\"poolSize\":null}", ERR_BAD, "poolSize is missing");
    bad_pool("{\"client\":" CLIENT ",\"poolSize\":\"2\"}", ERR_BAD,
             "poolSize must be a number, not a string");
}

static void test_send(void **state)
{
    struct send_body b;

    (void)state;
    assert_int_equal(
        body_read_send(&reader,
                       value("{\"id\":\"m1\",\"filter\":{" WS ",\"accountId\":null,\"deviceId\":"
                             "\"\",\"findAny\":true,\"pusherInstanceId\":3,\"exclude\":[" CLIENT
                             ",{" WS "," ACC ",\"deviceId\":\"other\"," APP "}]},\"sender\":7,"
                             "\"message\":\"a\\u0000@@b\",\"preserveOrder\":true}"),
                       &b),
        ERR_OK);
    assert_text(b.id, BYTES("m1"), "id");
    assert_text(b.message, BYTES("a\0@@b"), "message");
    assert_true(b.order.preserved);
    assert_true(b.filter.find_any);
    assert_text(b.filter.like.dim[WORKSPACE], BYTES("w"), "workspace");
    for (int d = ACCOUNT; d < DIMENSIONS; d++)
        assert_int_equal(b.filter.like.dim[d].len, 0);
    assert_int_equal(b.filter.excluded, 2);
    is_client(&b.filter.exclude[0]);
    assert_text(b.filter.exclude[1].dim[DEVICE], BYTES("other"), "second");
}

/* What tells senders apart is taken as it comes: nobody is refused for it. */
static void test_sender_is_never_refused(void **state)
{
    static const char *const nobodies[] = {
        "null",
        "7",
        "true",
        "\"me\"",
        "[]",
        "[{" WS "}]",
        "{}",
        "{\"workSpaceId\":null}",
        "{\"workSpaceId\":7,\"accountId\":{},\"deviceId\":[],\"applicationId\":true}",
    };
    struct buf text = {0};
    struct send_body b;

    (void)state;
    for (size_t i = 0; i < sizeof(nobodies) / sizeof(nobodies[0]); i++) {
        text.len = 0;
        buf_printf(&text, "{\"filter\":{},\"message\":\"\",\"preserveOrder\":true,\"sender\":%s}%c",
                   nobodies[i], 0);
        memset(&b, 0xee, sizeof(b));
        assert_int_equal(body_read_send(&reader, value(text.at), &b), ERR_OK);
        assert_true(b.order.preserved);
        for (int d = 0; d < DIMENSIONS; d++)
            assert_int_equal(b.order.sender.dim[d].len, 0);
    }
    buf_fini(&text);
    assert_int_equal(body_read_send(&reader,
                                    value("{\"filter\":{},\"message\":\"\",\"preserveOrder\":true,"
                                          "\"sender\":{" WS ",\"accountId\":\"\\u0007\"}}"),
                                    &b),
                     ERR_OK);
    assert_text(b.order.sender.dim[WORKSPACE], BYTES("w"), "workspace");
    assert_text(b.order.sender.dim[ACCOUNT], BYTES("\a"), "account");
}

static void test_send_with_the_least(void **state)
{
    static const char *const texts[] = {
        "{\"filter\":{},\"message\":\"\"}",
        "{\"id\":null,\"filter\":{\"findAny\":null,\"exclude\":null},\"message\":\"\","
        "\"preserveOrder\":null}",
        "{\"id\":\"\",\"filter\":{\"findAny\":false,\"exclude\":[],\"workSpaceId\":\"\"},"
        "\"message\":\"\",\"preserveOrder\":false}",
    };
    struct send_body b;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        memset(&b, 0xee, sizeof(b));
        assert_int_equal(body_read_send(&reader, value(texts[i]), &b), ERR_OK);
        assert_int_equal(b.id.len, 0);
        assert_int_equal(b.message.len, 0);
        assert_false(b.order.preserved);
        assert_false(b.filter.find_any);
        assert_int_equal(b.filter.excluded, 0);
        for (int d = 0; d < DIMENSIONS; d++)
            assert_int_equal(b.filter.like.dim[d].len, 0);
    }
}

static void test_send_refusals(void **state)
{
    (void)state;
    bad_send("3", "the body must be an object, not a number");
    bad_send("{}", "filter is missing");
    bad_send("{\"filter\":null,\"message\":\"\"}", "filter is missing");
    bad_send("{\"filter\":[],\"message\":\"\"}", "filter must be an object, not an array");
    bad_send("{\"filter\":{}}", "message is missing");
    bad_send("{\"filter\":{},\"message\":null}", "message is missing");
    bad_send("{\"filter\":{},\"message\":5}", "message must be a string, not a number");
    bad_send("{\"filter\":{},\"message\":{}}", "message must be a string, not an object");
    bad_send("{\"id\":5,\"filter\":{},\"message\":\"\"}", "id must be a string, not a number");
    bad_send("{\"filter\":{\"accountId\":1},\"message\":\"\"}",
             "filter.accountId must be a string, not a number");
    bad_send("{\"filter\":{\"findAny\":\"true\"},\"message\":\"\"}",
             "filter.findAny must be a boolean, not a string");
    bad_send("{\"filter\":{\"findAny\":1},\"message\":\"\"}",
             "filter.findAny must be a boolean, not a number");
    bad_send("{\"filter\":{},\"message\":\"\",\"preserveOrder\":0}",
             "preserveOrder must be a boolean, not a number");
    bad_send("{\"filter\":{\"exclude\":{}},\"message\":\"\"}",
             "filter.exclude must be an array, not an object");
    bad_send("{\"filter\":{\"exclude\":[" CLIENT ",null]},\"message\":\"\"}",
             "filter.exclude[1] is missing");
    bad_send("{\"filter\":{\"exclude\":[\"x\"]},\"message\":\"\"}",
             "filter.exclude[0] must be an object, not a string");
    bad_send("{\"filter\":{\"exclude\":[" CLIENT "," CLIENT ",{" WS "," ACC
             ",\"deviceId\":\"\"," APP "}]},\"message\":\"\"}",
             "filter.exclude[2].deviceId must not be empty");
    bad_send("{\"filter\":{\"exclude\":[{" WS "," ACC "," DEV "}]},\"message\":\"\"}",
             "filter.exclude[0].applicationId is missing");
}

static void test_exclude_limit(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 4; n++) {
        struct buf text = {0};
        enum err e;

        buf_add(&text, BYTES("{\"message\":\"\",\"filter\":{\"exclude\":["));
        for (size_t i = 0; i < n; i++)
            buf_printf(&text, "%s%s", i ? "," : "", CLIENT);
        buf_add(&text, BYTES("]}}"));
        buf_add_char(&text, 0);
        e = send_as(text.at);
        if (n <= 3)
            assert_int_equal(e, ERR_OK);
        else
            refused(e, ERR_TOO_BIG,
                    "filter.exclude has more than 3 entries (pushca.limits.exclude-entries)");
        buf_fini(&text);
    }
}

static void test_id_limit(void **state)
{
    (void)state;
    assert_int_equal(send_as("{\"id\":\"1234\",\"filter\":{},\"message\":\"\"}"), ERR_OK);
    assert_int_equal(send_as("{\"id\":\"12345\",\"filter\":{},\"message\":\"\"}"), ERR_OK);
    refused(send_as("{\"id\":\"123456\",\"filter\":{},\"message\":\"\"}"), ERR_TOO_BIG,
            "id is longer than 5 bytes (pushca.limits.id-bytes)");
    assert_int_equal(acked_as("{\"id\":\"12345\",\"client\":" CLIENT ",\"message\":\"\"}"), ERR_OK);
    refused(acked_as("{\"id\":\"123456\",\"client\":" CLIENT ",\"message\":\"\"}"), ERR_TOO_BIG,
            "id is longer than 5 bytes (pushca.limits.id-bytes)");
}

static void test_acked(void **state)
{
    struct acked_body b;

    (void)state;
    assert_int_equal(body_read_acked(&reader,
                                     value("{\"client\":" CLIENT ",\"id\":\"m1\",\"message\":\"x\","
                                           "\"preserveOrder\":true,\"sender\":null}"),
                                     &b),
                     ERR_OK);
    is_client(&b.client);
    assert_text(b.id, BYTES("m1"), "id");
    assert_text(b.message, BYTES("x"), "message");
    assert_true(b.order.preserved);
    memset(&b, 0xee, sizeof(b));
    assert_int_equal(
        body_read_acked(&reader, value("{\"client\":" CLIENT ",\"id\":null,\"message\":\"\"}"), &b),
        ERR_OK);
    assert_int_equal(b.id.len, 0);
    assert_int_equal(b.message.len, 0);
    assert_false(b.order.preserved);

    bad_acked("true", "the body must be an object, not a boolean");
    bad_acked("{\"message\":\"\"}", "client is missing");
    bad_acked("{\"Client\":" CLIENT ",\"message\":\"\"}", "client is missing");
    bad_acked("{\"client\":{" ACC "," DEV "," APP "},\"message\":\"\"}",
              "client.workSpaceId is missing");
    bad_acked("{\"client\":" CLIENT "}", "message is missing");
    bad_acked("{\"client\":" CLIENT ",\"message\":[]}", "message must be a string, not an array");
    bad_acked("{\"client\":" CLIENT ",\"message\":\"\",\"id\":true}",
              "id must be a string, not a boolean");
    bad_acked("{\"client\":" CLIENT ",\"message\":\"\",\"preserveOrder\":\"\"}",
              "preserveOrder must be a boolean, not a string");
}

static void test_envelopes(void **state)
{
    struct envelopes_body b;

    (void)state;
    assert_int_equal(
        body_read_envelopes(&reader,
                            value("{\"envelopes\":[{\"client\":" CLIENT
                                  ",\"message\":\"1\"},{\"message\":\"\",\"client\":{"
                                  "\"workSpaceId\":\"other\"," ACC "," DEV "," APP "}}]}"),
                            &b),
        ERR_OK);
    assert_int_equal(b.count, 2);
    is_client(&b.at[0].client);
    assert_text(b.at[0].message, BYTES("1"), "first");
    assert_text(b.at[1].client.dim[WORKSPACE], BYTES("other"), "second");
    assert_int_equal(b.at[1].message.len, 0);

    bad_envelopes("[]", "the body must be an object, not an array");
    bad_envelopes("{}", "envelopes is missing");
    bad_envelopes("{\"envelopes\":null}", "envelopes is missing");
    bad_envelopes("{\"envelopes\":{}}", "envelopes must be an array, not an object");
    bad_envelopes("{\"envelopes\":[]}", "envelopes must not be empty");
    bad_envelopes("{\"envelopes\":[3]}", "envelopes[0] must be an object, not a number");
    bad_envelopes("{\"envelopes\":[null]}", "envelopes[0] is missing");
    bad_envelopes("{\"envelopes\":[{\"message\":\"\"}]}", "envelopes[0].client is missing");
    bad_envelopes("{\"envelopes\":[{\"client\":" CLIENT "}]}", "envelopes[0].message is missing");
    bad_envelopes("{\"envelopes\":[{\"client\":" CLIENT ",\"message\":\"\"},{\"client\":{" WS
                  "," ACC ",\"deviceId\":\"\"," APP "},\"message\":\"\"}]}",
                  "envelopes[1].client.deviceId must not be empty");
}

static void test_envelopes_limit(void **state)
{
#define ENVELOPE "{\"client\":" CLIENT ",\"message\":\"\"}"
    (void)state;
    assert_int_equal(envelopes_as("{\"envelopes\":[" ENVELOPE "]}"), ERR_OK);
    assert_int_equal(envelopes_as("{\"envelopes\":[" ENVELOPE "," ENVELOPE "]}"), ERR_OK);
    refused(envelopes_as("{\"envelopes\":[" ENVELOPE "," ENVELOPE "," ENVELOPE "]}"), ERR_TOO_BIG,
            "envelopes has more than 2 entries (pushca.limits.envelopes)");
}

static void ack_is(const char *text, enum err wanted, const char *id_or_sentence)
{
    struct bytes id = {0};
    enum err e = body_read_ack(&reader, value(text), &id);

    if (wanted) {
        refused(e, wanted, id_or_sentence);
    } else {
        assert_int_equal(e, ERR_OK);
        assert_text(id, bytes_text(id_or_sentence), text);
    }
}

static void test_ack(void **state)
{
    struct bytes id;

    (void)state;
    ack_is("{\"messageId\":\"m1-0\",\"id\":\"no\"}", ERR_OK, "m1-0");
    ack_is("{\"messageId\":\"12345\"}", ERR_OK, "12345");
    ack_is("{\"messageId\":\"123456\"}", ERR_TOO_BIG,
           "messageId is longer than 5 bytes (pushca.limits.id-bytes)");
    ack_is("{}", ERR_BAD, "messageId is missing");
    ack_is("{\"messageId\":null}", ERR_BAD, "messageId is missing");
    ack_is("{\"messageId\":\"\"}", ERR_BAD, "messageId must not be empty");
    ack_is("{\"messageId\":1}", ERR_BAD, "messageId must be a string, not a number");
    ack_is("[]", ERR_BAD, "the body must be an object, not an array");
    why = (struct problem){0};
    refused(body_read_ack(&reader, (struct json_value){0}, &id), ERR_BAD, "messageId is missing");
}

static int open_parser(void **state)
{
    (void)state;
    parser = json_new(64);
    arena_init(&arena);
    return 0;
}

static int close_parser(void **state)
{
    (void)state;
    json_free(parser);
    arena_fini(&arena);
    padded_free(kept);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_takes_the_printed_example),
        cmocka_unit_test(test_open_refusals),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_dimension_limit),
        cmocka_unit_test(test_pool_size),
        cmocka_unit_test(test_send),
        cmocka_unit_test(test_sender_is_never_refused),
        cmocka_unit_test(test_send_with_the_least),
        cmocka_unit_test(test_send_refusals),
        cmocka_unit_test(test_exclude_limit),
        cmocka_unit_test(test_id_limit),
        cmocka_unit_test(test_acked),
        cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_envelopes_limit),
        cmocka_unit_test(test_ack),
    };

    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
