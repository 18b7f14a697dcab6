#define ZLIB_CONST
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>
#include "wire/base64url.h"
#include "wire/ws.h"
#include "faults.h"
#include "peer.h"
#include "steps.h"
#include "world.h"

enum { BIG_BYTES = 150000, PIECE_BYTES = 20000 };

static char big[BIG_BYTES + 1];

/* Nothing but what is done for every feature. */
static bool nothing(int attempt)
{
    (void)attempt;
    return true;
}

/* ---- coming in ---- */

static bool open_connection(int attempt)
{
    struct peer *rest = call_rest(0), *p = peer_call(world_ws_port(1), false);
    struct bytes body, text;

    STEP(peer_postf(rest, "/open-connection", "{\"client\":" CLIENT "}", "open", attempt));
    STEP(peer_answer(rest, 200, &body));
    STEP(peer_upgrade(p, token_in(body, 0)));
    STEP(peer_say(p, "{\"command\":\"PING\"}") && peer_hears(p, "PONG"));
    STEP(peer_say(p, "{\"command\":\"REFRESH_TOKEN\"}") && peer_hear(p, &text));
    STEP(peer_say(p, "r%d@@REFRESH_TOKEN", attempt) && peer_hear(p, &text));
    return text.len && memmem(text.at, text.len, "RESPONSE@@{\"body\"", 17);
}

static bool pool(int attempt)
{
    struct peer *rest = call_rest(1), *one, *two;
    struct bytes body;

    STEP(peer_postf(rest, "/open-connection-pool", "{\"client\":" CLIENT ",\"poolSize\":2}", "pool",
                    attempt));
    STEP(peer_answer(rest, 200, &body));
    one = peer_call(world_ws_port(0), false);
    STEP(peer_upgrade(one, token_in(body, 0)));
    STEP(join(&two, 1, "pool", attempt));
    STEP(peer_postf(rest, "/send-notification",
                    "{\"filter\":{\"accountId\":\"pool%d\"},\"message\":\"one\"}", attempt));
    STEP(peer_answer(rest, 200, NULL) && peer_hears(one, "one"));
    STEP(peer_postf(rest, "/send-notification", "{\"filter\":" CLIENT ",\"message\":\"two\"}",
                    "pool", attempt));
    STEP(peer_answer(rest, 200, NULL) && peer_hears(two, "two"));
    STEP(peer_postf(rest, "/send-notification",
                    "{\"filter\":" CLIENT ",\"message\":\"three\",\"preserveOrder\":true}", "pool",
                    attempt));
    return peer_answer(rest, 200, NULL);
}

static bool sign_in(int attempt)
{
    struct peer *p = peer_call(world_ws_port(0), false);
    char json[512], path[1024] = "sign-in/";
    struct bytes text;

    snprintf(json, sizeof(json), "{\"client\":" CLIENT "}", "sign", attempt);
    base64url_write(path + strlen(path), json, strlen(json));
    STEP(peer_upgrade(p, bytes_text(path)));
    p->leaving = true;
    STEP(peer_hear(p, &text) && token_in(text, 0).len > 0);
    return peer_ends(p, WS_CLOSE_NORMAL);
}

/* One of the two doors is not at home. */
static bool move(int attempt)
{
    struct peer *p[WORLD_SHARDS];
    int i;

    for (i = 0; i < WORLD_SHARDS; i++)
        STEP(join(&p[i], i, "move", attempt));
    for (i = 0; i < WORLD_SHARDS; i++)
        STEP(peer_say(p[i], "%d@@PING", i) && peer_hears(p[i], "PONG"));
    return true;
}

