#include "base/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

enum { LINE_BYTES = 4096 };

static enum log_level least_level = LOG_INFO;
static enum log_format line_format = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_columns[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

void log_setup(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
}

/* A line under construction; what does not fit is left out. Two bytes are kept for its end. */
struct line {
    char at[LINE_BYTES];
    size_t len;
};

static void add(struct line *l, const char *text, size_t len)
{
    if (l->len + len > LINE_BYTES - 3)
        return;
    memcpy(l->at + l->len, text, len);
    l->len += len;
}

static void add_text(struct line *l, const char *text)
{
    add(l, text, strlen(text));
}

/* Only what is printable ASCII stands for itself: nothing can forge a line or a terminal command.
 */
static void add_escaped(struct line *l, struct bytes b)
{
    size_t i;

    for (i = 0; i < b.len; i++) {
        unsigned char c = (unsigned char)b.at[i];
        char code[8];

        if (c == '"' || c == '\\')
            add(l, (char[]){'\\', (char)c}, 2);
        else if (c >= 0x20 && c < 0x7f)
            add(l, (const char *)&c, 1);
        else
            add(l, code, (size_t)snprintf(code, sizeof(code), "\\u%04x", c));
    }
}

static bool needs_quotes(struct bytes b)
{
    size_t i;

    for (i = 0; i < b.len; i++) {
        unsigned char c = (unsigned char)b.at[i];

        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return true;
    }
    return b.len == 0;
}

static void add_value(struct line *l, const struct log_field *f)
{
    char number[24];

    if (f->kind == LOG_FIELD_NUMBER) {
        snprintf(number, sizeof(number), "%lld", (long long)f->number);
        add_text(l, number);
    } else if (line_format == LOG_JSON || needs_quotes(f->text)) {
        add_text(l, "\"");
        add_escaped(l, f->text);
        add_text(l, "\"");
    } else {
        add(l, f->text.at, f->text.len);
    }
}

static void add_time(struct line *l)
{
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    char text[40];
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(now % 1000));
    add_text(l, text);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct line l = {.len = 0};
    bool json = line_format == LOG_JSON;

    if (level < least_level)
        return;
    add_text(&l, json ? "{\"time\":\"" : "");
    add_time(&l);
    add_text(&l, json ? "\",\"level\":\"" : " ");
    add_text(&l, json ? level_names[level] : level_columns[level]);
    add_text(&l, json ? "\",\"event\":\"" : " ");
    add_text(&l, event);
    add_text(&l, json ? "\"" : "");
    for (; fields->key; fields++) {
        size_t before = l.len;

        add_text(&l, json ? ",\"" : " ");
        add_text(&l, fields->key);
        add_text(&l, json ? "\":" : "=");
        add_value(&l, fields);
        if (l.len > LINE_BYTES - 16) { /* may have been cut: leave the whole field out */
            l.len = before;
            break;
        }
    }
    memcpy(l.at + l.len, json ? "}\n" : "\n", json ? 2 : 1);
    l.len += json ? 2 : 1;
    /* A log nobody can read must not stop the server. */
    (void)!write(STDERR_FILENO, l.at, l.len);
}

bool log_may(struct log_limit *limit, int64_t now_ms, int64_t *held_back)
{
    int64_t open_at = atomic_load(&limit->open_at_ms);

    if (now_ms < open_at ||
        !atomic_compare_exchange_strong(&limit->open_at_ms, &open_at, now_ms + 1000)) {
        atomic_fetch_add(&limit->held_back, 1);
        return false;
    }
    *held_back = atomic_exchange(&limit->held_back, 0);
    return true;
}
