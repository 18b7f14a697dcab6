#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "api/api_shard.h"
#include "app/config.h"
#include "app/secure.h"
#include "app/wire.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/cluster.h"
#include "net/sock.h"
#include "net/tls_context.h"
#include "faults.h"
#include "store.h"

enum {
    DRAIN_STEPS = 400,
    STEP_MS = 10,
    RESERVE_BYTES = 1 << 20,
    FAREWELL_MS = 2000,
    SETS = 24,
    SET_TEXT = 96,
};

struct node {
    const char *id;
    struct hub hub;
    struct config *config;
    struct tls_context *tls;
    struct cluster *cluster; /* null: it stands alone */
    int rest_fd[WORLD_SHARDS], ws_fd[WORLD_SHARDS];
    uint16_t rest_port[WORLD_SHARDS], ws_port[WORLD_SHARDS];
    enum { CLOSED, UP, DRAINING, LEAVING, ENDED } state;
    bool is_mute; /* its cluster thread does not run any more */
};

static struct node nodes[2] = {{.id = "tortured"}, {.id = "other"}};
static struct node *const tortured = &nodes[0], *const other = &nodes[1];
static struct world_way way;
static int64_t now_ms = 1000000;

/* ---- opening ---- */

static enum err listen_all(struct node *n)
{
    enum err e = ERR_OK;
    int i;

    /* A port for each, so that the test chooses the shard and not the kernel. */
    for (i = 0; i < WORLD_SHARDS && !e; i++) {
        e = sock_listen("127.0.0.1", 0, true, &n->rest_fd[i]);
        if (!e)
            e = sock_listen("127.0.0.1", 0, true, &n->ws_fd[i]);
        if (!e && (!(n->rest_port[i] = sock_port(n->rest_fd[i])) ||
                   !(n->ws_port[i] = sock_port(n->ws_fd[i]))))
            e = ERR_FULL;
    }
    return e;
}

static enum err join(struct node *n)
{
    const struct api *api = api_of(n->hub.shards[0]);
    char readiness[40];

    snprintf(readiness, sizeof(readiness), "http://127.0.0.1:%u", n->rest_port[0]);
    return cluster_open(&n->cluster, &n->hub,
                        &(struct cluster_urls){.external = api->external_url,
                                               .internal = api->internal_url,
                                               .browser = api->browser_url,
                                               .cluster = readiness});
}

static enum err open_all(struct node *n)
{
    uint32_t i;
    enum err e = listen_all(n);

    wire(&n->hub);
    if (!e)
        e = hub_open(&n->hub, config_settings(n->config));
    for (i = 0; !e && i < n->hub.count; i++) {
        e = api_open(n->hub.shards[i], n->rest_fd[i], n->ws_fd[i]);
        n->rest_fd[i] = -1; /* taken, also when it failed */
        n->ws_fd[i] = -1;
    }
    if (!e && way.redis_port)
        e = join(n);
    if (!e)
        secure_shards(&n->hub, n->tls);
    atomic_store(&n->hub.ready, !way.redis_port);
    return e;
}

static void close_all(struct node *n)
{
    uint32_t i;

    cluster_close(n->cluster);
    n->cluster = NULL;
    for (i = 0; i < n->hub.count; i++)
        api_close(n->hub.shards[i]);
    hub_close(&n->hub);
    for (i = 0; i < WORLD_SHARDS; i++) {
        sock_close(n->rest_fd[i]);
        sock_close(n->ws_fd[i]);
    }
    tls_context_unref(n->tls);
    n->tls = NULL;
    config_free(n->config);
    n->config = NULL;
    n->state = CLOSED;
}

/* Short times, so that what is given up on is given up soon; but none that a busy machine is too
   slow for, where Redis' own clock counts (lease, marks). */
