/*
 * doors - scenarios that come in by HTTP: notifications, multicasts, opening a connection, and the
 *         WebSocket handshake.
 */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "hub/shard.h"
#include "scenario.h"
#include "sim/sim.h"
#include "stage.h"

enum {
    CALLERS = 50,
    CROWD = 1000,       /* receivers of a multicast */
    REGISTERED = 10000, /* clients that a filter chooses from */
    MATCHES = 10,
    TEXT = 128,
    INTERNAL_ID = 38,
};

static struct peer callers[CALLERS], receivers[CROWD];
static struct buf frames[CALLERS];

static const char *const one_shard[] = {"pushca.pusher.shards=1", NULL};

static const char *message(int n)
{
    static char text[TEXT + 1];

    snprintf(text, sizeof(text), "%04d: %-*s.", n, TEXT - 7, "a message as long as most of them");
    return text;
}

static void write_client(struct buf *out, const char *name, const struct identity *who)
{
    buf_printf(out,
               "\"%s\":{\"workSpaceId\":\"%.*s\",\"accountId\":\"%.*s\",\"deviceId\":\"%.*s\","
               "\"applicationId\":\"%.*s\"}",
               name, (int)who->dim[0].len, who->dim[0].at, (int)who->dim[1].len, who->dim[1].at,
               (int)who->dim[2].len, who->dim[2].at, (int)who->dim[3].len, who->dim[3].at);
}

static void open_caller(int n, const char *path, const struct buf *body)
{
    stage_call(&callers[n], 0);
    stage_write_post(&callers[n].says, path, buf_bytes(body));
    callers[n].learns = true;
}

/* ---- POST /send-notification, to one client each ---- */

static void open_http(void)
{
    struct buf body = {0};
    int i;

    for (i = 0; i < CALLERS; i++) {
        struct identity who = stage_identity(i, i);

        stage_connect(&receivers[i], &who, 0);
        body.len = 0;
        buf_add_char(&body, '{');
        write_client(&body, "filter", &who);
        buf_printf(&body, ",\"message\":\"%s\"}", message(i));
        open_caller(i, "/send-notification", &body);
        stage_write_frame(&frames[i], bytes_text(message(i)), BYTES(""));
        receivers[i].hears = buf_bytes(&frames[i]);
    }
    buf_fini(&body);
}

static void round_of_http(void)
{
    int i;

    for (i = 0; i < CALLERS; i++)
        stage_say(&callers[i]);
    stage_run(callers, CALLERS);
    stage_run(receivers, CALLERS);
}

const struct scenario scenario_http = {
    "http", "POST and its delivery", one_shard, open_http, round_of_http, CALLERS, 20, 2000};

/* ---- POST /send-notification-with-acknowledge ---- */

static size_t id_at;

static void answer_all(void)
{
    int i;

    stage_run(receivers, CALLERS);
    for (i = 0; i < CALLERS; i++) {
        stage_change_text(&receivers[i], id_at, bytes_of(receivers[i].came, INTERNAL_ID));
        stage_say(&receivers[i]);
    }
}

static void open_http_acked(void)
{
    struct buf text = {0};
    int i;

    for (i = 0; i < CALLERS; i++) {
        struct identity who = stage_identity(i, i);
        struct peer *r = &receivers[i];

        stage_connect(r, &who, 0);
        text.len = 0;
        buf_printf(&text, "{\"command\":\"ACKNOWLEDGE\",\"metaData\":{\"messageId\":\"");
        id_at = text.len;
        buf_printf(&text, "%*s\"}}", INTERNAL_ID, "");
        stage_set_text(r, buf_bytes(&text));
        text.len = 0;
        buf_printf(&text, "%*s@@%s", INTERNAL_ID, "", message(i));
        stage_write_frame(&frames[i], buf_bytes(&text), BYTES(""));
        r->hears = buf_bytes(&frames[i]);
        r->any_at = frames[i].len - text.len;
        r->any = INTERNAL_ID;

        text.len = 0;
        buf_add_char(&text, '{');
        write_client(&text, "client", &who);
        buf_printf(&text, ",\"message\":\"%s\"}", message(i));
        open_caller(i, "/send-notification-with-acknowledge", &text);
    }
    buf_fini(&text);
}

static void round_of_http_acked(void)
{
    int i;

    for (i = 0; i < CALLERS; i++)
        stage_say(&callers[i]);
    answer_all();
    stage_run(callers, CALLERS);
}

