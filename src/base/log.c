#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/meter.h"

enum {
    LINE_BYTES = 4096,
    TAIL_BYTES = 16, /* a closing quote, the word that something was cut, the end of the line */
};

static _Atomic enum log_level least_level = LOG_INFO;
static _Atomic enum log_format line_format = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_columns[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

void log_setup(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
}

bool log_is_json(void)
{
    return line_format == LOG_JSON;
}

/* A line under construction. Past TAIL_BYTES before its end only tail() writes. */
struct line {
    char at[LINE_BYTES];
    size_t len;
    bool cut; /* something did not fit: nothing but the tail may follow */
    bool json;
};

static void add(struct line *l, const char *text, size_t len)
{
    if (l->cut || l->len + len > LINE_BYTES - TAIL_BYTES) {
        l->cut = true;
        return;
    }
    if (len)
        memcpy(l->at + l->len, text, len);
    l->len += len;
}

static void add_text(struct line *l, const char *text)
{
    add(l, text, strlen(text));
}

static void tail(struct line *l, const char *text)
{
    size_t len = strlen(text);

    DCHECK(len <= LINE_BYTES - l->len);
    memcpy(l->at + l->len, text, len);
    l->len += len;
}

/* Of the UTF-8 sequence that starts with this byte; 0 when none does. */
static size_t sequence_bytes(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc0 || first > 0xf7)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The character b starts with (RFC 3629); returns its length, 0 when these bytes are no UTF-8. */
static size_t decode(struct bytes b, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)b.at[0];
    size_t len = sequence_bytes(first), i;
    uint32_t c = len == 1 ? first : first & (0x7fU >> len);

    if (len == 0 || len > b.len)
        return 0;
    for (i = 1; i < len; i++) {
        unsigned char next = (unsigned char)b.at[i];

        if ((next & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (next & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *character = c;
    return len;
}

/* Controls, line ends, and what is invisible or reorders its neighbours: never shown as it is, so
   that no value can forge a line, drive a terminal or look like another. All below 0x10000. */
static bool is_hidden(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0, 0x1f},        {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
                  {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}};
    size_t i;

    for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return true;
    return false;
}

/* A character goes in whole, as itself or escaped, or cuts the line. A byte that is no UTF-8
   becomes \xff in text, and in JSON, which has no word for it, the replacement character. */
static void add_escaped(struct line *l, struct bytes b)
{
    char code[8];
    uint32_t c = 0;
    size_t used;

    for (; b.len && !l->cut; b.at += used, b.len -= used) {
        used = decode(b, &c);
        if (used == 0 && l->json)
            add_text(l, "\\ufffd");
        else if (used == 0)
            add(l, code,
                (size_t)snprintf(code, sizeof(code), "\\x%02x", (unsigned)(unsigned char)b.at[0]));
        else if (is_hidden(c))
            add(l, code, (size_t)snprintf(code, sizeof(code), "\\u%04x", (unsigned)c & 0xffff));
        else if (c == '"' || c == '\\')
            add(l, (char[]){'\\', (char)c}, 2);
        else
            add(l, b.at, used);
        used += used == 0;
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

/* A field that does not fit is left out, but of a text the beginning stays. */
static void add_field(struct line *l, const struct log_field *f)
{
    bool json = l->json, text = f->kind == LOG_FIELD_TEXT;
    bool quoted = text && (json || needs_quotes(f->text));
    size_t before = l->len;
    char number[24];

    add_text(l, json ? ",\"" : " ");
    add_text(l, f->key);
    add_text(l, json ? "\":" : "=");
    if (quoted)
        add_text(l, "\"");
    if (!text) {
        snprintf(number, sizeof(number), "%lld", (long long)f->number);
        add_text(l, number);
    }
    if (l->cut)
        l->len = before;
    else if (text)
        add_escaped(l, f->text);
    if (quoted && l->len > before)
        tail(l, "\"");
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

/* A log nobody reads must not stop the server: a pipe that is full would block the thread, so that
   it is asked first. It has room for a whole line then, unless another thread was quicker. Standard
   error cannot be made non-blocking: that would be so for everybody who shares it. */
static void put(const char *at, size_t len)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t n = -1;

    if (poll(&p, 1, 0) != 0) { /* when nothing can be learned, the write will tell */
        do
            n = write(STDERR_FILENO, at, len);
        while (n < 0 && errno == EINTR);
    }
    if (n != (ssize_t)len)
        meter_add(METER_LOG_LOST, 1);
}

static void compose(struct line *l, enum log_level level, const char *event,
                    const struct log_field *fields)
{
    bool json = l->json;

    add_text(l, json ? "{\"time\":\"" : "");
    add_time(l);
    add_text(l, json ? "\",\"level\":\"" : " ");
    add_text(l, json ? level_names[level] : level_columns[level]);
    add_text(l, json ? "\",\"event\":\"" : " ");
    add_text(l, event);
    add_text(l, json ? "\"" : "");
    for (; fields->key && !l->cut; fields++)
        add_field(l, fields);
    if (l->cut)
        tail(l, json ? ",\"cut\":1" : " cut=1");
    tail(l, json ? "}\n" : "\n");
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct line l = {.json = log_is_json()};

    if (level < least_level)
        return;
    compose(&l, level, event, fields);
    put(l.at, l.len);
}

void log_last(const char *event, const struct log_field *fields)
{
    struct line l = {.json = log_is_json()};

    compose(&l, LOG_ERROR, event, fields);
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