static uint32_t add_cluster(char (*sets)[SET_TEXT], uint32_t count, const struct node *n)
{
    static const char *const common[] = {"pushca.pusher.deploy-mode=cluster",
                                         "pushca.cluster.beat-ms=250",
                                         "pushca.cluster.echo-ms=1000",
                                         "pushca.cluster.deaf-grace-ms=4s",
                                         "pushca.storage.redis.timeout-ms=1000",
                                         "pushca.limits.handshake-ms=3s",
                                         "pushca.limits.keep-alive-ms=60s",
                                         "pushca.acknowledge-timeout.ms=3s",
                                         "pushca.acknowledge-timeout.websocket-ms=3s"};
    uint32_t i;

    for (i = 0; i < sizeof(common) / sizeof(common[0]); i++)
        snprintf(sets[count++], SET_TEXT, "%s", common[i]);
    if (way.is_sharded)
        snprintf(sets[count++], SET_TEXT, "pushca.storage.redis.cluster.nodes=127.0.0.1:%u",
                 way.redis_port);
    else
        snprintf(sets[count++], SET_TEXT, "pushca.storage.redis.port=%u", way.redis_port);
    if (n == tortured) {
        snprintf(sets[count++], SET_TEXT, "pushca.storage.redis.username=" STORE_USER);
        snprintf(sets[count++], SET_TEXT, "pushca.storage.redis.password=" STORE_PASSWORD);
    }
    return count;
}

