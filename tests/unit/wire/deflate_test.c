#include "wire/deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "wire/deflater.h"
#include "wire/inflater.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINE         "Sec-WebSocket-Extensions: "
#define D            "permessage-deflate"
#define S_ONCE       "; server_no_context_takeover"
#define C_ONCE       "; client_no_context_takeover"
#define S_BITS       "; server_max_window_bits"
#define C_BITS       "; client_max_window_bits"

/* Everything is allowed and nothing asked for. */
static const struct deflate_settings open_minded = {
    .enabled = true, .server_bits = 15, .client_bits = 15, .memory_bytes = 1 << 20};

/* The answer to these header lines without "Sec-WebSocket-Extensions: " and CRLF, "" for none,
   or "400". */
static const char *answer(const struct deflate_settings *s, const char *lines)
{
    static char text[DEFLATE_ANSWER_MAX + 1];
    struct http1_limits limits = {8192, 16384, 10};
    struct http1_field fields[10];
    struct http1_request r;
    struct http1_bad bad = {0, NULL};
    struct deflate_terms t;
    size_t scanned = 0, used = 0, len;
    char head[2048];

    snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    assert_int_equal(http1_read_head(bytes_text(head), &limits, fields, &r, &scanned, &used, &bad),
                     HTTP1_DONE);
    memset(&t, 'x', sizeof(t));
    if (!deflate_negotiate(&r, s, &t, &bad)) {
        assert_int_equal(bad.status, 400);
        assert_non_null(bad.why);
        return "400";
    }
    len = deflate_write_answer(text, &t);
    assert_true(len <= DEFLATE_ANSWER_MAX);
    text[len] = '\0';
    assert_int_equal(len > 0, deflate_is_agreed(&t));
    if (len == 0)
        return "";
    assert_memory_equal(text, LINE, sizeof(LINE) - 1);
    assert_string_equal(text + len - 2, "\r\n");
    text[len - 2] = '\0';
    return text + sizeof(LINE) - 1;
}

struct exchange {
    const char *offer, *answer;
};

static void assert_exchanges(const struct deflate_settings *s, const struct exchange *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char lines[1024];
        const char *got;

        snprintf(lines, sizeof(lines), LINE "%s\r\n", e[i].offer);
        got = answer(s, lines);
        if (strcmp(got, e[i].answer) != 0)
            fail_msg("%s\n  got    %s\n  wanted %s", e[i].offer, got, e[i].answer);
    }
}

static void offers_are_accepted_as_they_are(void **state)
{
    static const struct exchange cases[] = {
        {D, D},
        {D S_ONCE, D S_ONCE},
        {D C_ONCE, D C_ONCE},
        {D C_ONCE S_ONCE, D S_ONCE C_ONCE},
        {D S_BITS "=15", D S_BITS "=15"},
        {D S_BITS "=9", D S_BITS "=9"},
        {D S_BITS "=\"10\"", D S_BITS "=10"},
        {D S_BITS "=\"\\1\\1\"", D S_BITS "=11"},
        {D C_BITS, D},
        {D C_BITS "=15", D},
        {D C_BITS "=14", D C_BITS "=14"},
        {D C_BITS "=8", D C_BITS "=8"},
        {D " ;server_max_window_bits = 12 ;\tclient_max_window_bits", D S_BITS "=12"},
        {D S_ONCE C_ONCE S_BITS "=10" C_BITS "=11", D S_ONCE C_ONCE S_BITS "=10" C_BITS "=11"},
        {",, " D " ,", D},
    };

    (void)state;
    assert_exchanges(&open_minded, cases, COUNT(cases));
}

static void an_offer_nobody_can_meet_is_passed_over(void **state)
{
    static const struct exchange cases[] = {
        {"x-webkit-deflate-frame", ""},
        {"Permessage-Deflate", ""},
        {D "; unknown", ""},
        {D "; Server_no_context_takeover", ""},
        {D S_ONCE S_ONCE, ""},
        {D S_ONCE "=1", ""},
        {D C_ONCE "=true", ""},
        {D S_BITS, ""},
        {D S_BITS "=8", ""}, /* zlib cannot */
        {D S_BITS "=7", ""},
        {D S_BITS "=16", ""},
        {D S_BITS "=09", ""},
        {D S_BITS "=010", ""},
        {D S_BITS "=+9", ""},
        {D S_BITS "=9x", ""},
        {D S_BITS "=10" S_BITS "=10", ""},
        {D C_BITS "=0", ""},
        {D C_BITS "=1", ""},
        {D C_BITS "=150", ""},
        {D C_BITS "=\"16\"", ""},
        {D C_BITS C_BITS, ""},
        {D "; unknown, " D S_ONCE ", " D, D S_ONCE},
        {D S_BITS "=8, " D, D},
        {"other; a=b; c=\"d\", " D C_ONCE, D C_ONCE},
    };

    (void)state;
    assert_exchanges(&open_minded, cases, COUNT(cases));
}

