/* MQTT 3.1.1 at QoS 0: CONNECT, SUBSCRIBE and PUBLISH, whose sections 3.1, 3.8 and 3.3 the bytes
 * follow. */
#include <stdio.h>
#include <string.h>
#include "load/form.h"
#include "load/target.h"
#include "load/tools.h"

enum { CONNACK = 0x20, PUBLISH = 0x30, SUBSCRIBE = 0x82, SUBACK = 0x90 };

/* "Remaining length", 7 bits a byte. */
static size_t write_length(char *at, size_t n)
{
    size_t used = 0;

    do {
        at[used] = (char)(n & 127);
        n >>= 7;
        if (n)
            at[used] = (char)(at[used] | (char)0x80);
        used++;
    } while (n);
    return used;
}

static size_t write_text(char *at, const char *text)
{
    size_t len = strlen(text);

    at[0] = (char)(len >> 8);
    at[1] = (char)len;
    memcpy(at + 2, text, len);
    return len + 2;
}

static void packet_send(struct link *l, int type, const char *body, size_t len)
{
    char out[256];
    size_t n = 1;

    out[0] = (char)type;
    n += write_length(out + n, len);
    memcpy(out + n, body, len);
    frame_send(l, OPCODE_BINARY, out, n + len);
}

static void subscribe(struct link *l)
{
    char body[64] = {0, 1}, topic[32] = "all";
    size_t n = 2;

    if (l->from != LINK_TO_ALL)
        snprintf(topic, sizeof(topic), "c/%u", l->number);
    n += write_text(body + n, topic);
    body[n++] = 0;
    packet_send(l, SUBSCRIBE, body, n);
}

static void make_form(struct link *l)
{
    char pattern[128], topic[32] = "all";
    size_t n = 1, len = l->pump->options->text_bytes;

    if (l->to != LINK_TO_ALL)
        snprintf(topic, sizeof(topic), "c/%u", l->to);
    pattern[0] = PUBLISH;
    n += write_length(pattern + n, len + 2 + strlen(topic));
    if (memchr(pattern, 0xfe, n) || memchr(pattern, 0xff, n))
        die("mosquitto: this length of text looks like a mark, use one byte more");
    n += write_text(pattern + n, topic);
    pattern[n++] = FORM_TEXT[0];
    form_frame(&l->form, OPCODE_BINARY, pattern, n, len);
}

static void on_packet(struct link *l, int type, char *at, size_t len)
{
    size_t topic;

    if (type == CONNACK) {
        if (len != 2 || at[1] != 0)
            die("mosquitto refused connection %u", l->number);
        subscribe(l);
    } else if (type == SUBACK) {
        make_form(l);
        link_opened(l);
    } else if (type == PUBLISH && len >= 2) {
        topic = (size_t)(unsigned char)at[0] << 8 | (unsigned char)at[1];
        if (topic + 2 <= len)
            l->pump->on_text(l, at + 2 + topic, len - 2 - topic);
    }
}

static size_t take(struct link *l, char *at, size_t len)
{
    size_t head = 1, body = 0, shift = 0;

    do {
        if (head == len || shift > 21)
            return 0;
        body |= (size_t)(at[head] & 127) << shift;
        shift += 7;
    } while (at[head++] & 0x80);
    if (len < head + body)
        return 0;
    on_packet(l, (unsigned char)at[0] & 0xf0, at + head, body);
    return head + body;
}

static void on_frame(struct link *l, int opcode, char *at, size_t len)
{
    (void)opcode;
    stream_add(l, at, len, take);
}

/* CONNECT: protocol MQTT, level 4, clean session, no keep-alive. */
static void opened(struct link *l)
{
    char body[64], name[32];
    size_t n = write_text(body, "MQTT");

    snprintf(name, sizeof(name), "load-%u", l->number);
    memcpy(body + n, "\4\2\0\0", 4);
    n += 4;
    n += write_text(body + n, name);
    packet_send(l, 0x10, body, n);
}

static void greet(struct link *l)
{
    websocket_greet(l, "/", "mqtt", opened);
}

static void prepare(struct link *l)
{
    (void)l;
}

const struct target target_mosquitto = {
    .name = "mosquitto", .prepare = prepare, .greet = greet, .on_frame = on_frame};
