#include "hub/people.h"

#include "fake.h"
#include "hub/world.h"
#include "input.h"
#include "wire/ws.h"

enum {
    SERIALS = 1 << 10,
    PAUSE_MS = 10,
    PAUSES_MAX = 200,
    FRESH_REST_MS = WORLD_ACK_MS - 100,
    FRESH_WS_MS = 30000
};

struct peer peers[PEERS];

static uint32_t serials;
static int acked_count[POST_PEOPLE];

struct identity person(int who)
{
    static const char *const names[3][2] = {{"w0", "w1"}, {"a0", "a1"}, {"d0", "d1"}};
    struct identity id = {.dim = {[APPLICATION] = BYTES("p0")}};

    for (int d = 0; d < 3; d++)
        id.dim[d] = bytes_text(names[d][who >> d & 1]);
    return id;
}

bool peer_is_steady(const struct peer *p)
{
    return p->kind == PEER_CLIENT && !p->wild && !p->stalled && !p->deaf && !p->leaving;
}

/* ---- who is there ---- */

static uint8_t connected(void)
{
    unsigned bits = 0;

    for (int i = 0; i < PEERS; i++)
        if (peers[i].kind == PEER_CLIENT && !peers[i].leaving)
            bits |= 1U << peers[i].who;
    return (uint8_t)bits;
}

/* Those of whom every socket is. */
static uint8_t steady(void)
{
    unsigned bits = connected();

    for (int i = 0; i < PEERS; i++)
        if (peers[i].kind == PEER_CLIENT && !peers[i].leaving && !peer_is_steady(&peers[i]))
            bits &= ~(1U << peers[i].who);
    return (uint8_t)bits;
}

static void forget_drafts(struct peer *p)
{
    for (int i = p->first; i < p->first + p->drafts; i++)
        post_speak(&post[i], 0, 0);
    p->drafts = 0;
    p->tail.len = 0;
}

static void forget(struct peer *p)
{
    forget_drafts(p);
    buf_fini(&p->tail);
    buf_fini(&p->command);
    memset(p, 0, sizeof(*p));
}

void people_open(void)
{
    serials = 0;
    memset(acked_count, 0, sizeof(acked_count));
}

void people_close(void)
{
    for (int i = 0; i < PEERS; i++)
        forget(&peers[i]);
}

/* ---- what a client hears ---- */

static void check_order(struct peer *p, const struct message *m)
{
    int number = post_number(m);

    if (m->find_any || m->most > 1)
        return; /* takes ways of its own */
    MUST(p->last[m->sender] <= number);
    p->last[m->sender] = number;
}

static void keep_id(struct peer *p, struct bytes id, const struct message *m)
{
    struct acked_id *to;

    MUST(id.len < sizeof(to->id));
    if (p->id_count == IDS)
        memmove(p->ids, p->ids + 1, --p->id_count * sizeof(p->ids[0]));
    to = &p->ids[p->id_count++];
    memcpy(to->id, id.at, id.len);
    to->id[id.len] = '\0';
    to->message = post_number(m);
}

/* "m7@@ACKNOWLEDGE": the receiver of message 7, and nobody else, must have said so. */
static void on_told(const struct peer *p, struct bytes id)
{
    long number = strtol(id.at + 1, NULL, 10);

    if (p->wild)
        return;
    MUST(number >= 0 && number < post_count);
    MUST(post[number].acked && post[number].acknowledged);
    post[number].told = true;
}

static void on_text(struct peer *p, struct bytes text)
{
    struct message *m = post_find(text);
    struct bytes id, rest;

    if (m) {
        MUST(!m->acked);
    } else if (!bytes_cut(text, BYTES("@@"), &id, &rest)) {
        return;
    } else if (id.len > 1 && id.at[0] == 'm' && bytes_equal(rest, BYTES("ACKNOWLEDGE"))) {
        on_told(p, id);
        return;
    } else if ((m = post_find(rest))) {
        MUST(m->acked);
        keep_id(p, id, m);
    } else {
        return;
    }
    check_order(p, m);
    post_received(m, p->who);
}

static void send_frame(struct peer *p, int opcode, struct bytes payload)
{
    struct buf *out = &fake_socket(p->fd)->to_server;
    int n = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;

    fake_stir();
    buf_add_char(out, (char)(0x80 | opcode));
    buf_add_char(out, (char)(0x80 | (n == 0 ? (int)payload.len : n == 2 ? 126 : 127)));
    while (n--)
        buf_add_char(out, (char)(payload.len >> (8 * n)));
    buf_add(out, BYTES("\0\0\0\0")); /* a mask that changes nothing */
    buf_add(out, payload);
}