static bool refused_at_the_door(int attempt)
{
    struct peer *p = peer_call(world_ws_port(0), false), *q = peer_call(world_ws_port(1), false);

    (void)attempt;
    p->leaving = true;
    q->leaving = true;
    STEP(peer_sendf(p, "GET /no-token HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    STEP(peer_answer(p, 401, NULL) && peer_ends(p, 0));
    STEP(peer_sendf(q, "GET /no-token HTTP/1.1\r\nHost: t\r\n\r\n"));
    return peer_answer(q, 426, NULL) && peer_ends(q, 0);
}

/* ---- sending ---- */

static bool send_v1(int attempt)
{
    struct peer *a, *b;

    STEP(join(&a, 0, "v1a", attempt) && join(&b, 1, "v1b", attempt));
    STEP(
        peer_say(a,
                 "{\"command\":\"SEND_MESSAGE\",\"metaData\":{\"filter\":{\"accountId\":\"v1b%d\"},"
                 "\"message\":\"plain\"}}",
                 attempt) &&
        peer_hears(b, "plain"));
    STEP(peer_say(
             a,
             "{\"command\":\"SEND_MESSAGE_WITH_PRESERVED_ORDER\",\"metaData\":{\"filter\":" CLIENT
             ",\"message\":\"in order\"}}",
             "v1b", attempt) &&
         peer_hears(b, "in order"));
    return true;
}

static bool send_v2(int attempt)
{
    struct peer *a, *b;

    STEP(join(&a, 0, "v2a", attempt) && join(&b, 1, "v2b", attempt));
    STEP(peer_say(a,
                  "x%d@@SEND_MESSAGE@@{\"filter\":{\"deviceId\":\"d\",\"exclude\":[" CLIENT
                  "]},\"message\":\"to others\"}",
                  attempt, "v2a", attempt));
    STEP(peer_hears(a, "x%d@@RESPONSE", attempt) && peer_hears(b, "to others"));
    STEP(peer_say(a,
                  "e%d@@SEND_ENVELOPES@@{\"envelopes\":[{\"client\":" CLIENT
                  ",\"message\":\"e1\"},{\"client\":" CLIENT ",\"message\":\"e2\"}]}",
                  attempt, "v2b", attempt, "v2a", attempt));
    STEP(peer_hears(b, "e1") && peer_hears(a, "e2") && peer_hears(a, "e%d@@RESPONSE", attempt));
    STEP(peer_say(a, "y%d@@NO_SUCH_COMMAND", attempt));
    return peer_hears(a, "y%d@@RESPONSE@@{\"error\":\"unknown command NO_SUCH_COMMAND\"}", attempt);
}

/* The others hear of SEND_MESSAGE to the whole application, too. */
static bool find_any(int attempt)
{
    struct peer *a, *b, *from;
    struct bytes first, second;

    STEP(join(&a, 0, "anya", attempt) && join(&b, 1, "anyb", attempt));
    STEP(join(&from, 0, "from", attempt));
    STEP(peer_say(from,
                  "f%d@@SEND_MESSAGE@@{\"filter\":{\"deviceId\":\"d\",\"exclude\":[" CLIENT
                  "],\"findAny\":true},\"message\":\"any\"}",
                  attempt, "from", attempt));
    STEP(peer_hears(from, "f%d@@RESPONSE", attempt));
    STEP(peer_say(from,
                  "g%d@@SEND_MESSAGE@@{\"filter\":{\"deviceId\":\"d\",\"exclude\":[" CLIENT
                  "],\"findAny\":true},\"message\":\"any\"}",
                  attempt, "from", attempt));
    STEP(peer_hears(from, "g%d@@RESPONSE", attempt));
    return peer_hear(a, &first) && peer_hear(b, &second);
}

static bool acknowledged(int attempt)
{
    struct peer *a, *b;

    STEP(join(&a, 0, "acka", attempt) && join(&b, 1, "ackb", attempt));
    STEP(peer_say(
        a, "m%d@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@{\"client\":" CLIENT ",\"message\":\"acked\"}",
        attempt, "ackb", attempt));
    STEP(acknowledge(b, "acked") && peer_hears(a, "m%d@@ACKNOWLEDGE", attempt));
    STEP(peer_say(
        a, "m%d@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@{\"client\":" CLIENT ",\"message\":\"acked\"}",
        attempt, "ackb", attempt));
    STEP(peer_hears(a, "m%d@@ACKNOWLEDGE", attempt)); /* a repeat */
    STEP(peer_say(
        a, "n%d@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@{\"client\":" CLIENT ",\"message\":\"never\"}",
        attempt, "ackb", attempt));
    return pass(300);
}

static bool acknowledged_by_rest(int attempt)
{
    struct peer *rest = call_rest(0), *b;
    static const char body[] = "{\"client\":" CLIENT ",\"message\":\"acked\"}";

    STEP(join(&b, 1, "rest", attempt));
    STEP(peer_postf(rest, "/send-notification-with-acknowledge", body, "rest", attempt));
    STEP(acknowledge(b, "acked") && peer_answer(rest, 200, NULL));
    STEP(peer_postf(rest, "/send-notification-with-acknowledge", body, "rest", attempt));
    return peer_answer(rest, 408, NULL);
}

/* ---- large and slow ---- */

static bool hears_big(struct peer *p)
{
    struct bytes text;

    STEP(peer_hear(p, &text));
    return text.len == BIG_BYTES;
}

static struct bytes piece(struct bytes text, size_t at)
{
    return bytes_of(text.at + at, text.len - at < PIECE_BYTES ? text.len - at : PIECE_BYTES);
}

/* In fragments, with a ping between them. */
static bool say_in_fragments(struct peer *p, struct bytes text)
{
    size_t at;

    for (at = 0; at < text.len; at += PIECE_BYTES) {
        bool is_last = at + PIECE_BYTES >= text.len;

        if (at == PIECE_BYTES)
            STEP(peer_frame(p, 0x80 | WS_PING, true, BYTES("between")));
        STEP(peer_frame(p, (is_last ? 0x80 : 0) | (at ? 0 : WS_TEXT), true, piece(text, at)));
    }
    return true;
}

static bool post_in_chunks(struct peer *p, struct bytes body)
{
    size_t at;

    STEP(peer_sendf(p, "POST /send-notification HTTP/1.1\r\nHost: t\r\n"
                       "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (at = 0; at < body.len; at += PIECE_BYTES) {
        struct bytes part = piece(body, at);

        STEP(peer_sendf(p, "%zx\r\n", part.len) && peer_send(p, part) && peer_sendf(p, "\r\n"));
    }
    return peer_sendf(p, "0\r\n\r\n");
}

static bool large_messages(int attempt)
{
    static char said[BIG_BYTES + 256];
    static const char command[] = "b@@SEND_MESSAGE@@";
    struct peer *a, *rest = call_rest(1);
    struct bytes body;

    memset(big, 'x', BIG_BYTES);
    snprintf(said, sizeof(said), "%s{\"filter\":{\"accountId\":\"big%d\"},\"message\":\"%s\"}",
             command, attempt, big);
    body = bytes_text(said + sizeof(command) - 1);
    STEP(join(&a, 0, "big", attempt));
    STEP(say_in_fragments(a, bytes_text(said)) && hears_big(a) && peer_hears(a, "b@@RESPONSE"));
    STEP(peer_post(rest, "/send-notification", body) && peer_answer(rest, 200, NULL));
    STEP(hears_big(a) && post_in_chunks(rest, body) && peer_answer(rest, 200, NULL));
    return hears_big(a);
}

/* Reads nothing: over its queue it is closed, and told so when it reads at last. */
static bool slow_reader(int attempt)
{
    struct peer *slow, *rest = call_rest(0);
    char name[NAME];
    int i;

    STEP(peer_join(&slow, 0, named(name, "slow", attempt), true));
    slow->deaf = true;
    slow->leaving = true;
    memset(big, 'y', BIG_BYTES);
    for (i = 0; i < 40; i++) {
        STEP(peer_postf(rest, "/send-notification",
                        "{\"filter\":{\"accountId\":\"slow%d\"},\"message\":\"%.3000s\"}", attempt,
                        big));
        STEP(peer_answer(rest, 200, NULL));
    }
    slow->deaf = false;
    return peer_ends(slow, WS_CLOSE_TRY_LATER);
}

static bool pings(int attempt)
{
    struct peer *p, *deaf;

    STEP(join(&p, 0, "ping", attempt) && join(&deaf, 1, "deaf", attempt));
    deaf->deaf = true;
    deaf->leaving = true;
    STEP(pass(3500));
    deaf->deaf = false;
    STEP(peer_say(p, "{\"command\":\"PING\"}") && peer_hears(p, "PONG"));
    return peer_ends(deaf, 0);
}

/* Raw, as one message without a context. */
static size_t squeeze(char *to, size_t room, struct bytes text)
{
    z_stream z = {.next_in = (const Bytef *)text.at,
                  .avail_in = (uInt)text.len,
                  .next_out = (Bytef *)to,
                  .avail_out = (uInt)room};

    if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) ||
        deflate(&z, Z_SYNC_FLUSH) != Z_OK || deflateEnd(&z) == Z_STREAM_ERROR)
        abort();
    return room - z.avail_out - 4; /* 00 00 ff ff is left out */
}

static size_t unsqueeze(char *to, size_t room, struct bytes text)
{
    z_stream z = {.next_in = (const Bytef *)text.at,
                  .avail_in = (uInt)text.len,
                  .next_out = (Bytef *)to,
                  .avail_out = (uInt)room};

    if (inflateInit2(&z, -15))
        abort();
    (void)inflate(&z, Z_SYNC_FLUSH);
    (void)inflateEnd(&z);
    return room - z.avail_out;
}

/* What is long comes compressed; plain, too, when memory was refused. */
static bool hears_squeezed(struct peer *p, size_t len)
{
    static char whole[8192];
    struct bytes text;

    STEP(peer_hear(p, &text));
    if (text.len == len)
        return faults_fired();
    return text.len < len / 10 && unsqueeze(whole, sizeof(whole), text) == len &&
           memcmp(whole, big, len) == 0;
}

static bool compressed(int attempt)
{
    struct peer *a, *b, *rest = call_rest(0);
    static char said[4096], small[1024];
    char name[NAME];
    struct bytes text;
    size_t len;
    int i;

    memset(big, 'z', BIG_BYTES);
    snprintf(name, sizeof(name), "flat/z%d", attempt);
    STEP(peer_join_deflating(&a, 0, name));
    snprintf(name, sizeof(name), "whole/z%d", attempt);
    STEP(peer_join(&b, 1, name, false));
    for (i = 0; i < 2; i++) {
        STEP(peer_postf(rest, "/send-notification",
                        "{\"filter\":{\"deviceId\":\"z%d\"},\"message\":\"%.3000s\"}", attempt,
                        big));
        STEP(peer_answer(rest, 200, NULL) && hears_squeezed(a, 3000) && peer_hear(b, &text));
        STEP(text.len == 3000);
    }
    len = (size_t)snprintf(said, sizeof(said),
                           "z@@SEND_MESSAGE@@{\"filter\":{\"deviceId\":\"z%d\"},"
                           "\"message\":\"%.3000s\"}",
                           attempt, big);
    len = squeeze(small, sizeof(small), bytes_of(said, len));
    STEP(peer_frame(a, 0xc0 | WS_TEXT, true, bytes_of(small, len)));
    return hears_squeezed(a, 3000) && peer_hears(a, "z@@RESPONSE") && peer_hear(b, &text) &&
           text.len == 3000;
}

/* ---- HTTP ---- */

static bool pages(int attempt)
{
    static const char *const paths[] = {"/actuator",
                                        "/actuator/health",
                                        "/actuator/health/liveness",
                                        "/actuator/info",
                                        "/actuator/metrics",
                                        "/actuator/metrics/pushca.accepted?tag=class:plain",
                                        "/actuator/prometheus",
                                        "/pushca",
                                        "/pushca.yaml",
                                        "/swagger-ui/index.html",
                                        "/actuator/health/readiness"};
    struct peer *p = call_rest(attempt % WORLD_SHARDS);
    size_t i;

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        STEP(get(p, paths[i], 200));
    STEP(get(p, "/actuator/metrics/none", 404) && get(p, "/nothing", 404));
    return get(p, "/send-notification", 405);
}

static bool is_known_by(struct peer *p, const char *url)
{
    struct bytes body;

    STEP(peer_sendf(p, "GET /actuator HTTP/1.1\r\nHost: t\r\nX-Forwarded-Proto: https\r\n"
                       "X-Forwarded-Host: push.example\r\nX-Forwarded-Prefix: /p\r\n\r\n"));
    STEP(peer_answer(p, 200, &body));
    return memmem(body.at, body.len, url, strlen(url)) != NULL;
}

/* From a proxy that is trusted; who does not learn where it comes from believes nothing, once. */
static bool forwarded(int attempt)
{
    static const char url[] = "https://push.example/p/actuator";
    struct peer *p = call_rest(attempt % WORLD_SHARDS);

    return is_known_by(p, url) || (faults_fired() && is_known_by(p, url));
}

static bool http_ways(int attempt)
{
    struct peer *p = call_rest(0);
    int i;

    STEP(peer_sendf(p, "HEAD /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n"));
    STEP(peer_answer_head(p, 200));
    STEP(peer_sendf(p, "OPTIONS /send-notification HTTP/1.1\r\nHost: t\r\n"
                       "Origin: http://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"
                       "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n"));
    STEP(peer_answer(p, 200, NULL) && peer_answer(p, 200, NULL));
    STEP(peer_sendf(p, "GET /actuator/info HTTP/1.1\r\nHost: t\r\n\r\n"
                       "POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n"
                       "Content-Type: text/plain\r\n\r\n{}"
                       "GET /actuator/info HTTP/1.1\r\nHost: t\r\n\r\nGET /act"));
    STEP(peer_answer(p, 200, NULL) && peer_answer(p, 415, NULL) && peer_answer(p, 200, NULL));
    STEP(peer_sendf(p, "uator/info HTTP/1.1\r\nHost: t\r\n\r\n") && peer_answer(p, 200, NULL));
    STEP(peer_sendf(p, "POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Length: 44\r\n"
                       "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"));
    STEP(peer_answer_head(p, 100));
    STEP(peer_sendf(p, "{\"filter\":{\"accountId\":\"none\"},\"message\":\"\"}"));
    STEP(peer_answer(p, 200, NULL));
    for (i = 0; i < 2; i++)
        STEP(peer_postf(p, "/send-notification", "{\"filter\":%d", attempt) &&
             peer_answer(p, 400, NULL));
    p->leaving = true;
    return pass(2100) && peer_ends(p, 0); /* idle for too long */
}

/* What is refused, and ends its connection. */
static bool bad_requests(int attempt)
{
    struct {
        const char *text;
        int status;
    } bad[] = {
        {"GET /actuator HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n", 400},
        {"BREW / HTTP/1.1\r\nHost: t\r\n\r\n", 501},
        {"GET / HTTP/3.1\r\nHost: t\r\n\r\n", 505},
        {"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Length: 999999\r\n\r\n", 413},
        {"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{", 408},
        {"GET /slow HTTP/1.1\r\nHo", 408},
        {"GET /actuator HTTP/1.0\r\n\r\n", 200}};
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct peer *p = call_rest((int)(i + (size_t)attempt) % WORLD_SHARDS);

        p->leaving = true;
        STEP(peer_send(p, bytes_text(bad[i].text)));
        STEP(peer_answer(p, bad[i].status, NULL));
        STEP(peer_ends(p, 0));
        peers_reset();
        STEP(pass(20));
    }
    return true;
}

