#include "sim.h"

#include "api/api_shard.h"
#include "app/config.h"
#include "app/wire.h"
#include "base/mem.h"
#include "net/sock.h"
#include "fake.h"

struct sim sim;

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

void sim_start(void)
{
    uint32_t i;

    sim.config = sim_load();
    wire(&sim.hub);
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
    sim.started = true;
}

void sim_close(void)
{
    uint32_t i;

    for (i = 0; i < sim.hub.count; i++)
        api_close(sim.hub.shards[i]);
    hub_close(&sim.hub);
    if (!fake_all_closed())
        sim_fail("the server left a socket open");
    config_free(sim.config);
    if (mem_held() != 0)
        sim_fail("%lld bytes leaked", (long long)mem_held());
}
