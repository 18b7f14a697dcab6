#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/rand.h"
#include "wire/token.h"
#include "wire/ws.h"
#include "faults.h"
#include "secure.h"
#include "world.h"

enum {
    TURNS = 3, /* without anything new, before time moves */
    STEP_MS = 10,
    STEPS = 150, /* 1.5 s: longer than every deadline of one server that ends a wait */
    STUCK = 150,
    BREATH_US = 20, /* for a kernel that delivers late */
    TEXT_BYTES = 4096,
};

char peers_why[512], peers_broken[512];
static int steps = STEPS;
static bool is_secure;
static struct peer peers[PEERS] = {[0 ... PEERS - 1] = {.fd = -1}};

static bool wrong(const struct peer *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool wrong(const struct peer *p, const char *format, ...)
{
    size_t len;
    va_list args;

    if (peers_why[0])
        return false;
    va_start(args, format);
    vsnprintf(peers_why, sizeof(peers_why), format, args);
    va_end(args);
    len = strlen(peers_why);
    if (p)
        snprintf(peers_why + len, sizeof(peers_why) - len, " (peer %d, %zu bytes came%s, close %d)",
                 (int)(p - peers), p->len, p->ended ? ", ended" : "", p->close_code);
    return false;
}

void peers_be_patient(int64_t ms)
{
    steps = (int)(ms / STEP_MS);
}

bool peer_wrong(const char *why)
{
    return wrong(NULL, "%s", why);
}

struct peer *peer_at(int i)
{
    return &peers[i];
}

static void drop(struct peer *p)
{
    secure_free(p->ssl);
    p->ssl = NULL;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

void peers_reset(void)
{
    int i;

    for (i = 0; i < PEERS; i++)
        if (!peers[i].stays)
            drop(&peers[i]);
}

void peers_close(void)
{
    int i;

    for (i = 0; i < PEERS; i++) {
        drop(&peers[i]);
        free(peers[i].in);
        peers[i].in = NULL;
    }
}

void peers_secure(void)
{
    is_secure = true;
}

static ssize_t take(struct peer *p, void *at, size_t len)
{
    return p->ssl ? secure_recv(p->ssl, at, len) : recv(p->fd, at, len, MSG_DONTWAIT);
}

static ssize_t give(struct peer *p, const void *at, size_t len)
{
    return p->ssl ? secure_send(p->ssl, at, len)
                  : send(p->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- what comes in ---- */

static struct bytes unseen(const struct peer *p)
{
    return bytes_of(p->in + p->at, p->len - p->at);
}

/* One whole frame behind *at; opcode with the FIN bit. */
static bool take_frame(const struct peer *p, size_t *at, int *opcode, struct bytes *payload)
{
    const unsigned char *b = (const unsigned char *)p->in + *at;
    size_t there = p->len - *at, len, head = 2, i;

    if (there < 2)
        return false;
    len = b[1];
    if (len >= 126)
        head = len == 126 ? 4 : 10;
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

/* A frame as a client sends it, or, unmasked, as none may. */
static void write_frame(struct buf *out, int first_byte, bool masked, struct bytes payload)
{
    static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    int bytes = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;
    int marker = bytes == 0 ? (int)payload.len : bytes == 2 ? 126 : 127;
    size_t i;

    buf_add_char(out, (char)first_byte);
    buf_add_char(out, (char)((masked ? 0x80 : 0) | marker));
    while (bytes--)
        buf_add_char(out, (char)(payload.len >> (8 * bytes)));
    if (masked)
        buf_add(out, bytes_of(mask, sizeof(mask)));
    for (i = 0; i < payload.len; i++)
        buf_add_char(out, (char)(payload.at[i] ^ (masked ? mask[i % sizeof(mask)] : 0)));
}

/* Small, and at once: the server does not run meanwhile. */
static void send_control(struct peer *p, int opcode, struct bytes payload)
{
    struct buf out = {0};

    write_frame(&out, 0x80 | opcode, true, payload);
    (void)!give(p, out.at, out.len);
    buf_fini(&out);
}

/* What a client's library does by itself. */
static void attend(struct peer *p)
{
    struct bytes payload;
    int opcode;

    while (p->upgraded && take_frame(p, &p->attended, &opcode, &payload)) {
        if (opcode == WS_PING) {
            send_control(p, WS_PONG, payload);
        } else if (opcode == WS_CLOSE) {
            p->close_code = payload.len >= 2
                                ? (unsigned char)payload.at[0] << 8 | (unsigned char)payload.at[1]
                                : WS_CLOSE_NONE;
            p->told = p->told || p->close_code == WS_CLOSE_TRY_LATER;
            send_control(p, WS_CLOSE, payload);
            shutdown(p->fd, SHUT_WR);
        }
    }
}

/* True: something came. */
static bool read_all(struct peer *p)
{
    bool any = false;
    ssize_t n;

    if (p->fd < 0 || p->deaf || p->ended)
        return false;
    while (p->len < PEER_BYTES && (n = take(p, p->in + p->len, PEER_BYTES - p->len)) != 0) {
        if (n < 0 && errno == EAGAIN)
            return any;
        if (n < 0)
            break;
        p->len += (size_t)n;
        any = true;
        attend(p);
    }
    p->ended = true;
    return true;
}

/* Whoever may have something to read; what TLS holds back no poll tells. */
static bool read_ready(void)
{
    struct pollfd at[PEERS];
    bool any = false;
    int i;

    for (i = 0; i < PEERS; i++)
        at[i] = (struct pollfd){peers[i].ended || peers[i].deaf ? -1 : peers[i].fd, POLLIN, 0};
    if (poll(at, PEERS, 0) < 0)
        abort();
    for (i = 0; i < PEERS; i++)
        if (at[i].revents || peers[i].ssl)
            any = read_all(&peers[i]) || any;
    return any;
}

static bool run_once(void)
{
    world_turn();
    return read_ready();
}

/* In a cluster settling is a turn, too. */
static void run(void)
{
    int turns, idle = world_doors() > WORLD_SHARDS ? 1 : TURNS;

    do
        for (turns = 0; turns < idle; turns++)
            if (run_once())
                turns = -1;
    while (world_settle());
}

bool pass(int64_t ms)
{
    for (; ms > 0; ms -= STEP_MS) {
        run();
        world_advance(STEP_MS);
    }
    run();
    return true;
}

/* Lets the server run, then time pass, until there is what is waited for. */
static bool await(struct peer *p, bool (*is_there)(const struct peer *p))
{
    int step;

    for (step = 0; step < steps; step++) {
        run();
        if (is_there(p))
            return true;
        if (p->ended)
            return false;
        usleep(BREATH_US);
        run();
        if (is_there(p))
            return true;
        world_advance(STEP_MS);
    }
    return false;
}

/* ---- connecting ---- */

static struct peer *unused(void)
{
    int i;

    for (i = 0; i < PEERS; i++)
        if (peers[i].fd < 0)
            return &peers[i];
    return NULL;
}

struct peer *peer_call(uint16_t port, bool small)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)}, own = {0};
    socklen_t len = sizeof(own);
    struct peer *p = unused();
    int window = 4096, yes = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!p)
        abort();
    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = p->in};
    if (!p->in)
        p->in = malloc(PEER_BYTES);
    if (small)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
    if (p->fd < 0 || !p->in || connect(p->fd, (struct sockaddr *)&to, sizeof(to)) ||
        getsockname(p->fd, (struct sockaddr *)&own, &len))
        abort(); /* of the test: nothing of this is made to fail */
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    p->port = ntohs(own.sin_port);
    if (is_secure)
        p->ssl = secure_client(p->fd);
    run();
    return p;
}

