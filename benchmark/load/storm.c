/*
 * storm - everybody connects, some at a time; then all connections end at once; then again. A
 * client of pushca first asks for its token, over a keep-alive connection its lane has for that.
 */
#include <stdlib.h>
#include <string.h>
#include "load/http.h"
#include "load/scenario.h"
#include "load/score.h"
#include "load/target.h"
#include "load/tools.h"

enum { EVENTS = 256, LANES_MAX = 1000, ROUNDS = 2, GIVE_UP_SECONDS = 60, LOOK_MS = 5 };

static const uint64_t WAIT_NS = 10000000, MS_NS = 1000000;

struct run {
    const struct options *o;
    struct pump pump; /* links 0..clients; behind them the lanes' HTTP connections */
    struct score score;
    uint32_t next, opened;
    uint32_t lane_client[LANES_MAX]; /* who this lane asks for */
    double connecting_s, closing_s;
};

static void ignore(struct link *l, char *at, size_t len)
{
    (void)l;
    (void)at;
    (void)len;
}

static void ask_token(struct run *r, uint32_t lane)
{
    struct link *l = r->pump.links[r->o->clients + lane];
    char out[1024], body[400];
    size_t len;

    len = pushca_open_body(body, sizeof(body), r->pump.links[r->lane_client[lane]]);
    link_send(l, out, http_post(out, sizeof(out), "/open-connection", body, len));
}

/* The lane's next client begins. */
static void begin_next(struct run *r, uint32_t lane)
{
    uint32_t client = r->next;

    if (client == r->o->clients)
        return;
    r->next++;
    r->lane_client[lane] = client;
    r->pump.links[client]->lane = lane;
    r->pump.links[client]->place = lane;
    if (r->o->target == &target_pushca)
        ask_token(r, lane);
    else
        link_connect(r->pump.links[client], port_of(&r->o->port, lane));
}

static size_t decode_token(struct link *l, char *at, size_t len)
{
    struct run *r = l->pump->owner;
    struct http_answer answer;
    size_t used = http_read(at, len, &answer);
    struct link *client;

    if (!used)
        return 0;
    client = r->pump.links[r->lane_client[l->number - r->o->clients]];
    pushca_take_path(client, &answer);
    link_connect(client, port_of(&r->o->port, client->place));
    return used;
}

static void on_open(struct link *l)
{
    struct run *r = l->pump->owner;

    if (l->is_plain)
        return;
    r->opened++;
    begin_next(r, l->lane);
}

static void connect_everybody(struct run *r)
{
    uint64_t begin = now_ns(), end = begin + GIVE_UP_SECONDS * 1000 * MS_NS;
    uint32_t lane;

    r->next = 0;
    r->opened = 0;
    for (lane = 0; lane < r->o->lanes; lane++)
        begin_next(r, lane);
    while (r->opened < r->o->clients) {
        pump_turn(&r->pump, WAIT_NS, EVENTS);
        if (now_ns() > end || r->pump.broken)
            die("only %u of %u came in, %u ended", r->opened, r->o->clients, r->pump.broken);
    }
    r->connecting_s += (double)(now_ns() - begin) / 1e9;
}

/* The server has seen the end of all of them when it has nothing left to do. */
static void close_everybody(struct run *r)
{
    uint64_t begin = now_ns(), busy;
    double before = usage_cpu_s(&r->o->server), now;
    uint32_t i;

    for (i = 0; i < r->o->clients; i++)
        link_close(r->pump.links[i]);
    busy = now_ns();
    while (now_ns() - busy < 10 * LOOK_MS * MS_NS) {
        sleep_ns(LOOK_MS * MS_NS);
        now = usage_cpu_s(&r->o->server);
        if (now - before > LOOK_MS / 1e3 / 20)
            busy = now_ns();
        before = now;
    }
    r->closing_s += (double)(busy - begin) / 1e9;
}

static void open_lanes(struct run *r)
{
    uint32_t lane;

    for (lane = 0; lane < r->o->lanes && r->o->target == &target_pushca; lane++) {
        struct link *l = r->pump.links[r->o->clients + lane];

        l->is_plain = true;
        l->decode = decode_token;
        link_connect(l, port_of(&r->o->http_port, lane));
        while (l->state != LINK_OPEN)
            pump_turn(&r->pump, WAIT_NS, EVENTS);
    }
}

static void print(const struct run *r)
{
    double connects = (double)r->o->clients * ROUNDS, cpu_us = r->score.server_cpu_s * 1e6;

    print_open(&r->score);
    print_number("lanes", r->o->lanes);
    print_number("connects", connects);
    print_number("connecting_s", r->connecting_s);
    print_number("closing_s", r->closing_s);
    print_number("rate", connects / (r->connecting_s + r->closing_s));
    print_number("connect_rate", connects / r->connecting_s);
    print_number("server_cpu_s", r->score.server_cpu_s);
    print_number("cpu_us_per_connect", cpu_us / connects);
    print_others(&r->score);
    print_number("server_busy", r->score.server_cpu_s / r->score.seconds);
    print_number("load_cpu_s", r->score.load_cpu_s);
    print_number("load_busy", r->score.load_cpu_s / r->score.seconds);
    print_number("broken", r->pump.broken);
    print_close();
}

void storm_run(const struct options *o)
{
    struct run *r = calloc(1, sizeof(*r));
    uint32_t i;

    if (!r)
        die("out of memory");
    if (o->target != &target_pushca && o->target != &target_raw)
        die("storm: targets are pushca and raw");
    r->o = o;
    pump_init(&r->pump, r);
    r->pump.target = o->target;
    r->pump.options = o;
    r->pump.on_text = ignore;
    r->pump.on_open = on_open;
    score_init(&r->score, o);
    for (i = 0; i < o->clients + o->lanes; i++) {
        struct link *l = link_new(&r->pump);

        l->to = LINK_ALONE;
        l->from = LINK_ALONE;
    }
    open_lanes(r);
    score_begin(&r->score, &r->pump);
    for (i = 0; i < ROUNDS; i++) {
        connect_everybody(r);
        close_everybody(r);
    }
    score_end(&r->score, &r->pump);
    print(r);
}
