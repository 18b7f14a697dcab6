#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "api/api_shard.h"
#include "app/config.h"
#include "app/secure.h"
#include "app/wire.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/sock.h"
#include "net/tls_context.h"
#include "faults.h"

enum { DRAIN_STEPS = 400, STEP_MS = 10, RESERVE_BYTES = 1 << 20 };

static struct hub hub;
static struct config *config;
static struct tls_context *tls;
static int rest_fd[WORLD_SHARDS] = {-1, -1}, ws_fd[WORLD_SHARDS] = {-1, -1};
static uint16_t rest_port[WORLD_SHARDS], ws_port[WORLD_SHARDS];
static int64_t now_ms = 1000000;

static enum err listen_all(void)
{
    enum err e = ERR_OK;
    int i;

    /* A port for each, so that the test chooses the shard and not the kernel. */
    for (i = 0; i < WORLD_SHARDS && !e; i++) {
        e = sock_listen("127.0.0.1", 0, true, &rest_fd[i]);
        if (!e)
            e = sock_listen("127.0.0.1", 0, true, &ws_fd[i]);
        if (!e && (!(rest_port[i] = sock_port(rest_fd[i])) || !(ws_port[i] = sock_port(ws_fd[i]))))
            e = ERR_FULL;
    }
    return e;
}

static enum err open_all(void)
{
    uint32_t i;
    enum err e = listen_all();

    wire(&hub);
    if (!e)
        e = hub_open(&hub, config_settings(config));
    for (i = 0; !e && i < hub.count; i++) {
        e = api_open(hub.shards[i], rest_fd[i], ws_fd[i]);
        rest_fd[i] = -1; /* taken, also when it failed */
        ws_fd[i] = -1;
    }
    if (!e)
        secure_shards(&hub, tls);
    atomic_store(&hub.ready, true);
    return e;
}

static void close_all(void)
{
    uint32_t i;

    for (i = 0; i < hub.count; i++)
        api_close(hub.shards[i]);
    hub_close(&hub);
    for (i = 0; i < WORLD_SHARDS; i++) {
        sock_close(rest_fd[i]);
        sock_close(ws_fd[i]);
    }
    tls_context_unref(tls);
    config_free(config);
    mem_reserve_close();
}

static bool load(const char *yaml, const char *certificate)
{
    static char own[80];
    static const char *const sets[] = {"pushca.pusher.instance-id=tortured",
                                       "pushca.limits.inbox-bytes=64KB", own};
    static char depth[] = "PUSHCA_LIMITS_JSON_DEPTH=32", *environment[] = {depth, NULL};
    struct config_sources from = {
        .file = yaml, .sets = sets, .set_count = certificate ? 3 : 2, .environment = environment};
    struct buf errors = {0};
    struct problem why;
    enum err e;

    snprintf(own, sizeof(own), "server.ssl.certificate=%s", certificate ? certificate : "");
    e = config_load(&from, &config, &errors);

    if (e)
        fprintf(stderr, "cannot start: %.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    if (!e && (e = secure_load(config_settings(config), &tls, &why)))
        fprintf(stderr, "cannot start: %s\n", why.text);
    return !e;
}

bool world_open(const char *yaml, const char *certificate)
{
    bool good;

    faults_clock(now_ms);
    faults_on(true);
    mem_reserve_open(RESERVE_BYTES);
    good = load(yaml, certificate) && !open_all();
    faults_on(false);
    if (!good)
        close_all();
    return good;
}

void world_turn(void)
{
    uint32_t i;

    faults_on(true);
    for (i = 0; i < hub.count; i++)
        if (!hub.shards[i]->loop.stopping)
            shard_turn(hub.shards[i], 0);
    faults_on(false);
}

void world_advance(int64_t ms)
{
    now_ms += ms;
    faults_clock(now_ms);
    world_turn();
}

bool world_close(void)
{
    uint32_t i, left = hub.count;
    int step;

    faults_on(true);
    atomic_store(&hub.draining, true);
    hub_tell(&hub, NOTE_DRAIN);
    for (step = 0; step < DRAIN_STEPS && left; step++) {
        world_advance(STEP_MS);
        for (i = 0, left = 0; i < hub.count; i++)
            left += !hub.shards[i]->loop.stopping;
    }
    faults_on(true);
    close_all();
    faults_on(false);
    return !left;
}

int64_t world_now_s(void)
{
    return clock_wall_ms() / 1000;
}

uint16_t world_rest_port(int shard)
{
    return rest_port[shard];
}

uint16_t world_ws_port(int shard)
{
    return ws_port[shard];
}

const struct token_key *world_key(void)
{
    return &config_settings(config)->key;
}

void world_hold(int percent)
{
    static void *held;

    mem_free(held);
    held = percent ? mem_alloc((size_t)(config_settings(config)->memory_bytes / 100 * percent -
                                        mem_held()))
                   : NULL;
}

bool world_is_short(void)
{
    return mem_is_short();
}