/* ---- limits and ends ---- */

static bool send_to(struct peer *rest, struct peer *to, int attempt, int status)
{
    STEP(peer_postf(rest, "/send-notification",
                    "{\"filter\":{\"accountId\":\"full%d\"},\"message\":\"hi\"}", attempt));
    return peer_answer(rest, status, NULL) && (status != 200 || peer_hears(to, "hi"));
}

/* Over the first step nobody new, over the second no sends. */
static bool climb(struct peer *rest, struct peer *p, int attempt)
{
    world_hold(88);
    STEP(pass(20));
    STEP(peer_postf(rest, "/open-connection", "{\"client\":" CLIENT "}", "late", attempt));
    STEP(peer_answer(rest, 429, NULL) && send_to(rest, p, attempt, 200));
    world_hold(95);
    STEP(pass(20));
    return send_to(rest, p, attempt, 429);
}

static bool memory_steps(int attempt)
{
    struct peer *p, *rest;
    bool good;

    world_hold(0); /* of an attempt before */
    STEP(pass(20));
    rest = call_rest(0);
    STEP(join(&p, 1, "full", attempt));
    good = climb(rest, p, attempt);
    world_hold(0);
    STEP(pass(20));
    return good && send_to(rest, p, attempt, 200);
}

static bool too_many_http(int attempt)
{
    struct peer *p[8], *more;
    size_t i;

    (void)attempt;
    for (i = 0; i < 8; i++) {
        p[i] = call_rest((int)i % WORLD_SHARDS);
        STEP(get(p[i], "/actuator/health/liveness", 200));
    }
    more = call_rest(0);
    more->leaving = true;
    STEP(peer_answer(more, 503, NULL));
    return get(p[0], "/actuator/health/liveness", 200);
}