static void on_frame(struct peer *p, int opcode, struct bytes payload)
{
    if (opcode == WS_TEXT) {
        on_text(p, payload);
    } else if (opcode == WS_PING) {
        if (!p->deaf && !p->leaving && !p->tail.len)
            send_frame(p, WS_PONG, payload);
    } else if (opcode == WS_CLOSE) {
        MUST(!peer_is_steady(p) || p->tail.len);
        if (!p->deaf && !p->leaving)
            send_frame(p, WS_CLOSE, payload);
        fake_socket(p->fd)->peer_end = !p->deaf;
        p->leaving = true;
    }
}

/* One unmasked frame at the front; 0: none whole. */
static size_t take_frame(struct bytes in, int *opcode, struct bytes *payload)
{
    const unsigned char *b = (const unsigned char *)in.at;
    size_t len, head = 2;

    if (in.len < 2)
        return 0;
    MUST(b[1] < 0x80);
    len = b[1];
    if (len > 125)
        head = len == 126 ? 4 : 10;
    if (in.len < head)
        return 0;
    if (head > 2)
        len = 0;
    for (size_t i = 2; i < head; i++)
        len = len << 8 | b[i];
    if (in.len - head < len)
        return 0;
    *opcode = b[0] & 0x0f;
    *payload = bytes_of(in.at + head, len);
    return head + len;
}

static size_t hear_frames(struct peer *p, struct bytes in)
{
    size_t used = 0, n;
    struct bytes payload;
    int opcode;

    while ((n = take_frame(bytes_of(in.at + used, in.len - used), &opcode, &payload))) {
        used += n;
        on_frame(p, opcode, payload);
    }
    return used;
}

/* ---- what a caller hears ---- */

static void on_status(struct peer *p, int status)
{
    struct question q = p->asked[0];
    struct message *m = &post[q.message];

    if (p->wild)
        return;
    if (p->asked_len == 0) { /* it let us wait for the rest of a request */
        MUST(p->tail.len && status == 408);
        p->wild = true;
        return;
    }
    memmove(p->asked, p->asked + 1, --p->asked_len * sizeof(p->asked[0]));
    if (q.what == ASKED_SEND)
        MUST(status == 200);
    if (q.what != ASKED_ACKED)
        return;
    MUST(status == 200 || status == 408 || status == 429);
    MUST(status != 200 || m->acknowledged);
    m->told = status == 200;
}

/* One whole answer at the front; 0: none. */
static size_t take_answer(struct bytes in, int *status)
{
    const char *end = in.len ? memmem(in.at, in.len, "\r\n\r\n", 4) : NULL;
    const char *length;
    size_t n;

    if (!end)
        return 0;
    MUST(bytes_starts(in, BYTES("HTTP/1.1 ")));
    *status = (int)strtol(in.at + 9, NULL, 10);
    MUST(*status >= 100 && *status <= 599);
    n = (size_t)(end + 4 - in.at);
    length = memmem(in.at, n, "\r\nContent-Length: ", 18);
    if (length)
        n += (size_t)strtoul(length + 18, NULL, 10);
    return n <= in.len ? n : 0;
}

static size_t hear_answers(struct peer *p, struct bytes in)
{
    size_t used = 0, n;
    int status;

    if (p->wild) /* it may have asked for answers without bodies */
        return in.len;
    while ((n = take_answer(bytes_of(in.at + used, in.len - used), &status))) {
        used += n;
        on_status(p, status);
    }
    return used;
}

static int sockets_in_use(void)
{
    int n = 0;

    for (int i = 0; i < PEERS; i++)
        n += peers[i].kind == PEER_CLIENT;
    return n;
}

/* 101, or no place. */
static size_t hear_welcome(struct peer *p, struct bytes in)
{
    int status = 0;
    size_t used = take_answer(in, &status);

    if (!used)
        return 0;
    if (status == 101) {
        p->kind = PEER_CLIENT;
        return used;
    }
    if (!p->wild && !p->tail.len)
        MUST(status == 503);
    p->wild = true;
    p->leaving = true;
    fake_socket(p->fd)->peer_end = true;
    return used;
}

/* ---- the end of a connection ---- */

