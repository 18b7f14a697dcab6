#include "hub/world.h"

#include "api/api_shard.h"
#include "app/config.h"
#include "app/wire.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "fake.h"
#include "hub/shard.h"
#include "input.h"
#include "net/sock.h"
#include "wire/json.h"
#include "wire/token.h"

enum { ROUNDS = 20000, STEP_MS = 500 };

/* What is zero when all has gone. */
static const enum meter gauges[] = {METER_MEM_HELD,        METER_CONNS_HTTP,  METER_CONNS_WS,
                                    METER_SOCKETS,         METER_CLIENTS,     METER_QUEUED_BYTES,
                                    METER_DELIVERIES_OPEN, METER_MEM_FRAMES,  METER_MEM_INPUT,
                                    METER_MEM_CONNECTIONS, METER_DEFLATE_HELD};

static struct hub hub;
static int rest_fd[WORLD_SHARDS_MAX], ws_fd[WORLD_SHARDS_MAX];
static struct config *configs[WORLD_SHARDS_MAX + 1];
static struct tokens *tokens;
static struct buf token;
static int64_t held, begun_ms;

static struct config *config_of(uint32_t shards)
{
    static char *no_environment[] = {NULL};
    static const char *sets[] = {NULL,
                                 "pushca.coordinator.secret-key=0123456789abcdef0123456789abcdef",
                                 "pushca.pusher.socket-pool-size=9",
                                 "pushca.limits.open-deliveries=4",
                                 "pushca.limits.queue-bytes=262144",
                                 "pushca.limits.soft-queue-bytes=4096",
                                 "pushca.acknowledge-timeout.ms=1000",
                                 "pushca.drain-ms=500"};
    struct config_sources from = {
        .sets = sets, .set_count = sizeof(sets) / sizeof(sets[0]), .environment = no_environment};
    struct buf errors = {0};
    char shard_count[40];

    (void)snprintf(shard_count, sizeof(shard_count), "pushca.pusher.shards=%u", shards);
    sets[0] = shard_count;
    log_setup(LOG_ERROR, LOG_TEXT);
    if (!configs[shards])
        MUST(config_load(&from, &configs[shards], &errors) == ERR_OK);
    return configs[shards];
}

/* The JSON library takes some memory with its first text and never gives it back. */
static void parse_once(void)
{
    static const char text[1 + JSON_PADDING] = "1";
    struct json *j = json_new(1);
    struct json_value root;
    struct problem why;

    MUST(json_parse(j, bytes_of(text, 1), &root, &why) == ERR_OK);
    json_free(j);
}

void world_open(uint32_t shards, uint64_t seed)
{
    const struct settings *set = config_settings(config_of(shards));

    MUST(set->sockets == WORLD_SOCKETS && set->deliveries == WORLD_DELIVERIES);
    MUST(set->net.queue_bytes == WORLD_QUEUE && set->ack_timeout_ms == WORLD_ACK_MS);
    fake_rand_seed(seed);
    fake_clock_reset();
    begun_ms = clock_mono_ms();
    if (!tokens) {
        tokens = tokens_new(&set->key);
        parse_once();
        (void)world_token(&(struct identity){{BYTES("w0"), BYTES("a0"), BYTES("d0"), BYTES("p0")}});
    }
    held = mem_held();
    memset(&hub, 0, sizeof(hub));
    wire(&hub);
    MUST(hub_open(&hub, set) == ERR_OK);
    atomic_store(&hub.ready, true);
    for (uint32_t i = 0; i < hub.count; i++) {
        MUST(sock_listen("127.0.0.1", 0, true, &rest_fd[i]) == ERR_OK);
        MUST(sock_listen("127.0.0.1", 0, true, &ws_fd[i]) == ERR_OK);
        MUST(api_open(hub.shards[i], rest_fd[i], ws_fd[i]) == ERR_OK);
    }
}

static void nobody(void)
{
}

void world_close(void)
{
    hub_tell(&hub, NOTE_DRAIN);
    world_settle(nobody);
    world_advance(hub.settings->drain_ms + 100, nobody);
    for (uint32_t i = 0; i < hub.count; i++)
        MUST(hub.shards[i]->loop.stopping);
    for (uint32_t i = 0; i < hub.count; i++)
        api_close(hub.shards[i]);
    MUST(hub.sockets.inside == 0 && hub.http_conns.inside == 0 && hub.handshakes.inside == 0);
    hub_close(&hub);
    MUST(fake_all_closed());
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        MUST(meter_sum(gauges[i]) == (gauges[i] == METER_MEM_HELD ? held : 0));
}

int world_connect_rest(uint32_t shard)
{
    return fake_connect(rest_fd[shard % hub.count]);
}

int world_connect_ws(uint32_t shard)
{
    return fake_connect(ws_fd[shard % hub.count]);
}

void world_settle(void (*attend)(void))
{
    uint64_t before;
    int rounds = 0;

    do {
        before = fake_activity();
        for (uint32_t i = 0; i < hub.count; i++)
            if (!hub.shards[i]->loop.stopping)
                shard_turn(hub.shards[i], 0);
        attend();
        MUST(++rounds < ROUNDS); /* it comes to rest */
    } while (fake_activity() != before);
}

void world_advance(int64_t ms, void (*attend)(void))
{
    world_settle(attend);
    for (int64_t step; ms > 0; ms -= step) {
        step = ms < STEP_MS ? ms : STEP_MS;
        fake_clock_advance(step);
        world_settle(attend);
    }
}

int64_t world_now(void)
{
    return clock_mono_ms() - begun_ms;
}

const char *world_token(const struct identity *who)
{
    struct rand r;

    rand_init(&r);
    token.len = 0;
    MUST(token_issue(tokens, who, clock_wall_ms() / 1000, 1800, &r, &token) == ERR_OK);
    buf_add_char(&token, '\0');
    return token.at;
}
