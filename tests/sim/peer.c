#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "wire/token.h"
#include "wire/ws.h"
#include "fake.h"
#include "sim.h"

enum { PEERS = 4096, BOUND = 64, NAME = 32, TEXT = 1 << 16 };

struct peer {
    char name[NAME];
    int fd;
    bool http, upgraded, deaf;
    size_t at;       /* how far from_server was looked at by the script */
    size_t attended; /* and how far for control frames */
    int close_code;  /* 0: none came */
    bool close_answered;
};

static struct peer peers[PEERS];
static int peer_count;
static struct {
    char name[NAME], value[128];
} bound[BOUND];
static int bound_count;
static uint32_t knock; /* round robin over the shards' doors */

static struct peer *find(const char *name)
{
    int i;

    for (i = peer_count - 1; i >= 0; i--)
        if (strcmp(peers[i].name, name) == 0)
            return &peers[i];
    return NULL;
}

static struct peer *get(const char *name)
{
    struct peer *p = find(name);

    if (!p)
        sim_fail("nobody is called %s", name);
    return p;
}

bool peer_is_there(const char *name)
{
    return find(name) != NULL;
}

static struct peer *add(const char *name, int fd)
{
    struct peer *p = find(name);

    if (!p) {
        if (peer_count == PEERS || strlen(name) >= NAME)
            sim_fail("too many peers, or a long name: %s", name);
        p = &peers[peer_count++];
    }
    *p = (struct peer){.fd = fd};
    snprintf(p->name, sizeof(p->name), "%s", name);
    return p;
}

void peers_free(void)
{
    peer_count = 0;
}

/* ---- what the server wrote ---- */

static struct bytes unseen(const struct peer *p)
{
    const struct buf *b = &fake_socket(p->fd)->from_server;

    return bytes_of(b->at + p->at, b->len - p->at);
}

/* One unmasked frame behind *at; false: none complete. */
static bool take_frame(const struct peer *p, size_t *at, int *opcode, struct bytes *payload)
{
    const struct buf *all = &fake_socket(p->fd)->from_server;
    const unsigned char *b = (const unsigned char *)all->at + *at;
    size_t there = all->len - *at, len, head = 2, i;

    if (there < 2)
        return false;
    if (b[1] & 0x80)
        sim_fail("%s got a masked frame", p->name);
    len = b[1];
    if (len == 126)
        head = 4;
    else if (len == 127)
        head = 10;
    if (there < head)
        return false;
    if (head > 2)
        for (len = 0, i = 2; i < head; i++)
            len = len << 8 | b[i];
    if (there < head + len)
        return false;
    *opcode = b[0] & 0x0f;
    *payload = bytes_of((const char *)b + head, len);
    *at += head + len;
    return true;
}

static void send_frame(struct peer *p, int opcode, struct bytes payload)
{
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    struct buf *out = &fake_socket(p->fd)->to_server;
    size_t i;
    int bytes = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;

    fake_stir();
    buf_add_char(out, (char)(0x80 | opcode));
    buf_add_char(out, (char)(0x80 | (bytes == 0 ? (int)payload.len : bytes == 2 ? 126 : 127)));
    while (bytes--)
        buf_add_char(out, (char)(payload.len >> (8 * bytes)));
    buf_add(out, bytes_of((const char *)mask, 4));
    for (i = 0; i < payload.len; i++)
        buf_add_char(out, (char)(payload.at[i] ^ mask[i % 4]));
}

/* The next text message for the script, or false. */
static bool next_text(struct peer *p, struct bytes *text)
{
    int opcode;

    while (take_frame(p, &p->at, &opcode, text))
        if (opcode == WS_TEXT)
            return true;
    return false;
}