const struct scenario scenario_http_acked = {"http-acked",
                                             "POST, delivery, ACKNOWLEDGE",
                                             one_shard,
                                             open_http_acked,
                                             round_of_http_acked,
                                             CALLERS,
                                             20,
                                             1000};

/* ---- multicasts: one POST to a thousand, and one to few among many ---- */

static void open_crowd(int count, const char *filter)
{
    struct buf body = {0};
    int i;

    stage_write_frame(&frames[0], bytes_text(message(0)), BYTES(""));
    for (i = 0; i < count; i++)
        receivers[i].hears = buf_bytes(&frames[0]);
    buf_printf(&body, "{\"filter\":{%s},\"message\":\"%s\"}", filter, message(0));
    open_caller(0, "/send-notification", &body);
    buf_fini(&body);
}

static void open_fanout(void)
{
    int i;

    for (i = 0; i < CROWD; i++) {
        struct identity who = stage_identity(i, i);

        stage_connect(&receivers[i], &who, 0);
    }
    open_crowd(CROWD, "\"workSpaceId\":\"workSpaceMain\",\"applicationId\":\"MLA_JAVA_HEADLESS\"");
}

static void round_of_fanout(void)
{
    stage_say(&callers[0]);
    stage_run(callers, 1);
    stage_run(receivers, CROWD);
}

const struct scenario scenario_fanout = {
    "fanout", "POST to 1,000 clients", one_shard, open_fanout, round_of_fanout, 1, 5, 20};

/* The others are known, without a socket: that is what the filter has to pass by. */
static void register_others(void)
{
    struct shard *s = sim.hub.shards[0];
    int i;

    for (i = 0; i < REGISTERED - MATCHES; i++) {
        struct identity who = stage_identity(MATCHES + i, MATCHES + i);

        index_get(&s->index, &who, identity_hash(&sim.hub.key, &who));
    }
}

static void open_filter(void)
{
    int i;

    for (i = 0; i < MATCHES; i++) {
        struct identity who = stage_identity(0, i);

        stage_connect(&receivers[i], &who, 0);
    }
    register_others();
    open_crowd(MATCHES, "\"workSpaceId\":\"workSpaceMain\",\"accountId\":\"client0@test.ee\"");
}

static void round_of_filter(void)
{
    stage_say(&callers[0]);
    stage_run(callers, 1);
    stage_run(receivers, MATCHES);
}

const struct scenario scenario_filter = {
    "filter", "POST to 10 of 10,000 clients", one_shard, open_filter, round_of_filter, 1, 50, 500};

/* ---- POST /open-connection ---- */

static void open_open(void)
{
    struct buf body = {0};
    int i;

    for (i = 0; i < CALLERS; i++) {
        struct identity who = stage_identity(i, i);

        body.len = 0;
        buf_add_char(&body, '{');
        write_client(&body, "client", &who);
        buf_add_char(&body, '}');
        open_caller(i, "/open-connection", &body);
    }
    buf_fini(&body);
}

static void round_of_open(void)
{
    int i;

    for (i = 0; i < CALLERS; i++)
        stage_say(&callers[i]);
    stage_run(callers, CALLERS);
}

const struct scenario scenario_open = {
    "open", "POST /open-connection", one_shard, open_open, round_of_open, CALLERS, 4, 500};

/* ---- the handshake, and the end ---- */

static struct peer leaving[CALLERS];

static void open_connect(void)
{
    static const char close[] = {(char)0x88, (char)0x82, 0, 0, 0, 0, 0x03, (char)0xe8};
    static const char closed[] = {(char)0x88, 0x02, 0x03, (char)0xe8};
    int i;

    for (i = 0; i < CALLERS; i++) {
        struct identity who = stage_identity(i, i);

        stage_write_hello(&callers[i].says, &who);
        callers[i].learns = true;
        buf_add(&leaving[i].says, bytes_of(close, sizeof(close)));
        leaving[i].hears = bytes_of(closed, sizeof(closed));
    }
}

static void round_of_connect(void)
{
    int i;

    for (i = 0; i < CALLERS; i++)
        stage_knock(&callers[i], 0);
    stage_run(callers, CALLERS);
    for (i = 0; i < CALLERS; i++) {
        leaving[i].fd = callers[i].fd;
        stage_say(&leaving[i]);
    }
    stage_run(leaving, CALLERS);
    stage_hang_up(leaving, CALLERS);
}

const struct scenario scenario_connect = {
    "connect", "handshake and close", one_shard, open_connect, round_of_connect, CALLERS, 4, 500};
