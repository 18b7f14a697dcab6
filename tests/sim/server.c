#include "sim.h"

#include "api/api_shard.h"
#include "app/config.h"
#include "app/wire.h"
#include "base/mem.h"
#include "base/meter.h"
#include "net/sock.h"
#include "wire/json.h"
#include "fake.h"

enum { PARK_EVERY = 5 }; /* events */

struct sim sim;
static int64_t kept_for_ever;

/* The JSON library takes some memory with its first text and never gives it back. */
static void parse_once(void)
{
    static const char text[1 + JSON_PADDING] = "1";
    int64_t before = mem_held();
    struct json *j = json_new(1);
    struct json_value root;
    struct problem why;

    if (json_parse(j, bytes_of(text, 1), &root, &why))
        sim_fail("%s", why.text);
    json_free(j);
    kept_for_ever = mem_held() - before;
}

struct config *sim_load(void)
{
    static char *no_environment[] = {NULL};
    struct config_sources from = {
        .sets = sim.sets, .set_count = sim.set_count, .environment = no_environment};
    struct config *config;
    struct buf errors = {0};

    if (config_load(&from, &config, &errors))
        sim_fail("configuration: %.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    return config;
}

static bool (*told)(void *shard, uint64_t tag, uint32_t events);

/* The clock stands in a turn, so nobody would ever be left over and parked: every so often somebody
   is, and nothing may come of it. */
static bool tell_and_park(void *shard, uint64_t tag, uint32_t events)
{
    static unsigned count;

    if (!sim.never_parks && ++count % PARK_EVERY == 0)
        sim.hub.on_park(shard, tag);
    return told(shard, tag, events);
}

void sim_start(void)
{
    uint32_t i;

    sim.config = sim_load();
    wire(&sim.hub);
    told = sim.hub.on_ready;
    sim.hub.on_ready = tell_and_park;
    if (hub_open(&sim.hub, config_settings(sim.config)))
        sim_fail("hub_open failed");
    atomic_store(&sim.hub.ready, true);
    for (i = 0; i < sim.hub.count; i++) {
        if (sock_listen("127.0.0.1", 0, true, &sim.rest_fd[i]) ||
            sock_listen("127.0.0.1", 0, true, &sim.ws_fd[i]))
            sim_fail("sock_listen failed");
        if (api_open(sim.hub.shards[i], sim.rest_fd[i], sim.ws_fd[i]))
            sim_fail("api_open failed");
    }
    parse_once();
    sim.started = true;
}

void sim_close(void)
{
    enum meter part;
    uint32_t i;

    for (i = 0; i < sim.hub.count; i++)
        api_close(sim.hub.shards[i]);
    hub_close(&sim.hub);
    if (!fake_all_closed())
        sim_fail("the server left a socket open");
    config_free(sim.config);
    for (part = METER_MEM_FRAMES; part < METER_MEM_OTHER; part++)
        if (meter_sum(part) != 0)
            sim_fail("part %d of the memory is %lld at the end", (int)part,
                     (long long)meter_sum(part));
    if (mem_held() != kept_for_ever)
        sim_fail("%lld bytes leaked", (long long)(mem_held() - kept_for_ever));
}