static void attend(struct peer *p)
{
    struct bytes payload;
    int opcode;

    while (take_frame(p, &p->attended, &opcode, &payload)) {
        if (opcode == WS_PING && !p->deaf) {
            send_frame(p, WS_PONG, payload);
        } else if (opcode == WS_CLOSE) {
            p->close_code = payload.len >= 2
                                ? ((unsigned char)payload.at[0] << 8 | (unsigned char)payload.at[1])
                                : WS_CLOSE_NONE;
            if (!p->deaf)
                send_frame(p, WS_CLOSE, payload);
            fake_socket(p->fd)->peer_end = !p->deaf;
        }
    }
}

void peers_attend(void)
{
    int i;

    for (i = 0; i < peer_count; i++)
        if (peers[i].upgraded)
            attend(&peers[i]);
}

bool peer_take(const char *name, struct bytes *text)
{
    return next_text(get(name), text);
}

/* ---- connecting ---- */

static void read_identity(char *where, struct identity *who)
{
    int d;

    for (d = 0; d < DIMENSIONS; d++) {
        char *end = where + strcspn(where, "/");
        bool last = !*end;

        who->dim[d] = bytes_of(where, (size_t)(end - where));
        where = end + !last;
    }
}

static struct bytes issue_token(char *where, struct buf *token)
{
    struct identity who;
    struct tokens *tokens = tokens_new(&sim.hub.settings->key);
    struct rand r;

    read_identity(where, &who);
    rand_init(&r);
    if (token_issue(tokens, &who, clock_wall_ms() / 1000, 1800, &r, token))
        sim_fail("no token");
    tokens_free(tokens);
    return buf_bytes(token);
}

void peer_knock(const char *name, char *where)
{
    struct buf buf = {0};
    char *at = strstr(where, " @");
    struct bytes token;
    struct peer *p;
    uint32_t door;

    sim_settle();
    door = at ? (uint32_t)strtoul(at + 2, NULL, 10) : knock++;
    if (at)
        *at = 0;
    token = issue_token(where, &buf);
    p = add(name, fake_connect(sim.ws_fd[door % sim.hub.count]));
    p->http = true;
    buf_printf(&fake_socket(p->fd)->to_server,
               "GET /%.*s HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
               (int)token.len, token.at);
    buf_fini(&buf);
    sim_settle();
}

void peer_connect(const char *name, char *where)
{
    peer_knock(name, where);
    peer_say_raw(name, "\\r\\n");
    peer_expect(name, "101");
}

void peer_call(const char *name, char *door)
{
    const int *doors = strcmp(door, "ws") == 0 ? sim.ws_fd : sim.rest_fd;

    sim_settle();
    add(name, fake_connect(doors[knock++ % sim.hub.count]))->http = true;
    sim_settle();
}

void peer_post(const char *name, char *path_and_body)
{
    char *body = path_and_body + strcspn(path_and_body, " ");
    struct peer *p;

    if (*body)
        *body++ = 0;
    sim_settle();
    p = find(name);
    if (!p || !p->http)
        p = add(name, fake_connect(sim.rest_fd[knock++ % sim.hub.count]));
    p->http = true;
    buf_printf(&fake_socket(p->fd)->to_server,
               "POST %s HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n%s",
               path_and_body, strlen(body), body);
    sim_settle();
}

/* ---- bindings: "$x" ---- */

static const char *value_of(const char *name, size_t len)
{
    int i;

    for (i = 0; i < bound_count; i++)
        if (strlen(bound[i].name) == len && memcmp(bound[i].name, name, len) == 0)
            return bound[i].value;
    return NULL;
}

static size_t name_len(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz");
}

static void substitute(const char *text, struct buf *out)
{
    for (; *text; text++) {
        size_t len = *text == '$' ? name_len(text + 1) : 0;
        const char *value = len ? value_of(text + 1, len) : NULL;

        if (len && !value)
            sim_fail("$%.*s is not bound", (int)len, text + 1);
        if (value) {
            buf_add(out, bytes_text(value));
            text += len;
        } else {
            buf_add_char(out, *text);
        }
    }
}

