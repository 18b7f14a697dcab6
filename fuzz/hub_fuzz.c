/*
 * hub - bytes become people who come, send, acknowledge, stall, break off and let time pass, at the
 * real hub, api and protocols on a fake kernel. Nobody gets what is not for him, or twice, or out
 * of order, or changed; whoever takes everything gets everything; "acknowledged" is never a lie; no
 * request stays without an answer; and in the end nothing is left.
 */
#include "base/mem.h"
#include "hub/people.h"
#include "hub/world.h"
#include "input.h"
#include "wire/ws.h"

enum { STEPS_MAX = 300, BATCH_BYTES = 100000, REPEAT_MS = 50000, ENVELOPES = 3 };

static struct input in;
static struct buf text; /* what is about to be said */
static size_t batch;    /* bytes said since all was quiet */

/* ---- who ---- */

static struct peer *some_client(void)
{
    return &peers[input_byte(&in) % CALLERS_FROM];
}

static struct peer *some_caller(void)
{
    return &peers[CALLERS_FROM + input_byte(&in) % (PEERS - CALLERS_FROM)];
}

static bool may_speak(const struct peer *p)
{
    return p->kind >= PEER_CLIENT && !p->wild && !p->leaving && !p->tail.len;
}

/* A caller that waits for an outcome would have what follows acted on later. */
static bool may_ask(const struct peer *p)
{
    return may_speak(p) && p->asked_len < ASKED - 1 &&
           (p->asked_len == 0 || p->asked[p->asked_len - 1].what != ASKED_ACKED);
}

/* ---- what ---- */

static unsigned some_filler(void)
{
    static const unsigned sizes[] = {0, 0, 0, 1, 113, 126, 300, 5000, 30000};
    unsigned n = input_byte(&in);

    return n < 250 ? sizes[n % 7] : sizes[7 + n % 2];
}

/* 0: at once, mostly. */
static unsigned some_part(void)
{
    unsigned n = input_byte(&in);

    return n < 200 ? 0 : 1 + (n - 200) * 7;
}

static void add_client(int who)
{
    struct identity id = person(who);

    for (int d = 0; d < DIMENSIONS; d++)
        buf_printf(&text, "%c\"%s\":\"%.*s\"", d ? ',' : '{', dimension_name((enum dimension)d),
                   (int)id.dim[d].len, id.dim[d].at);
    buf_add_char(&text, '}');
}

/* One dimension of a filter: open, in one of several ways, or a value. Returns whom it leaves. */
static uint8_t add_dimension(int d, unsigned choice)
{
    static const uint8_t ones[] = {0xaa, 0xcc, 0xf0}; /* people whose value is 1 */
    static const char letters[] = "wadp";
    const char *name = dimension_name((enum dimension)d);
    unsigned value = choice / 4 % 2;

    if (choice % 4 == 0)
        return 0xff;
    if (choice % 4 == 1) {
        buf_printf(&text, "\"%s\":%s,", name, value ? "null" : "\"\"");
        return 0xff;
    }
    if (choice == 15 * 16 + 15) {
        buf_printf(&text, "\"%s\":\"nobody\",", name);
        return 0;
    }
    if (d == APPLICATION)
        value = 0;
    buf_printf(&text, "\"%s\":\"%c%u\",", name, letters[d], value);
    return d == APPLICATION ? 0xff : value ? ones[d] : (uint8_t)~ones[d];
}

/* A filter object; *any: to one of them. Returns whom it means. */
static uint8_t add_filter(bool *any)
{
    unsigned open = 0, match = 0xff, excluded;

    buf_add_char(&text, '{');
    for (int d = 0; d < DIMENSIONS; d++) {
        unsigned choice = input_byte(&in);

        open += choice % 4 < 2;
        match &= add_dimension(d, choice);
    }
    *any = input_byte(&in) % 3 == 0;
    excluded = input_byte(&in) % 4;
    if (excluded) {
        buf_add(&text, BYTES("\"exclude\":["));
        for (unsigned i = 1; i < excluded; i++) {
            int who = (int)input_byte(&in) % POST_PEOPLE;

            match &= ~(1U << who);
            if (i > 1)
                buf_add_char(&text, ',');
            add_client(who);
        }
        buf_add(&text, BYTES("],"));
    }
    buf_printf(&text, "\"findAny\":%s}", *any ? "true" : "false");
    *any = *any && open;
    return (uint8_t)match;
}

