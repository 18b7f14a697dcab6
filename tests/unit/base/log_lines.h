/*
 * log_lines - reads log lines back, by its own idea of both formats.
 *
 * Owner:   the test.      Thread: one.
 */
#pragma once
#include "dice.h"
#include <stdbool.h>
#include "base/bytes.h"
#include "log_words.h"

enum { FIELDS_MAX = 8 };

/* A line taken apart. Values are the bytes that were logged, but that JSON has the replacement
   character for each byte that is no UTF-8. */
struct parsed {
    char time[32], level[8], event[64];
    size_t fields;
    struct {
        char key[32];
        struct word value;
        bool quoted;
    } field[FIELDS_MAX];
};

static inline void check_time(const char *text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    size_t i;

    assert_int_equal(strlen(text), sizeof(shape) - 1);
    for (i = 0; shape[i]; i++)
        if (shape[i] == 'd')
            assert_in_range(text[i], '0', '9');
        else
            assert_int_equal(text[i], shape[i]);
}

/* Both fail the test unless the line is exactly of the format. */
static inline void parse_text(const char *text, size_t len, struct parsed *out)
{
    struct bytes rest = {text, len};

    eat_until(&rest, " ", out->time, sizeof(out->time));
    check_time(out->time);
    assert_true(eat(&rest, " "));
    assert_true(rest.len > 6 && rest.at[5] == ' '); /* a column of five */
    snprintf(out->level, sizeof(out->level), "%.5s", rest.at);
    rest = bytes_of(rest.at + 6, rest.len - 6);
    eat_until(&rest, " \n", out->event, sizeof(out->event));
    for (out->fields = 0; eat(&rest, " "); out->fields++) {
        size_t i = out->fields;

        assert_true(i < FIELDS_MAX);
        eat_until(&rest, "=", out->field[i].key, sizeof(out->field[i].key));
        assert_true(eat(&rest, "="));
        eat_value(&rest, false, &out->field[i].value, &out->field[i].quoted);
    }
    assert_true(eat(&rest, "\n"));
    assert_int_equal(rest.len, 0);
}

static inline void parse_json(const char *text, size_t len, struct parsed *out)
{
    struct bytes rest = {text, len};

    assert_true(eat(&rest, "{\"time\":\""));
    eat_until(&rest, "\"", out->time, sizeof(out->time));
    check_time(out->time);
    assert_true(eat(&rest, "\",\"level\":\""));
    eat_until(&rest, "\"", out->level, sizeof(out->level));
    assert_true(eat(&rest, "\",\"event\":\""));
    eat_until(&rest, "\"", out->event, sizeof(out->event));
    assert_true(eat(&rest, "\""));
    for (out->fields = 0; eat(&rest, ",\""); out->fields++) {
        size_t i = out->fields;

        assert_true(i < FIELDS_MAX);
        eat_until(&rest, "\"", out->field[i].key, sizeof(out->field[i].key));
        assert_true(eat(&rest, "\":"));
        eat_value(&rest, true, &out->field[i].value, &out->field[i].quoted);
    }
    assert_true(eat(&rest, "}\n"));
    assert_int_equal(rest.len, 0);
}