/* The server reads it in pieces, if need be. */
bool peer_send(struct peer *p, struct bytes text)
{
    int stuck = 0;

    while (text.len && stuck < STUCK) {
        ssize_t n = give(p, text.at, text.len);

        if (n < 0 && errno != EAGAIN)
            return wrong(p, "could not send: %s", strerror(errno));
        stuck = n < 0 ? stuck + 1 : 0;
        if (n < 0 && p->ssl && stuck > TURNS) /* it may rest before it shakes hands */
            world_advance(STEP_MS);
        else if (n < 0)
            world_turn();
        else
            text = bytes_of(text.at + n, text.len - (size_t)n);
    }
    if (text.len)
        return wrong(p, "the server does not read");
    run();
    return true;
}

bool peer_sendf(struct peer *p, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return peer_send(p, bytes_text(text));
}

/* ---- HTTP ---- */

static const char *head_end(struct bytes in)
{
    const char *end = in.len ? memmem(in.at, in.len, "\r\n\r\n", 4) : NULL;

    return end ? end + 4 : NULL;
}

static size_t body_len(struct bytes head)
{
    static const char name[] = "\r\ncontent-length: ";
    size_t i, len = sizeof(name) - 1;

    for (i = 0; i + len < head.len; i++)
        if (strncasecmp(head.at + i, name, len) == 0)
            return strtoul(head.at + i + len, NULL, 10);
    return 0;
}