static void add_message(const struct message *m)
{
    buf_add(&text, BYTES(",\"message\":\""));
    post_text(m, &text);
    buf_add_char(&text, '"');
}

/* {"filter":..., "message":...} as a message of that sender; null: no room. */
static struct message *add_send(uint32_t sender)
{
    unsigned filler = some_filler();
    struct message *m = post_new(sender, 0, filler);
    bool any;

    if (!m)
        return NULL;
    buf_add(&text, BYTES("{\"filter\":"));
    m->match = add_filter(&any);
    m->find_any = any;
    add_message(m);
    if (input_byte(&in) % 2)
        buf_add(&text, BYTES(",\"preserveOrder\":true"));
    buf_add_char(&text, '}');
    return m;
}

static struct message *add_acked(uint32_t sender)
{
    int who = (int)input_byte(&in) % POST_PEOPLE;
    struct message *m = post_new(sender, (uint8_t)(1 << who), some_filler());

    if (!m)
        return NULL;
    m->acked = true;
    buf_printf(&text, "{\"id\":\"m%d\",\"client\":", post_number(m));
    add_client(who);
    add_message(m);
    buf_add_char(&text, '}');
    return m;
}

/* Returns how many messages; *first is the first. */
static int add_envelopes(uint32_t sender, struct message **first)
{
    int count = 1 + (int)input_byte(&in) % ENVELOPES;

    *first = NULL;
    if (post_count + count > POST_MAX)
        return 0;
    buf_add(&text, BYTES("{\"envelopes\":["));
    for (int i = 0; i < count; i++) {
        int who = (int)input_byte(&in) % POST_PEOPLE;
        struct message *m = post_new(sender, (uint8_t)(1 << who), some_filler());

        *first = *first ? *first : m;
        buf_printf(&text, "%s{\"client\":", i ? "," : "");
        add_client(who);
        add_message(m);
        buf_add_char(&text, '}');
    }
    buf_add(&text, BYTES("]}"));
    return count;
}

/* ---- HTTP ---- */

static void quiet(void)
{
    people_settle();
    batch = 0;
}

/* What was said grows until all must be quiet once. */
static void said(size_t bytes)
{
    batch += bytes;
    if (batch > BATCH_BYTES)
        quiet();
}