static void bind(const char *name, size_t len, struct bytes value)
{
    if (bound_count == BOUND || len >= NAME || value.len >= sizeof(bound[0].value))
        sim_fail("cannot bind $%.*s", (int)len, name);
    memcpy(bound[bound_count].name, name, len);
    memcpy(bound[bound_count].value, value.at, value.len);
    bound_count++;
}

/* An id, as far as a "$x" reaches. */
static size_t id_len(struct bytes got)
{
    size_t n = 0;

    while (n < got.len && (got.at[n] == '-' || (got.at[n] >= '0' && got.at[n] <= '9') ||
                           (got.at[n] >= 'a' && got.at[n] <= 'z')))
        n++;
    return n;
}

static bool matches(const char *pattern, struct bytes got)
{
    while (*pattern) {
        size_t len = *pattern == '$' ? name_len(pattern + 1) : 0;

        if (strcmp(pattern, "*") == 0)
            return true;
        if (len) {
            const char *value = value_of(pattern + 1, len);
            size_t n = value ? strlen(value) : id_len(got);

            if (value && !bytes_starts(got, bytes_text(value)))
                return false;
            if (!value)
                bind(pattern + 1, len, bytes_of(got.at, n));
            got = bytes_of(got.at + n, got.len - n);
            pattern += len + 1;
        } else {
            if (!got.len || *pattern != *got.at)
                return false;
            got = bytes_of(got.at + 1, got.len - 1);
            pattern++;
        }
    }
    return got.len == 0;
}

/* ---- saying and expecting ---- */

void peer_say(const char *name, const char *text)
{
    struct buf out = {0};

    sim_settle();
    buf_add(&out, BYTES(""));
    substitute(text, &out);
    send_frame(get(name), WS_TEXT, buf_bytes(&out));
    buf_fini(&out);
    sim_settle();
}

void peer_say_raw(const char *name, const char *text)
{
    struct buf *out;

    sim_settle();
    out = &fake_socket(get(name)->fd)->to_server;
    for (; *text; text++) {
        bool is_end = *text == '\\' && (text[1] == 'r' || text[1] == 'n');

        buf_add_char(out, !is_end ? *text : *++text == 'r' ? '\r' : '\n');
    }
    fake_stir();
    sim_settle();
}

void peer_pong(const char *name)
{
    sim_settle();
    send_frame(get(name), WS_PONG, (struct bytes){NULL, 0});
    sim_settle();
}

/* The next ping behind what the script has looked at; texts before it stay unseen. */
static bool has_ping(const struct peer *p, size_t *at)
{
    struct bytes payload;
    int opcode = WS_TEXT;

    while (opcode != WS_PING && take_frame(p, at, &opcode, &payload)) {
    }
    return opcode == WS_PING;
}

void peer_await_ping(const char *name, int64_t most_ms)
{
    struct peer *p = get(name);
    size_t at;
    int64_t waited = 0;

    sim_settle();
    at = p->attended;
    while (!has_ping(p, &at)) {
        if (waited >= most_ms)
            sim_fail("%s got no ping in %lld ms", name, (long long)most_ms);
        sim_advance(SIM_STEP_MS);
        waited += SIM_STEP_MS;
    }
}

static void expect_status(struct peer *p, const char *status)
{
    struct bytes in = unseen(p);
    const char *end = in.len ? memmem(in.at, in.len, "\r\n\r\n", 4) : NULL;
    const char *length = end ? memmem(in.at, (size_t)(end - in.at), "Content-Length: ", 16) : NULL;

    if (!end || in.len < 12 || strncmp(in.at + 9, status, 3) != 0)
        sim_fail("%s got %.*s, expected status %s", p->name, (int)(in.len < 300 ? in.len : 300),
                 in.len ? in.at : "", status);
    p->at += (size_t)(end + 4 - in.at) + (length ? (size_t)strtoul(length + 16, NULL, 10) : 0);
    p->upgraded = strcmp(status, "101") == 0;
    p->http = !p->upgraded;
    p->attended = p->at;
}

