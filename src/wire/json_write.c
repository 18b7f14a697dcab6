#include "wire/json_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/eight.h"

struct json_writer json_writer(struct buf *out)
{
    return (struct json_writer){.out = out};
}

static void separate(struct json_writer *w)
{
    if (w->comma)
        buf_add_char(w->out, ',');
    w->comma = true;
}

static void open_with(struct json_writer *w, char bracket)
{
    separate(w);
    buf_add_char(w->out, bracket);
    w->comma = false;
}

static void close_with(struct json_writer *w, char bracket)
{
    buf_add_char(w->out, bracket);
    w->comma = true;
}

void json_open_object(struct json_writer *w)
{
    open_with(w, '{');
}

void json_close_object(struct json_writer *w)
{
    close_with(w, '}');
}

void json_open_array(struct json_writer *w)
{
    open_with(w, '[');
}

void json_close_array(struct json_writer *w)
{
    close_with(w, ']');
}

/* The letter of a two-character escape, 'u' for the long form, 0 for a byte that stays as it is. */
static char escape_letter(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return c < 0x20 ? 'u' : 0;
    }
}

static void add_escape(struct buf *out, unsigned char c, char letter)
{
    static const char hex[] = "0123456789abcdef";

    buf_add_char(out, '\\');
    buf_add_char(out, letter);
    if (letter == 'u') {
        buf_add(out, BYTES("00"));
        buf_add_char(out, hex[c >> 4]);
        buf_add_char(out, hex[c & 15]);
    }
}

/* Does a byte of these eight need a look: a control, a quote, a backslash, an '@'? */
static bool needs_look(const char *at)
{
    uint64_t eight;

    memcpy(&eight, at, sizeof(eight));
    return eight_controls(eight) | eight_equal(eight, '"') | eight_equal(eight, '\\') |
           eight_equal(eight, '@');
}

/* Runs of plain bytes are added whole. An escaped '@' does not count as one for the next. */
static void add_escaped(const struct json_writer *w, struct bytes text)
{
    struct buf *out = w->out;
    size_t run = 0, i = 0;
    bool after_at = false;

    while (i < text.len) {
        unsigned char c = (unsigned char)text.at[i];
        char letter;

        if (text.len - i >= sizeof(uint64_t) && !needs_look(text.at + i)) {
            after_at = false;
            i += sizeof(uint64_t);
            continue;
        }
        letter = escape_letter(c);
        if (after_at && c == '@' && !w->keep_at)
            letter = 'u';
        after_at = c == '@' && !letter;
        if (letter) {
            buf_add(out, bytes_of(text.at + run, i - run));
            add_escape(out, c, letter);
            run = i + 1;
        }
        i++;
    }
    if (text.len)
        buf_add(out, bytes_of(text.at + run, text.len - run));
}

static void add_string(const struct json_writer *w, struct bytes text)
{
    buf_add_char(w->out, '"');
    add_escaped(w, text);
    buf_add_char(w->out, '"');
}

void json_key(struct json_writer *w, const char *name)
{
    separate(w);
    add_string(w, bytes_text(name));
    buf_add_char(w->out, ':');
    w->comma = false;
}

void json_text(struct json_writer *w, struct bytes text)
{
    separate(w);
    add_string(w, text);
}

void json_text_and(struct json_writer *w, struct bytes text, struct bytes plain)
{
    separate(w);
    buf_add_char(w->out, '"');
    add_escaped(w, text);
    buf_add(w->out, plain);
    buf_add_char(w->out, '"');
}

void json_number(struct json_writer *w, int64_t n)
{
    separate(w);
    if (n < 0)
        buf_add_char(w->out, '-');
    buf_add_number(w->out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

/* What is not finite has no number in JSON. */
void json_real(struct json_writer *w, double n)
{
    char text[400]; /* the largest double has 309 digits before the point */
    size_t len;

    if (!isfinite(n)) {
        json_null(w);
        return;
    }
    len = (size_t)snprintf(text, sizeof(text), "%.6f", n);
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    separate(w);
    if (bytes_equal(bytes_of(text, len), BYTES("-0")))
        buf_add_char(w->out, '0');
    else
        buf_add(w->out, bytes_of(text, len));
}

void json_flag(struct json_writer *w, bool b)
{
    separate(w);
    buf_add(w->out, b ? BYTES("true") : BYTES("false"));
}

void json_null(struct json_writer *w)
{
    separate(w);
    buf_add(w->out, BYTES("null"));
}

void json_member(struct json_writer *w, const char *name, struct bytes text)
{
    json_key(w, name);
    json_text(w, text);
}