static void post_body(struct peer *p, const char *path, enum asked asks, struct message *m)
{
    unsigned how = input_byte(&in), part = some_part();
    struct buf request = {0};

    buf_printf(&request, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n", path);
    if (how % 4 == 0) {
        buf_printf(&request, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", text.len);
        buf_add(&request, buf_bytes(&text));
        buf_add(&request, BYTES("\r\n0\r\n\r\n"));
    } else {
        buf_printf(&request, "Content-Length: %zu\r\n\r\n", text.len);
        buf_add(&request, buf_bytes(&text));
    }
    peer_say(p, buf_bytes(&request), asks, m ? post_number(m) : 0, m ? 1 : 0, part);
    said(request.len);
    buf_fini(&request);
}

static void rest_send(void)
{
    struct peer *p = some_caller();
    struct message *m;

    if (may_ask(p) && (m = add_send(p->serial)))
        post_body(p, "/send-notification", ASKED_SEND, m);
}

/* Not behind other requests: while those are answered with pauses, it is not looked at. */
static void rest_acked(void)
{
    struct peer *p = some_caller();
    struct message *m;

    if (p->asked_len)
        quiet();
    if (may_ask(p) && p->asked_len == 0 && (m = add_acked(p->serial)))
        post_body(p, "/send-notification-with-acknowledge", ASKED_ACKED, m);
}

static void rest_other(void)
{
    static const char *const requests[] = {
        "GET /actuator/health HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /actuator/prometheus HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /nothing/here HTTP/1.1\r\nHost: h\r\n\r\n",
        ("POST /send-notification HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
         "Content-Length: 2\r\n\r\n{}"),
        "OPTIONS /send-notification HTTP/1.1\r\nHost: h\r\n\r\n",
    };
    struct peer *p = some_caller();
    unsigned which = input_byte(&in) % (sizeof(requests) / sizeof(requests[0]));

    if (may_ask(p))
        peer_say(p, bytes_text(requests[which]), ASKED_ANYTHING, 0, 0, some_part());
}

/* ---- WebSocket ---- */

/* text, which is metaData, as a command of either grammar; a v2 one is kept for a repeat. */
static void say_command(struct peer *p, const char *name, struct message *first, int count)
{
    unsigned how = input_byte(&in), part = some_part();
    struct buf frame = {0};

    if (how % 3 == 0) {
        buf_printf(&frame, "{\"command\":\"%s\",\"metaData\":", name);
        buf_add(&frame, buf_bytes(&text));
        buf_add_char(&frame, '}');
    } else {
        buf_printf(&frame, "c%d@@%s@@", post_count, name);
        buf_add(&frame, buf_bytes(&text));
        p->command.len = 0;
        buf_add(&p->command, buf_bytes(&frame));
        p->command_message = post_number(first);
        p->command_count = count;
        p->command_ms = world_now();
    }
    peer_say_frame(p, WS_TEXT, buf_bytes(&frame), post_number(first), count, part);
    said(frame.len);
    buf_fini(&frame);
}

static void ws_send(void)
{
    struct peer *p = some_client();
    struct message *m;

    if (may_speak(p) && (m = add_send(p->serial)))
        say_command(p, input_byte(&in) % 2 ? "SEND_MESSAGE" : "SEND_MESSAGE_WITH_PRESERVED_ORDER",
                    m, 1);
}

static void ws_acked(void)
{
    struct peer *p = some_client();
    struct message *m;

    if (may_speak(p) && (m = add_acked(p->serial)))
        say_command(p, "SEND_MESSAGE_WITH_ACKNOWLEDGE", m, 1);
}

static void ws_envelopes(void)
{
    struct peer *p = some_client();
    struct message *first;
    int count;

    if (may_speak(p) && (count = add_envelopes(p->serial, &first)))
        say_command(p, "SEND_ENVELOPES", first, count);
}

static void ws_other(void)
{
    static const char *const frames[] = {
        "PING",           "1@@PING",
        "2@@WHAT@@x",     "3@@REFRESH_TOKEN",
        "hello",          "{\"command\":\"REFRESH_TOKEN\"}",
        "@@SEND_MESSAGE", "4@@ACKNOWLEDGE@@{\"messageId\":\"no such\"}",
    };
    struct peer *p = some_client();
    const char *frame = frames[input_byte(&in) % (sizeof(frames) / sizeof(frames[0]))];
    unsigned part = some_part();

    if (!may_speak(p))
        return;
    if (input_byte(&in) % 8 == 0)
        peer_say_frame(p, WS_PING, BYTES("?"), 0, 0, part);
    else
        peer_say_frame(p, WS_TEXT, bytes_text(frame), 0, 0, part);
}

/* The last v2 command once more. A plain one is answered from memory; one with acknowledge goes out
   again under its id, once more for every repeat. */
static void ws_repeat(void)
{
    struct peer *p = some_client();
    bool forgotten = world_now() - p->command_ms > REPEAT_MS;

    if (!may_speak(p) || !p->command.len)
        return;
    quiet(); /* who is connected now is who it may go to */
    if (!may_speak(p) || !p->command.len)
        return;
    for (int i = 0; i < p->command_count; i++) {
        struct message *m = &post[p->command_message + i];

        if (m->acked || forgotten) {
            m->most++;
            m->may = m->match;
        }
    }
    peer_say_frame(p, WS_TEXT, buf_bytes(&p->command), 0, 0, 0);
    quiet();
}

/* The oldest or newest id it got; or another client says so, whom nobody asked. */
static void acknowledge(void)
{
    struct peer *p = some_client(), *other = some_client();
    unsigned how = input_byte(&in);
    struct acked_id id;
    int at;

    if (p->kind != PEER_CLIENT || p->id_count == 0)
        return;
    at = how % 2 ? 0 : p->id_count - 1;
    id = p->ids[at];
    if (how < 200) {
        if (!may_speak(p))
            return;
        memmove(p->ids + at, p->ids + at + 1, (size_t)(--p->id_count - at) * sizeof(p->ids[0]));
        peer_acknowledge(p, &id, true);
    } else if (other->kind == PEER_CLIENT && may_speak(other)) {
        peer_acknowledge(other, &id, other->who == p->who);
    }
}

/* ---- habits, and time ---- */

static void arrive(void)
{
    struct peer *p = some_client();
    unsigned who = input_byte(&in), part = some_part();

    peer_arrive(p, (int)who % POST_PEOPLE, who / POST_PEOPLE, part);
}

static void habit(void)
{
    struct peer *p = some_client();
    unsigned what = input_byte(&in);

    switch (what % 8) {
    case 0:
    case 1:
        peer_stall(p, what / 8 % 2 ? 0 : what * 3);
        break;
    case 2:
    case 3:
    case 4:
        peer_resume(p);
        break;
    case 5:
        peer_turn_deaf(p);
        break;
    default:
        peer_leave(p, (enum leave)(what / 8 % 3));
    }
}

static void pass_time(void)
{
    static const int64_t spans_ms[] = {1, 10, 50, 500, 950, 1000, 5000, 12000, 36000};

    people_advance(spans_ms[input_byte(&in) % (sizeof(spans_ms) / sizeof(spans_ms[0]))]);
}

static void rave(void)
{
    struct peer *p = &peers[input_byte(&in) % PEERS];
    size_t len = input_byte(&in);

    peer_rave(p, input_bytes(&in, len));
}

static void one_step(void)
{
    static void (*const steps[])(void) = {
        arrive,      arrive,      rest_send,    rest_send, rest_acked, ws_send,   ws_send, ws_acked,
        acknowledge, acknowledge, ws_envelopes, ws_repeat, habit,      pass_time, quiet};
    unsigned what = input_byte(&in);

    text.len = 0;
    if (what < 225)
        steps[what % (sizeof(steps) / sizeof(steps[0]))]();
    else if (what < 233)
        peer_call(some_caller(), what);
    else if (what < 237)
        peer_leave(some_caller(), (enum leave)(what % 2));
    else if (what < 242)
        peer_finish(&peers[input_byte(&in) % PEERS]);
    else if (what < 246)
        rest_other();
    else if (what < 252)
        ws_other();
    else
        rave();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chops nonce = chops_of(bytes_of((const char *)data, size));

    in = (struct input){data, size};
    batch = 0;
    world_open(1 + input_byte(&in) % WORLD_SHARDS_MAX, nonce.state);
    people_open();
    post_open(nonce.state);
    for (int i = CALLERS_FROM; i < PEERS - 1; i++)
        peer_call(&peers[i], (uint32_t)i);
    for (int i = 0; i < 4; i++)
        peer_arrive(&peers[i], i * 3 % POST_PEOPLE, (uint32_t)i, 0);
    for (int i = 0; i < STEPS_MAX && in.left; i++)
        one_step();
    quiet();
    people_close();
    buf_fini(&text);
    world_close();
    return 0;
}
