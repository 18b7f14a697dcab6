/* The NATS client protocol, as its documentation has it: lines, and MSG with a payload behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load/form.h"
#include "load/target.h"
#include "load/tools.h"

static void say(struct link *l, const char *text)
{
    frame_send(l, OPCODE_BINARY, text, strlen(text));
}

static void make_form(struct link *l)
{
    char pattern[96];

    if (l->to == LINK_TO_ALL)
        snprintf(pattern, sizeof(pattern), "PUB all %u\r\n" FORM_TEXT "\r\n",
                 l->pump->options->text_bytes);
    else
        snprintf(pattern, sizeof(pattern), "PUB c.%u %u\r\n" FORM_TEXT "\r\n", l->to,
                 l->pump->options->text_bytes);
    form_frame(&l->form, OPCODE_BINARY, pattern, strlen(pattern), l->pump->options->text_bytes);
}

/* The server has read everything up to our PING: the subscription stands. */
static void on_pong(struct link *l)
{
    if (l->state == LINK_OPEN)
        return;
    make_form(l);
    link_opened(l);
}

/* One line, or one message with its line. */
static size_t take(struct link *l, char *at, size_t len)
{
    char *end = memmem(at, len, "\r\n", 2), *count;
    size_t line, payload;

    if (!end)
        return 0;
    line = (size_t)(end - at) + 2;
    if (line >= 4 && memcmp(at, "MSG ", 4) == 0) {
        count = memrchr(at, ' ', line);
        payload = strtoul(count, NULL, 10);
        if (len < line + payload + 2)
            return 0;
        l->pump->on_text(l, at + line, payload);
        return line + payload + 2;
    }
    if (memcmp(at, "PING", 4) == 0)
        say(l, "PONG\r\n");
    else if (memcmp(at, "PONG", 4) == 0)
        on_pong(l);
    else if (memcmp(at, "-ERR", 4) == 0)
        die("nats: %.*s", (int)line, at);
    return line;
}

static void on_frame(struct link *l, int opcode, char *at, size_t len)
{
    (void)opcode;
    stream_add(l, at, len, take);
}

static void opened(struct link *l)
{
    char out[128];

    if (l->from == LINK_TO_ALL)
        snprintf(out, sizeof(out), "CONNECT {\"verbose\":false}\r\nSUB all 1\r\nPING\r\n");
    else
        snprintf(out, sizeof(out), "CONNECT {\"verbose\":false}\r\nSUB c.%u 1\r\nPING\r\n",
                 l->number);
    say(l, out);
}

static void greet(struct link *l)
{
    websocket_greet(l, "/", NULL, opened);
}

static void prepare(struct link *l)
{
    (void)l;
}

const struct target target_nats = {
    .name = "nats", .prepare = prepare, .greet = greet, .on_frame = on_frame};