static void on_closed(struct peer *p)
{
    if (p->kind == PEER_CLIENT)
        MUST(!peer_is_steady(p) || p->tail.len);
    else if (p->kind == PEER_CALLER)
        MUST(p->wild || p->leaving || p->asked_len == 0);
    forget(p);
}

/* Returns how many bytes were whole frames or answers. */
static size_t hear(struct peer *p, struct bytes in)
{
    size_t used = 0;

    if (p->kind == PEER_ARRIVING) {
        used = hear_welcome(p, in);
        in = bytes_of(in.at + used, in.len - used);
    }
    if (p->kind == PEER_CLIENT)
        return used + hear_frames(p, in);
    return p->kind == PEER_CALLER ? hear_answers(p, in) : used;
}

static void attend_one(struct peer *p)
{
    struct fake_socket *s = fake_socket(p->fd);

    if (s->from_server.len)
        buf_drop(&s->from_server, hear(p, buf_bytes(&s->from_server)));
    if (s->server_end && !s->peer_end && !p->deaf) {
        s->peer_end = true;
        fake_stir();
    }
    if (s->server_closed)
        on_closed(p);
}

static void attend(void)
{
    for (int i = 0; i < PEERS; i++)
        if (peers[i].kind != PEER_NONE)
            attend_one(&peers[i]);
}

/* Whole requests are answered, but for the one whose receiver has time. */
static bool all_are_answered(void)
{
    for (int i = 0; i < PEERS; i++) {
        const struct peer *p = &peers[i];

        if (p->kind == PEER_CALLER && !p->wild && !p->leaving && p->asked_len &&
            (p->asked_len > 1 || p->asked[0].what != ASKED_ACKED))
            return false;
    }
    return true;
}

/* A caller with much to read is answered bit by bit, with pauses. */
void people_settle(void)
{
    world_settle(attend);
    for (int pauses = 0; !all_are_answered(); pauses++) {
        MUST(pauses < PAUSES_MAX);
        world_advance(PAUSE_MS, attend);
    }
    post_judge();
}

void people_advance(int64_t ms)
{
    people_settle();
    world_advance(ms, attend);
    people_settle();
}

/* ---- saying ---- */

static void say_now(struct peer *p, struct bytes bytes)
{
    buf_add(&fake_socket(p->fd)->to_server, bytes);
    fake_stir();
}

/* Whoever is not steady may be read later, when others are there. */
static void speak(struct peer *p)
{
    bool later = p->kind == PEER_CLIENT && !peer_is_steady(p);

    for (int i = p->first; i < p->first + p->drafts; i++) {
        struct message *m = &post[i];

        m->sent_ms = world_now();
        post_speak(m, later ? 0xff : connected(), later ? 0 : steady());
        if (m->acked && acked_count[__builtin_ctz(m->match)]++ >= WORLD_DELIVERIES)
            post_doubt(m->match);
    }
    if (p->kind == PEER_CALLER) {
        MUST(p->asked_len < ASKED);
        p->asked[p->asked_len++] = (struct question){p->tail_asks, p->first};
    }
    p->drafts = 0;
}

void peer_say(struct peer *p, struct bytes bytes, enum asked asks, int first, int drafts,
              unsigned part)
{
    size_t now = part && bytes.len > 1 ? 1 + part % (bytes.len - 1) : bytes.len;

    p->first = first;
    p->drafts = drafts;
    p->tail_asks = asks;
    say_now(p, bytes_of(bytes.at, now));
    if (now == bytes.len)
        speak(p);
    else
        buf_add(&p->tail, bytes_of(bytes.at + now, bytes.len - now));
}

void peer_finish(struct peer *p)
{
    const struct fake_socket *s;

    people_settle();
    if (p->kind == PEER_NONE || !p->tail.len)
        return;
    s = fake_socket(p->fd);
    if (p->wild || p->leaving || s->server_end || s->server_closed) {
        forget_drafts(p);
        return;
    }
    say_now(p, buf_bytes(&p->tail));
    p->tail.len = 0;
    if (p->kind != PEER_ARRIVING)
        speak(p);
    people_settle();
}