static void wrong_syntax_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        " , ,",
        ";",
        "a;",
        "a; ;b",
        "a b",
        "a=b",
        "a; b=",
        "a; b==c",
        "a; =c",
        "a; b=\"",
        "a; b=\"c",
        "a; b=\"\"",
        "a; b=\"c d\"",
        "a; b=\"c\\\"",
        "a; b=\"c\\",
        "a; b=\"c\"d",
        "a; b=c d",
        "a/b",
        "\"a\"",
        "(a)",
        "a; b@",
        "permessage-deflate, a b",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char lines[256];
        struct deflate_settings off = {.enabled = false};

        snprintf(lines, sizeof(lines), LINE "%s\r\n", cases[i]);
        if (strcmp(answer(&open_minded, lines), "400") != 0)
            fail_msg("accepted: %s", cases[i]);
        assert_string_equal(answer(&off, lines), "400");
        assert_string_equal(answer(NULL, lines), "400");
    }
}

static void fields_add_up_to_one_list(void **state)
{
    (void)state;
    assert_string_equal(answer(&open_minded, ""), "");
    assert_string_equal(answer(&open_minded,
                               "sec-websocket-extensions: a\r\n"
                               "SEC-WEBSOCKET-EXTENSIONS: " D C_ONCE "\r\n" LINE D "\r\n"),
                        D C_ONCE);
    assert_string_equal(answer(&open_minded, LINE D "\r\n" LINE "a b\r\n"), "400");
    assert_string_equal(answer(&open_minded, LINE "\r\n" LINE D "\r\n"), D);
}

static void what_is_off_is_never_agreed(void **state)
{
    struct deflate_settings off = open_minded;

    (void)state;
    off.enabled = false;
    assert_string_equal(answer(&off, LINE D "\r\n"), "");
    assert_string_equal(answer(NULL, LINE D "\r\n"), "");
}

static void the_operator_may_ask_for_less(void **state)
{
    static const struct exchange forgetful[] = {
        {D, D S_ONCE C_ONCE},
        {D C_BITS S_BITS "=15", D S_ONCE C_ONCE S_BITS "=15"},
    };
    static const struct exchange narrow[] = {
        {D C_BITS, D S_BITS "=10" C_BITS "=11"},
        {D C_BITS "=9" S_BITS "=15", D S_BITS "=10" C_BITS "=9"},
        {D C_BITS "=12" S_BITS "=9", D S_BITS "=9" C_BITS "=11"},
        {D, ""}, /* cannot be told its window */
        {D ", " D C_BITS, D S_BITS "=10" C_BITS "=11"},
    };
    struct deflate_settings s = open_minded;

    (void)state;
    s.server_forgets = s.client_forgets = true;
    assert_exchanges(&s, forgetful, COUNT(forgetful));
    s = open_minded;
    s.server_bits = 10;
    s.client_bits = 11;
    assert_exchanges(&s, narrow, COUNT(narrow));
}

/* Of every bound: what is agreed fits, and nothing is declined that could fit. */
static void terms_fit_the_bound_on_memory(void **state)
{
    static const struct exchange of_64k[] = {
        {D C_BITS, D S_BITS "=12" C_BITS "=14"},
        {D S_ONCE, D S_ONCE},
        {D, D S_BITS "=11"},
    };
    struct deflate_settings s = open_minded;
    size_t least = inflater_bytes(9), wide = inflater_bytes(15);

    (void)state;
    s.memory_bytes = 65536;
    assert_exchanges(&s, of_64k, COUNT(of_64k));
    s.memory_bytes = least;
    assert_string_equal(answer(&s, LINE D C_BITS "\r\n"), D S_ONCE S_BITS "=9" C_BITS "=9");
    assert_string_equal(answer(&s, LINE D "\r\n"), "");
    s.memory_bytes = least - 1;
    assert_string_equal(answer(&s, LINE D C_BITS "\r\n"), "");
    s.memory_bytes = wide;
    assert_string_equal(answer(&s, LINE D S_ONCE "\r\n"), D S_ONCE);
    assert_string_equal(answer(&s, LINE D "\r\n"), D S_ONCE S_BITS "=9");
    s.memory_bytes = wide - 1;
    assert_string_equal(answer(&s, LINE D S_ONCE "\r\n"), "");
    s.memory_bytes = wide + deflater_bytes(15);
    assert_string_equal(answer(&s, LINE D "\r\n"), D);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_are_accepted_as_they_are),
        cmocka_unit_test(an_offer_nobody_can_meet_is_passed_over),
        cmocka_unit_test(wrong_syntax_is_refused),
        cmocka_unit_test(fields_add_up_to_one_list),
        cmocka_unit_test(what_is_off_is_never_agreed),
        cmocka_unit_test(the_operator_may_ask_for_less),
        cmocka_unit_test(terms_fit_the_bound_on_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