static bool too_many_sockets(int attempt)
{
    struct peer *p, *more;
    char token[] = "sign-in/eyJjbGllbnQiOnt9fQ"; /* {"client":{}} */
    int i;

    for (i = 0; i < 11; i++)
        STEP(join(&p, i % WORLD_SHARDS, "many", attempt));
    more = peer_call(world_ws_port(0), false);
    more->leaving = true;
    STEP(peer_sendf(more,
                    "GET /%s HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    token));
    STEP(peer_answer(more, 400, NULL));
    more = call_rest(0);
    STEP(peer_postf(more, "/open-connection", "{\"client\":" CLIENT "}", "late", attempt));
    return peer_answer(more, 429, NULL);
}

static bool violations(int attempt)
{
    struct {
        int first_byte;
        bool masked;
        struct bytes payload;
        int code;
    } bad[] = {{0x80 | WS_TEXT, false, BYTES("unmasked"), WS_CLOSE_PROTOCOL},
               {0x80 | WS_BINARY, true, BYTES("binary"), WS_CLOSE_UNSUPPORTED},
               {0x80 | WS_TEXT, true, BYTES("\xff\xfe"), 1007},
               {0x80 | WS_CLOSE, true,
                BYTES("\x03\xe8"
                      "bye"),
                WS_CLOSE_NORMAL}};
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct peer *p;

        STEP(join(&p, (int)i % WORLD_SHARDS, "bad", attempt));
        STEP(peer_frame(p, bad[i].first_byte, bad[i].masked, bad[i].payload));
        STEP(peer_ends(p, bad[i].code));
        peers_reset();
        STEP(pass(20));
    }
    return true;
}

/* Without a word, in the middle of one: by FIN and by RST. */
static bool hang_ups(int attempt)
{
    struct linger at_once = {1, 0};
    struct peer *p, *rest = call_rest(1);

    STEP(join(&p, 0, "hang", attempt));
    STEP(peer_send(p, bytes_of("\x81\xfe\x01", 3)));
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    STEP(peer_sendf(rest, "POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Le"));
    peers_reset();
    STEP(pass(50));
    STEP(join(&p, 1, "hang", attempt));
    shutdown(p->fd, SHUT_WR);
    return peer_ends(p, 0);
}

const struct feature features[] = {
    {"bystanders", nothing, false},
    {"open-connection", open_connection, false},
    {"pool", pool, false},
    {"sign-in", sign_in, false},
    {"move", move, false},
    {"refused at the door", refused_at_the_door, false},
    {"send v1", send_v1, false},
    {"send v2", send_v2, false},
    {"find any", find_any, false},
    {"acknowledged", acknowledged, false},
    {"acknowledged by REST", acknowledged_by_rest, false},
    {"large messages", large_messages, false},
    {"slow reader", slow_reader, false},
    {"compressed", compressed, false},
    {"pings", pings, false},
    {"pages", pages, false},
    {"forwarded", forwarded, false},
    {"http", http_ways, false},
    {"bad requests", bad_requests, false},
    {"memory steps", memory_steps, false},
    {"too many http", too_many_http, true},
    {"too many sockets", too_many_sockets, false},
    {"violations", violations, false},
    {"hang-ups", hang_ups, false},
    {NULL, NULL, false},
};