void peer_say_frame(struct peer *p, int opcode, struct bytes payload, int first, int drafts,
                    unsigned part)
{
    struct buf frame = {0};
    size_t n = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;

    buf_add_char(&frame, (char)(0x80 | opcode));
    buf_add_char(&frame, (char)(0x80 | (n == 0 ? payload.len : n == 2 ? 126 : 127)));
    while (n--)
        buf_add_char(&frame, (char)(payload.len >> (8 * n)));
    buf_add(&frame, BYTES("\0\0\0\0"));
    buf_add(&frame, payload);
    peer_say(p, buf_bytes(&frame), ASKED_ANYTHING, first, drafts, part);
    buf_fini(&frame);
}

void peer_rave(struct peer *p, struct bytes bytes)
{
    people_settle();
    if (p->kind == PEER_NONE)
        return;
    forget_drafts(p);
    p->wild = true;
    say_now(p, bytes);
    people_settle();
}

/* ---- habits ---- */

void peer_arrive(struct peer *p, int who, uint32_t shard, unsigned part)
{
    struct identity id = person(who);
    struct buf text = {0};

    people_settle();
    if (p->kind != PEER_NONE || serials == SERIALS)
        return;
    buf_printf(&text,
               "GET /%s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
               world_token(&id));
    p->kind = PEER_ARRIVING;
    p->who = who;
    p->serial = serials++;
    p->fd = world_connect_ws(shard);
    fake_stir();
    peer_say(p, buf_bytes(&text), ASKED_ANYTHING, 0, 0, part);
    buf_fini(&text);
    people_settle();
    if (!part && p->kind != PEER_CLIENT)
        MUST(sockets_in_use() >= WORLD_SOCKETS);
}

void peer_call(struct peer *p, uint32_t shard)
{
    people_settle();
    if (p->kind != PEER_NONE || serials == SERIALS)
        return;
    p->kind = PEER_CALLER;
    p->serial = serials++;
    p->fd = world_connect_rest(shard);
    fake_stir();
    people_settle();
}

void peer_stall(struct peer *p, size_t room)
{
    people_settle();
    if (p->kind != PEER_CLIENT)
        return;
    p->stalled = true;
    fake_socket(p->fd)->room = room;
    people_settle();
}

void peer_resume(struct peer *p)
{
    people_settle();
    if (p->kind != PEER_CLIENT)
        return;
    fake_socket(p->fd)->room = SIZE_MAX;
    fake_stir();
    people_settle();
    p->stalled = false;
}

void peer_turn_deaf(struct peer *p)
{
    people_settle();
    p->deaf = p->kind == PEER_CLIENT;
}

void peer_leave(struct peer *p, enum leave how)
{
    struct fake_socket *s;
    bool midway = p->tail.len > 0;

    people_settle();
    if (p->kind == PEER_NONE || p->leaving)
        return;
    s = fake_socket(p->fd);
    forget_drafts(p);
    if (p->stalled)
        how = LEAVE_RESET; /* it may not be read from */
    if (how == LEAVE_CLOSE && p->kind == PEER_CLIENT && !p->wild && !midway)
        send_frame(p, WS_CLOSE, BYTES("\x03\xe8"));
    else if (how == LEAVE_RESET)
        s->peer_reset = true;
    else
        s->peer_end = true;
    p->leaving = true;
    fake_stir();
    people_settle();
}

/* Is the one who sent m still there to be told? */
static bool is_awaited(const struct message *m)
{
    int64_t age_ms = world_now() - m->sent_ms;

    for (int i = 0; i < PEERS; i++) {
        const struct peer *p = &peers[i];

        if (p->kind == PEER_NONE || p->serial != m->sender)
            continue;
        if (p->kind == PEER_CLIENT)
            return peer_is_steady(p) && age_ms < FRESH_WS_MS;
        return !p->wild && !p->leaving && p->asked_len && p->asked[0].what == ASKED_ACKED &&
               p->asked[0].message == post_number(m) && age_ms < FRESH_REST_MS;
    }
    return false;
}

void peer_acknowledge(struct peer *p, const struct acked_id *id, bool owner)
{
    struct message *m = &post[id->message];
    struct buf text = {0};
    bool in_time;

    people_settle();
    if (p->kind != PEER_CLIENT || p->tail.len)
        return;
    buf_printf(&text, "a1@@ACKNOWLEDGE@@{\"messageId\":\"%s\"}", id->id);
    in_time = owner && peer_is_steady(p) && is_awaited(m) && !m->acknowledged;
    m->acknowledged = m->acknowledged || owner;
    peer_say_frame(p, WS_TEXT, buf_bytes(&text), 0, 0, 0);
    buf_fini(&text);
    people_settle();
    MUST(!in_time || m->told);
}
