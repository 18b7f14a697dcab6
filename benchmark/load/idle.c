/*
 * idle - what clients cost that say nothing: memory each, and CPU time with the server's pings.
 */
#include <stdlib.h>
#include "load/scenario.h"
#include "load/score.h"
#include "load/target.h"
#include "load/tools.h"

enum { EVENTS = 256, SETTLE_MS = 500, FIRST_SHARE = 10 };

static const uint64_t WAIT_NS = 100000000, MS_NS = 1000000;

static void turn_until(struct pump *p, uint64_t end)
{
    while (now_ns() < end)
        pump_turn(p, WAIT_NS, EVENTS);
}

static void ignore(struct link *l, char *at, size_t len)
{
    (void)l;
    (void)at;
    (void)len;
}

void idle_run(const struct options *o)
{
    struct pump pump;
    struct score score;
    uint32_t i, first = o->clients / FIRST_SHARE;
    double before;

    pump_init(&pump, NULL);
    pump.target = o->target;
    pump.options = o;
    pump.on_text = ignore;
    score_init(&score, o);
    for (i = 0; i < o->clients; i++) {
        link_new(&pump)->to = LINK_ALONE;
        pump.links[i]->from = LINK_ALONE;
    }
    /* The first ones pay for what the server makes only once. */
    connect_all(&pump, 0, first);
    turn_until(&pump, now_ns() + SETTLE_MS * MS_NS);
    before = usage_memory(&o->server);
    connect_all(&pump, first, o->clients - first);
    turn_until(&pump, now_ns() + SETTLE_MS * MS_NS);
    before = usage_memory(&o->server) - before;
    score_begin(&score, &pump);
    turn_until(&pump, now_ns() + (uint64_t)(o->seconds * 1e9));
    score_end(&score, &pump);

    print_open(&score);
    print_number("seconds", score.seconds);
    print_number("bytes_per_client", before / (o->clients - first));
    print_number("server_cpu_s", score.server_cpu_s);
    print_number("cpu_us_per_client_second", score.server_cpu_s * 1e6 / score.seconds / o->clients);
    print_number("broken", pump.broken);
    print_close();
}