void peer_expect(const char *name, const char *text)
{
    struct peer *p = get(name);
    struct bytes got;

    sim_settle();
    if (p->http) {
        expect_status(p, text);
        return;
    }
    if (!next_text(p, &got))
        sim_fail("%s got nothing, expected %s", name, text);
    if (!matches(text, got))
        sim_fail("%s got %.*s, expected %s", name, (int)(got.len < 500 ? got.len : 500), got.at,
                 text);
}

void peer_expect_nothing(const char *name)
{
    struct peer *p = get(name);
    struct bytes got;

    sim_settle();
    if (p->http ? unseen(p).len > 0 : next_text(p, &got))
        sim_fail("%s got something, expected nothing", name);
}

void peer_expect_close(const char *name, int code)
{
    struct peer *p = get(name);

    sim_settle();
    if (p->close_code != code || (code == 0 && !fake_socket(p->fd)->server_closed))
        sim_fail("%s was closed with %d, expected %d", name, p->close_code, code);
}

void peer_expect_open(const char *name)
{
    struct peer *p = get(name);

    sim_settle();
    if (p->close_code || fake_socket(p->fd)->server_closed)
        sim_fail("%s was closed with %d, expected it open", name, p->close_code);
}

void peer_expect_end(const char *name)
{
    sim_settle();
    if (!fake_socket(get(name)->fd)->server_closed)
        sim_fail("the connection of %s has not ended", name);
}

void peer_expect_bytes(const char *name, int at_least)
{
    sim_settle();
    if (unseen(get(name)).len < (size_t)at_least)
        sim_fail("%s has %zu bytes, expected %d or more", name, unseen(get(name)).len, at_least);
}

void peer_stall(const char *name, bool stalled)
{
    sim_settle();
    fake_socket(get(name)->fd)->room = stalled ? 0 : SIZE_MAX;
    sim_settle();
}

void peer_deaf(const char *name)
{
    get(name)->deaf = true;
}

void peer_hangup(const char *name)
{
    sim_settle();
    fake_socket(get(name)->fd)->peer_reset = true;
    sim_settle();
}

void peer_flood(char *rest)
{
    static char line[TEXT];
    char *name = strsep(&rest, " ");
    int i, count = (int)strtol(strsep(&rest, " "), NULL, 10);
    const char *hole = strstr(rest, "%d");

    for (i = 0; i < count; i++) {
        if (hole)
            snprintf(line, sizeof(line), "%.*s%d%s", (int)(hole - rest), rest, i, hole + 2);
        else
            snprintf(line, sizeof(line), "%s", rest);
        peer_say(name, line);
    }
}

/* ---- meters by the names scripts use ---- */

int64_t peer_meter(const char *name)
{
    static const struct {
        const char *name;
        enum meter meter;
    } known[] = {
        {"sockets", METER_SOCKETS},
        {"clients", METER_CLIENTS},
        {"deliveries", METER_DELIVERIES_OPEN},
        {"queued", METER_QUEUED_BYTES},
        {"delivered", METER_DELIVERED_PLAIN},
        {"acknowledged", METER_ACKNOWLEDGED},
        {"expired", METER_EXPIRED},
        {"unknown-acks", METER_ACKS_UNKNOWN},
        {"no-match", METER_DROPPED_NO_MATCH},
        {"queue-full", METER_DROPPED_QUEUE_FULL},
        {"dropped-closed", METER_DROPPED_CLOSED},
        {"closed-slow", METER_CLOSED_SLOW},
        {"closed-stalled", METER_CLOSED_STALLED},
        {"closed-silent", METER_CLOSED_SILENT},
        {"repeats", METER_REPEATS},
        {"closed-memory", METER_CLOSED_MEMORY},
        {"closed-flood", METER_CLOSED_FLOOD},
        {"bad-commands", METER_COMMANDS_BAD},
        {"refused-memory", METER_REFUSED_MEMORY},
    };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, name) == 0)
            return meter_sum(known[i].meter);
    sim_fail("no meter is called %s", name);
}
