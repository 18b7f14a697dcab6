/*
 * log_words - the words of a log line, eaten from its front.
 *
 * Owner:   the test.      Thread: one.
 */
#pragma once
#include "dice.h"
#include <stdbool.h>
#include "base/bytes.h"
#include "naive_utf8.h"

enum { WORD_MAX = 3 * 4096 };

struct word {
    char at[WORD_MAX];
    size_t len;
};

/* rest is what is left of a line, eaten from its front. */
static inline bool eat(struct bytes *rest, const char *word)
{
    if (!bytes_starts(*rest, bytes_text(word)))
        return false;
    rest->at += strlen(word);
    rest->len -= strlen(word);
    return true;
}

static inline void eat_until(struct bytes *rest, const char *ends_it, char *out, size_t size)
{
    size_t n = 0;

    while (rest->len && !strchr(ends_it, rest->at[0])) {
        assert_true(n < size - 1);
        out[n++] = rest->at[0];
        rest->at++;
        rest->len--;
    }
    out[n] = 0;
    assert_true(rest->len > 0);
}

static inline uint32_t eat_hex(struct bytes *rest, size_t digits)
{
    char text[5] = {0};
    char *end;
    uint32_t value;

    assert_true(rest->len >= digits);
    memcpy(text, rest->at, digits);
    value = (uint32_t)strtoul(text, &end, 16);
    assert_ptr_equal(end, text + digits);
    rest->at += digits;
    rest->len -= digits;
    return value;
}

/* One character of a quoted value, escaped or not. \x stands for one byte, and only in text. */
static inline void eat_character(struct bytes *rest, bool json, struct word *w)
{
    uint32_t c = 0;
    size_t used;

    assert_true(w->len + 4 <= sizeof(w->at));
    if (!json && eat(rest, "\\x")) {
        w->at[w->len++] = (char)eat_hex(rest, 2);
    } else if (eat(rest, "\\u")) {
        w->len += encode(w->at + w->len, eat_hex(rest, 4));
    } else if (eat(rest, "\\\"")) {
        w->at[w->len++] = '"';
    } else if (eat(rest, "\\\\")) {
        w->at[w->len++] = '\\';
    } else {
        used = sequence_at(*rest, &c);
        assert_true(used > 0);
        assert_true(c >= 0x20 && c != '\\' && c != '"' && (c < 0x7f || c > 0x9f));
        memcpy(w->at + w->len, rest->at, used);
        w->len += used;
        rest->at += used;
        rest->len -= used;
    }
}

static inline void eat_value(struct bytes *rest, bool json, struct word *w, bool *quoted)
{
    w->len = 0;
    *quoted = eat(rest, "\"");
    if (*quoted) {
        while (!eat(rest, "\""))
            eat_character(rest, json, w);
        return;
    }
    while (rest->len && !strchr(json ? ",}" : " \n", rest->at[0])) {
        unsigned char c = (unsigned char)rest->at[0];

        assert_true(c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=');
        assert_true(w->len < sizeof(w->at));
        w->at[w->len++] = (char)c;
        rest->at++;
        rest->len--;
    }
}
