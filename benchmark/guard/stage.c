#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "hub/shard.h"
#include "sim/fake.h"
#include "sim/sim.h"
#include "wire/token.h"

enum { ROUNDS_MAX = 1000, NAME = 64 };

static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
static uint64_t turns, pings;
static struct tokens *tokens; /* of the clients: theirs is not counted */

void stage_open(const char *const *settings)
{
    static const char *const all[] = {
        "pushca.coordinator.secret-key=a secret that only this scenario ever sees",
        "pushca.coordinator.token-life-s=31536000",
        "pushca.pusher.instance-id=guard",
        "pushca.pusher.socket-pool-size=16000",
        "pushca.limits.http-connections=1000",
        "pushca.limits.memory-bytes=8GB",
        "pushca.pusher.ping-interval-ms=86400000",
        "pushca.limits.repeat-entries=1000",
        NULL,
    };
    int i;

    for (i = 0; all[i]; i++)
        sim.sets[sim.set_count++] = all[i];
    for (i = 0; settings[i]; i++)
        sim.sets[sim.set_count++] = settings[i];
    meter_open();
    sim.never_parks = true;
    sim_start();
    tokens = tokens_new(&sim.hub.settings->key);
}

static struct bytes kept(struct bytes text)
{
    return bytes_of(mem_copy(text), text.len);
}

struct identity stage_identity(int account, int device)
{
    struct identity who;
    char text[NAME];

    who.dim[0] = BYTES("workSpaceMain");
    snprintf(text, sizeof(text), "client%d@test.ee", account);
    who.dim[1] = kept(bytes_text(text));
    snprintf(text, sizeof(text), "8ea6e257-3904-4b5e-8a3a-%012d", device);
    who.dim[2] = kept(bytes_text(text));
    who.dim[3] = BYTES("MLA_JAVA_HEADLESS");
    return who;
}

/* ---- connections ---- */

void stage_write_hello(struct buf *out, const struct identity *who)
{
    struct buf token = {0};
    struct rand r;

    rand_init(&r);
    if (token_issue(tokens, who, clock_wall_ms() / 1000, 31536000, &r, &token))
        sim_fail("no token");
    buf_printf(out,
               "GET /%.*s HTTP/1.1\r\nHost: 127.0.0.1:8883\r\nUpgrade: websocket\r\n"
               "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Version: 13\r\n\r\n",
               (int)token.len, token.at);
    buf_fini(&token);
}

static void dial(struct peer *p, const int *doors, uint32_t shard)
{
    p->fd = fake_connect(doors[shard % sim.hub.count]);
}

void stage_knock(struct peer *p, uint32_t shard)
{
    dial(p, sim.ws_fd, shard);
    stage_say(p);
}

void stage_connect(struct peer *p, const struct identity *who, uint32_t shard)
{
    int i;

    *p = (struct peer){0};
    stage_write_hello(&p->says, who);
    stage_knock(p, shard);
    for (i = 0; i < 4 && fake_socket(p->fd)->from_server.len == 0; i++)
        stage_turn();
    if (!bytes_starts(buf_bytes(&fake_socket(p->fd)->from_server), BYTES("HTTP/1.1 101 ")))
        sim_fail("a client was not let in");
    stage_forget(p);
}

void stage_call(struct peer *p, uint32_t shard)
{
    *p = (struct peer){0};
    dial(p, sim.rest_fd, shard);
}

void stage_write_post(struct buf *out, const char *path, struct bytes body)
{
    out->len = 0;
    buf_printf(out,
               "POST %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
               path, body.len, (int)body.len, body.at);
}

/* ---- frames ---- */

static void write_header(struct buf *out, size_t len, unsigned masked)
{
    int bytes = len < 126 ? 0 : 2;

    if (len > UINT16_MAX)
        sim_fail("a message of %zu bytes", len);
    buf_add_char(out, (char)0x81);
    buf_add_char(out, (char)(masked | (bytes ? 126U : (unsigned)len)));
    while (bytes--)
        buf_add_char(out, (char)(len >> (8 * bytes)));
}

void stage_set_text(struct peer *p, struct bytes text)
{
    size_t at = p->says.len = 0;

    write_header(&p->says, text.len, 0x80);
    buf_add(&p->says, bytes_of(mask, sizeof(mask)));
    p->message_at = p->says.len;
    for (at = 0; at < text.len; at++)
        buf_add_char(&p->says, (char)(text.at[at] ^ mask[at % 4]));
}