static bool has_head(const struct peer *p)
{
    return head_end(unseen(p)) != NULL;
}

static bool has_answer(const struct peer *p)
{
    struct bytes in = unseen(p);
    const char *end = head_end(in);
    size_t head = end ? (size_t)(end - in.at) : 0;

    return end && in.len - head >= body_len(bytes_of(in.at, head));
}

static bool answer(struct peer *p, int status, bool has_body, struct bytes *body)
{
    struct bytes in;
    size_t head, len;
    int got;

    if (!await(p, has_body ? has_answer : has_head))
        return wrong(p, "no answer, expected %d", status);
    in = unseen(p);
    head = (size_t)(head_end(in) - in.at);
    len = has_body ? body_len(bytes_of(in.at, head)) : 0;
    got = (int)strtol(in.at + sizeof("HTTP/1.1"), NULL, 10);
    p->at += head + len;
    if (body)
        *body = bytes_of(in.at + head, len);
    p->told = p->told || got == 503 || got == 429;
    if (got != status)
        return wrong(p, "status %d, expected %d", got, status);
    return true;
}

bool peer_answer(struct peer *p, int status, struct bytes *body)
{
    return answer(p, status, true, body);
}

bool peer_answer_head(struct peer *p, int status)
{
    return answer(p, status, false, NULL);
}