static bool load(struct node *n)
{
    static char sets[SETS][SET_TEXT];
    const char *at[SETS];
    static char depth[] = "PUSHCA_LIMITS_JSON_DEPTH=32", *environment[] = {depth, NULL};
    struct config_sources from = {.file = way.yaml, .sets = at, .environment = environment};
    struct buf errors = {0};
    struct problem why;
    uint32_t count = 0, i;
    enum err e;

    snprintf(sets[count++], SET_TEXT, "pushca.pusher.instance-id=%s", n->id);
    snprintf(sets[count++], SET_TEXT, "pushca.limits.inbox-bytes=64KB");
    if (way.certificate)
        snprintf(sets[count++], SET_TEXT, "server.ssl.certificate=%s", way.certificate);
    if (way.redis_port)
        count = add_cluster(sets, count, n);
    for (i = 0; i < count; i++)
        at[i] = sets[i];
    from.set_count = (int)count;
    e = config_load(&from, &n->config, &errors);

    if (e)
        fprintf(stderr, "cannot start: %.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    if (!e && (e = secure_load(config_settings(n->config), &n->tls, &why)))
        fprintf(stderr, "cannot start: %s\n", why.text);
    return !e;
}

static bool node_open(struct node *n)
{
    int i;

    n->hub = (struct hub){.count = 0};
    n->is_mute = false;
    for (i = 0; i < WORLD_SHARDS; i++)
        n->rest_fd[i] = n->ws_fd[i] = -1;
    n->state = UP;
    if (load(n) && !open_all(n))
        return true;
    close_all(n);
    return false;
}

void world_other_open(void)
{
    if (!node_open(other))
        abort(); /* of the test: nothing of it is made to fail */
}

bool world_open(const struct world_way *w)
{
    bool good;

    way = *w;
    faults_clock(now_ms);
    if (way.redis_port)
        world_other_open();
    faults_on(true);
    mem_reserve_open(RESERVE_BYTES);
    good = node_open(tortured);
    if (!good)
        mem_reserve_close();
    faults_on(false);
    if (!good && way.redis_port)
        close_all(other);
    return good;
}

/* ---- turns ---- */

static bool shards_stopped(const struct node *n)
{
    uint32_t i;

    for (i = 0; i < n->hub.count; i++)
        if (!n->hub.shards[i]->loop.stopping)
            return false;
    return true;
}

/* What main does when a part of its server has ended. */
static void look_at_end(struct node *n, bool cluster_runs)
{
    if (n->state == DRAINING && shards_stopped(n)) {
        n->state = n->cluster && !n->is_mute ? LEAVING : ENDED;
        if (n->state == LEAVING)
            cluster_end(n->cluster, FAREWELL_MS);
    } else if (n->state == LEAVING && !cluster_runs) {
        n->state = ENDED;
    }
}

static void turn(struct node *n)
{
    bool cluster_runs = true;
    uint32_t i;

    if (n->state == CLOSED || n->state == ENDED)
        return;
    for (i = 0; i < n->hub.count; i++)
        if (!n->hub.shards[i]->loop.stopping)
            shard_turn(n->hub.shards[i], 0);
    if (n->cluster && !n->is_mute)
        cluster_runs = cluster_turn(n->cluster, 0);
    if (atomic_load(&n->hub.bus.joined))
        atomic_store(&n->hub.ready, true);
    look_at_end(n, cluster_runs);
}

void world_turn(void)
{
    faults_on(true);
    turn(tortured);
    faults_on(false);
    turn(other);
}

void world_advance(int64_t ms)
{
    now_ms += ms;
    faults_clock(now_ms);
    world_turn();
}

bool world_settle(void)
{
    static uint64_t departures;
    uint64_t arrivals = faults_arrivals();

    if (!way.redis_port || departures == faults_departures())
        return false;
    departures = faults_departures();
    store_settle();
    world_turn();
    return faults_arrivals() != arrivals || faults_departures() != departures;
}

/* ---- the end ---- */

static void drain(struct node *n)
{
    n->state = DRAINING;
    atomic_store(&n->hub.draining, true);
    if (n->cluster && !n->is_mute)
        cluster_leave(n->cluster);
    hub_tell(&n->hub, NOTE_DRAIN);
}

static bool await_end(const struct node *n)
{
    int step;

    for (step = 0; step < DRAIN_STEPS && n->state != ENDED; step++) {
        world_advance(STEP_MS);
        while (world_settle())
            continue;
    }
    return n->state == ENDED;
}

static bool close_other(void)
{
    bool good = true;

    if (other->state == CLOSED)
        return true;
    if (other->state != ENDED) {
        drain(other);
        good = await_end(other);
    }
    close_all(other);
    return good;
}

bool world_close(void)
{
    bool good;

    faults_on(true);
    drain(tortured);
    faults_on(false);
    good = await_end(tortured);
    faults_on(true);
    close_all(tortured);
    mem_reserve_close();
    faults_on(false);
    return close_other() && good;
}

void world_other_end(bool farewell)
{
    other->is_mute = !farewell;
    drain(other);
}

bool world_other_has_ended(void)
{
    if (other->state != ENDED)
        return false;
    close_all(other);
    return true;
}

/* ---- what is asked of it ---- */

int world_doors(void)
{
    return way.redis_port ? 2 * WORLD_SHARDS : WORLD_SHARDS;
}

bool world_is_alone(void)
{
    return atomic_load(&tortured->hub.bus.peers) == 0;
}

bool world_is_away(void)
{
    return atomic_load(&tortured->hub.bus.away);
}

static bool is_well(const struct node *n)
{
    const struct bus *b = &n->hub.bus;

    return n->state == UP && atomic_load(&n->hub.ready) && !atomic_load(&b->away) &&
           !atomic_load(&b->full) && !atomic_load(&b->deaf) && atomic_load(&b->peers) == 1;
}

bool world_is_well(void)
{
    return is_well(tortured) && is_well(other);
}

int64_t world_now_ms(void)
{
    return now_ms;
}

int64_t world_now_s(void)
{
    return clock_wall_ms() / 1000;
}

uint16_t world_rest_port(int door)
{
    return nodes[door / WORLD_SHARDS].rest_port[door % WORLD_SHARDS];
}

uint16_t world_ws_port(int door)
{
    return nodes[door / WORLD_SHARDS].ws_port[door % WORLD_SHARDS];
}

const struct token_key *world_key(void)
{
    return &config_settings(tortured->config)->key;
}

void world_hold(int percent)
{
    static void *held;
    int64_t most = config_settings(tortured->config)->memory_bytes;

    mem_free(held);
    held = percent ? mem_alloc((size_t)(most / 100 * percent - mem_held())) : NULL;
}

bool world_is_short(void)
{
    return mem_is_short();
}