void stage_change_text(struct peer *p, size_t at, struct bytes part)
{
    size_t i;

    for (i = 0; i < part.len; i++)
        p->says.at[p->message_at + at + i] = (char)(part.at[i] ^ mask[(at + i) % 4]);
}

void stage_write_frame(struct buf *out, struct bytes first, struct bytes second)
{
    write_header(out, first.len + second.len, 0);
    buf_add(out, first);
    buf_add(out, second);
}

/* ---- a round ---- */

void stage_say(struct peer *p)
{
    buf_add(&fake_socket(p->fd)->to_server, buf_bytes(&p->says));
}

struct bytes stage_heard(struct peer *p)
{
    static const char ping[] = {(char)0x89, 0}, pong[] = {(char)0x8a, (char)0x80, 0, 0, 0, 0};
    struct fake_socket *s = fake_socket(p->fd);

    while (bytes_starts(buf_bytes(&s->from_server), bytes_of(ping, sizeof(ping)))) {
        buf_drop(&s->from_server, sizeof(ping));
        buf_add(&s->to_server, bytes_of(pong, sizeof(pong)));
        pings++;
    }
    return buf_bytes(&s->from_server);
}

uint64_t stage_pings(void)
{
    return pings;
}

void stage_forget(struct peer *p)
{
    fake_socket(p->fd)->from_server.len = 0;
}

/* Headers may change with the time, their length does not. */
static void learn(struct peer *p, struct bytes got)
{
    static const char ok[] = "HTTP/1.1 200 ", upgraded[] = "HTTP/1.1 101 ";

    if (!bytes_starts(got, bytes_text(ok)) && !bytes_starts(got, bytes_text(upgraded)))
        sim_fail("no success: %.*s", (int)got.len, got.at);
    p->any_at = sizeof(ok) - 1;
    p->any = got.len - p->any_at;
    p->hears = kept(got);
    p->learns = false;
}

static void compare(struct peer *p)
{
    struct bytes got = stage_heard(p), want;
    size_t behind;

    if (p->learns)
        learn(p, got);
    want = p->hears;
    behind = p->any_at + p->any;
    if (got.len != want.len)
        sim_fail("a peer got %zu bytes instead of %zu: %.*s", got.len, want.len,
                 (int)(got.len < 300 ? got.len : 300), got.at);
    if (got.len == 0)
        return;
    if (!bytes_equal(bytes_of(got.at, p->any_at), bytes_of(want.at, p->any_at)) ||
        !bytes_equal(bytes_of(got.at + behind, got.len - behind),
                     bytes_of(want.at + behind, want.len - behind)))
        sim_fail("a peer got something else: %.*s", (int)got.len, got.at);
    if (p->any)
        memcpy(p->came, got.at + p->any_at, p->any < sizeof(p->came) ? p->any : sizeof(p->came));
    stage_forget(p);
}

void stage_turn(void)
{
    uint32_t i;

    for (i = 0; i < sim.hub.count; i++) {
        shard_turn(sim.hub.shards[i], -1);
        turns++;
    }
}

uint64_t stage_turns(void)
{
    return turns;
}

void stage_run(struct peer *peers, int count)
{
    int i = 0, rounds = 0;

    fake_clock_advance(1);
    while (i < count) {
        if (stage_heard(&peers[i]).len >= (peers[i].learns ? 1 : peers[i].hears.len))
            i++;
        else if (++rounds > ROUNDS_MAX)
            sim_fail("a peer waits for ever: %zu bytes of %zu came", stage_heard(&peers[i]).len,
                     peers[i].hears.len);
        else
            stage_turn();
    }
    for (i = 0; i < count; i++)
        compare(&peers[i]);
}

void stage_hang_up(struct peer *peers, int count)
{
    int i, rounds = 0;

    for (i = 0; i < count; i++)
        fake_socket(peers[i].fd)->peer_end = true;
    for (i = 0; i < count; i++) {
        while (!fake_socket(peers[i].fd)->server_closed) {
            if (++rounds > ROUNDS_MAX)
                sim_fail("the server closes nothing");
            stage_turn();
        }
        fake_forget(peers[i].fd);
    }
}