bool peer_post(struct peer *p, const char *path, struct bytes body)
{
    return peer_sendf(p,
                      "POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      path, body.len) &&
           peer_send(p, body);
}

bool peer_postf(struct peer *p, const char *path, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return peer_post(p, path, bytes_text(text));
}

/* ---- WebSocket ---- */

/* extension: a line of the head, or nothing. */
static bool upgrade(struct peer *p, struct bytes path, const char *extension)
{
    if (!peer_sendf(p,
                    "GET /%.*s HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    "%s\r\n",
                    (int)path.len, path.at, extension) ||
        !peer_answer_head(p, 101))
        return false;
    p->attended = p->at;
    p->upgraded = true;
    attend(p);
    return true;
}

bool peer_upgrade(struct peer *p, struct bytes path)
{
    return upgrade(p, path, "");
}

static bool come_in(struct peer **out, int shard, const char *who, bool small,
                    const char *extension)
{
    const char *slash = strchr(who, '/');
    struct identity identity = {
        {BYTES("ws"), bytes_of(who, (size_t)(slash - who)), bytes_text(slash + 1), BYTES("app")}};
    struct tokens *tokens = tokens_new(world_key());
    struct buf token = {0};
    struct rand r;
    bool good;

    rand_init(&r);
    if (token_issue(tokens, &identity, world_now_s(), 1800, &r, &token))
        abort();
    tokens_free(tokens);
    *out = peer_call(world_ws_port(shard), small);
    good = upgrade(*out, buf_bytes(&token), extension);
    buf_fini(&token);
    return good;
}

bool peer_join(struct peer **out, int shard, const char *who, bool small)
{
    return come_in(out, shard, who, small, "");
}

bool peer_join_deflating(struct peer **out, int shard, const char *who)
{
    return come_in(out, shard, who, false, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
}

bool peer_frame(struct peer *p, int first_byte, bool masked, struct bytes payload)
{
    struct buf out = {0};
    bool good;

    write_frame(&out, first_byte, masked, payload);
    good = peer_send(p, buf_bytes(&out));
    buf_fini(&out);
    return good;
}

bool peer_say(struct peer *p, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return peer_frame(p, 0x80 | WS_TEXT, true, bytes_text(text));
}

static bool find_text(const struct peer *p, size_t *at, struct bytes *text)
{
    int opcode;

    while (take_frame(p, at, &opcode, text))
        if (opcode == WS_TEXT)
            return true;
    return false;
}

bool peer_has_text(const struct peer *p)
{
    struct bytes text;
    size_t at = p->at;

    return find_text(p, &at, &text);
}

/* No message of the scenario's own speaks of memory. */
static bool is_refusal(struct bytes text)
{
    static const char *const refusals[] = {"HTTP/1.1 429 ", "HTTP/1.1 503 ", "memory"};
    size_t i;

    for (i = 0; text.len && i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (memmem(text.at, text.len, refusals[i], strlen(refusals[i])))
            return true;
    return false;
}

bool peer_was_refused(const struct peer *p)
{
    return p->told || is_refusal(unseen(p));
}

bool peer_hear(struct peer *p, struct bytes *text)
{
    if (!await(p, peer_has_text))
        return wrong(p, "no message");
    (void)find_text(p, &p->at, text);
    p->told = p->told || is_refusal(*text);
    return true;
}

bool peer_hears(struct peer *p, const char *format, ...)
{
    char wanted[TEXT_BYTES];
    struct bytes text;
    va_list args;

    va_start(args, format);
    vsnprintf(wanted, sizeof(wanted), format, args);
    va_end(args);
    if (!peer_hear(p, &text))
        return wrong(p, "expected %.100s", wanted);
    if (bytes_equal(text, bytes_text(wanted)))
        return true;
    return wrong(p, "got %.*s, expected %.100s", (int)(text.len < 200 ? text.len : 200), text.at,
                 wanted);
}

static bool has_ended(const struct peer *p)
{
    return p->ended;
}

bool peer_ends(struct peer *p, int close_code)
{
    p->leaving = true;
    if (!await(p, has_ended))
        return wrong(p, "it was not closed");
    if (p->close_code != close_code)
        return wrong(p, "closed with %d, expected %d", p->close_code, close_code);
    return true;
}

/* ---- promises ---- */

static bool broken(const struct peer *p, const char *what, const char *text)
{
    if (!peers_broken[0])
        snprintf(peers_broken, sizeof(peers_broken),
                 "%s: %.200s (peer %d at %u, the fault's at %d)", what, text, (int)(p - peers),
                 (unsigned)p->port, faults_port());
    return wrong(p, "%s: %.100s", what, text);
}

bool peer_missed(struct peer *p, const char *text)
{
    return p->ended ? wrong(p, "gone before %.100s", text) : broken(p, "lost", text);
}

bool peer_heard_once(struct peer *p, const char *text)
{
    return !peer_has_text(p) || broken(p, "something behind this", text);
}

bool peer_gets(struct peer *p, const char *text)
{
    struct bytes got;

    if (!peer_hear(p, &got))
        return peer_missed(p, text);
    if (bytes_equal(got, bytes_text(text)))
        return true;
    return broken(p, "something else than this", text);
}

static bool unexpected(const struct peer *p, struct bytes text)
{
    char shown[100];

    snprintf(shown, sizeof(shown), "%.*s", (int)(text.len < 99 ? text.len : 99), text.at);
    return broken(p, "unexpected", shown);
}

bool peers_have_heard_all(void)
{
    struct bytes text;
    size_t at;
    int i;

    for (i = 0; i < PEERS; i++) {
        const struct peer *p = &peers[i];

        at = p->at;
        if (p->fd >= 0 && p->upgraded && !p->ended && !p->stays && find_text(p, &at, &text))
            return unexpected(p, text);
    }
    return true;
}
