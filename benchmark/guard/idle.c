/*
 * idle - clients that say nothing: a ping each, once in an interval, and the pong.
 */
#include "base/clock.h"
#include "hub/shard.h"
#include "scenario.h"
#include "sim/fake.h"
#include "sim/sim.h"
#include "stage.h"

enum { CLIENTS = 1000 };

static struct peer clients[CLIENTS];

static const char *const settings[] = {"pushca.pusher.shards=1",
                                       "pushca.pusher.ping-interval-ms=25000", NULL};

static void open_idle(void)
{
    int i;

    for (i = 0; i < CLIENTS; i++) {
        struct identity who = stage_identity(i, i);

        stage_connect(&clients[i], &who, 0);
    }
}

/* As the kernel would: the server sleeps until a timer is due or a pong comes. */
static void round_of_pings(void)
{
    struct loop *loop = &sim.hub.shards[0]->loop;
    uint64_t until = stage_pings() + CLIENTS;
    int i;

    while (stage_pings() < until) {
        uint64_t before = stage_pings();

        fake_clock_advance(wheel_next_ms(&loop->wheel, clock_mono_ms()));
        stage_turn();
        for (i = 0; i < CLIENTS; i++)
            (void)stage_heard(&clients[i]);
        if (stage_pings() != before)
            stage_turn();
    }
}

const struct scenario scenario_ping = {"ping",         "ping and pong", settings, open_idle,
                                       round_of_pings, CLIENTS,         1,        2000};
