#include "load/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load/target.h"
#include "load/text.h"
#include "load/tools.h"

static const char usage_text[] =
    "usage: pushca-load SCENARIO --target TARGET --port PORT [OPTION...]\n"
    "\n"
    "Loads a server on 127.0.0.1 and prints one JSON object: rates, latencies, CPU of both sides,\n"
    "and what was lost, doubled, swapped or torn.\n"
    "\n"
    "Scenarios: pairs http fanout idle storm crowd\n"
    "Targets:   raw pushca nchan nats mosquitto\n"
    "\n"
    "  --port PORT,...      WebSocket port of the target; raw: its only port; several: of the\n"
    "                       nodes of a cluster, to which the clients are dealt out\n"
    "  --http-port PORT,... pushca: the port of its REST API (nchan: the same as --port)\n"
    "  --partner far|near|mixed   several nodes: who sends to each other is on two nodes (far),\n"
    "                       on the same one, or one half of the pairs so and one so\n"
    "  --pid PID            a process of the server, to be measured; may be repeated\n"
    "  --other NAME=PID     what else works for it, to be measured apart; may be repeated\n"
    "  --clients N          WebSocket clients (1000)\n"
    "  --window W           closed loop: messages under way per client (1)\n"
    "  --rate R             open loop: messages per second in all, whatever happens\n"
    "  --seconds S          measured (3), after\n"
    "  --warmup S           not measured (1)\n"
    "  --text BYTES         length of a message (128)\n"
    "  --mode plain|acked|v2   how pushca is spoken to (plain)\n"
    "  --connections K      http: keep-alive connections that post (64)\n"
    "  --verify             http: the next one when the last was answered and delivered\n"
    "  --lanes L            storm: connects under way at once (64)\n"
    "  --matches M          fanout: only so many clients match, the others share one of two "
    "dimensions\n"
    "  --quiet              crowd: without the crowd, to compare\n"
    "  --spin               never sleep: on one machine a sleeping client is woken at the\n"
    "                       server's expense, which no server pays whose clients are elsewhere\n";

enum { TEXT_LONGEST = 8192, CLIENTS_MOST = 19000 };

static const struct option names[] = {
    {"target", required_argument, NULL, 't'},
    {"port", required_argument, NULL, 'p'},
    {"http-port", required_argument, NULL, 'h'},
    {"partner", required_argument, NULL, 'a'},
    {"pid", required_argument, NULL, 'i'},
    {"other", required_argument, NULL, 'o'},
    {"clients", required_argument, NULL, 'n'},
    {"window", required_argument, NULL, 'w'},
    {"rate", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 's'},
    {"warmup", required_argument, NULL, 'u'},
    {"text", required_argument, NULL, 'b'},
    {"mode", required_argument, NULL, 'm'},
    {"connections", required_argument, NULL, 'k'},
    {"lanes", required_argument, NULL, 'l'},
    {"matches", required_argument, NULL, 'x'},
    {"verify", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"spin", no_argument, NULL, 'z'},
    {"help", no_argument, NULL, '?'},
    {0},
};

static double number(const char *text, double least, double most)
{
    char *end;
    double n = strtod(text, &end);

    if (end == text || *end || n < least || n > most)
        die("%s is not a number from %g to %g", text, least, most);
    return n;
}

static uint32_t whole(const char *text, uint32_t least, uint32_t most)
{
    return (uint32_t)number(text, least, most);
}

static enum mode mode_of(const char *name)
{
    enum mode m;

    for (m = MODE_PLAIN; m <= MODE_V2; m++)
        if (strcmp(name, mode_name(m)) == 0)
            return m;
    die("no mode %s: plain, acked or v2", name);
}

const char *mode_name(enum mode m)
{
    static const char *const of[] = {"plain", "acked", "v2"};

    return of[m];
}

static void add_pid(struct options *o, const char *text)
{
    if (o->server.pids == USAGE_PIDS)
        die("more than %d processes", USAGE_PIDS);
    o->server.pid[o->server.pids++] = (int)whole(text, 1, 1 << 30);
}

/* "redis=123": the same name may have several processes. */
static void add_other(struct options *o, const char *text)
{
    const char *pid = strchr(text, '=');
    size_t len = pid ? (size_t)(pid - text) : 0;
    struct other *other = o->others;

    if (!len || len > OTHER_NAME_MAX)
        die("%s: NAME=PID is wanted", text);
    while (other < o->others + o->other_count &&
           (strncmp(other->name, text, len) != 0 || other->name[len]))
        other++;
    if (other == o->others + OTHERS_MAX)
        die("more than %d others", OTHERS_MAX);
    if (other == o->others + o->other_count)
        memcpy(o->others[o->other_count++].name, text, len);
    if (other->usage.pids == USAGE_PIDS)
        die("more than %d processes", USAGE_PIDS);
    other->usage.pid[other->usage.pids++] = (int)whole(pid + 1, 1, 1 << 30);
}

static void read_ports(struct ports *p, const char *text)
{
    char part[16];
    size_t len;

    for (p->count = 0; *text; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        if (p->count == PORTS_MAX || len >= sizeof(part))
            die("at most %d ports, with commas between them", PORTS_MAX);
        snprintf(part, sizeof(part), "%.*s", (int)len, text);
        p->at[p->count++] = (uint16_t)whole(part, 1, 65535);
    }
}

uint16_t port_of(const struct ports *p, uint32_t place)
{
    return p->at[place % p->count];
}

static enum partner partner_of(const char *name)
{
    static const char *const of[] = {"far", "near", "mixed"};
    enum partner p;

    for (p = PARTNER_FAR; p <= PARTNER_MIXED; p++)
        if (strcmp(name, of[p]) == 0)
            return p;
    die("no partner %s: far, near or mixed", name);
}

/* long: one case an option */
static void take(struct options *o, int option, const char *value)
{
    switch (option) {
    case 't':
        o->target = target_of(value);
        if (!o->target)
            die("no target %s: raw, pushca, nchan, nats or mosquitto", value);
        break;
    case 'p':
        read_ports(&o->port, value);
        break;
    case 'h':
        read_ports(&o->http_port, value);
        break;
    case 'a':
        o->partner = partner_of(value);
        break;
    case 'o':
        add_other(o, value);
        break;
    case 'i':
        add_pid(o, value);
        break;
    case 'n':
        o->clients = whole(value, 2, CLIENTS_MOST);
        break;
    case 'w':
        o->window = whole(value, 1, 10000);
        break;
    case 'r':
        o->rate = number(value, 1, 1e8);
        break;
    case 's':
        o->seconds = number(value, 0.01, 3600);
        break;
    case 'u':
        o->warmup = number(value, 0, 3600);
        break;
    case 'b':
        o->text_bytes = whole(value, TEXT_LEAST, TEXT_LONGEST);
        break;
    case 'm':
        o->mode = mode_of(value);
        break;
    case 'k':
        o->connections = whole(value, 1, 1000);
        break;
    case 'l':
        o->lanes = whole(value, 1, 1000);
        break;
    case 'x':
        o->matches = whole(value, 1, CLIENTS_MOST);
        break;
    case 'v':
        o->verify = true;
        break;
    case 'q':
        o->quiet = true;
        break;
    case 'z':
        o->spin = true;
        break;
    default:
        fputs(usage_text, option == '?' ? stdout : stderr);
        exit(2);
    }
}

void options_read(struct options *o, int argc, char **argv)
{
    int option;

    *o = (struct options){.clients = 1000,
                          .window = 1,
                          .connections = 64,
                          .lanes = 64,
                          .text_bytes = 128,
                          .seconds = 3,
                          .warmup = 1};
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(usage_text, argc < 2 ? stderr : stdout);
        exit(argc < 2 ? 2 : 0);
    }
    o->scenario = argv[1];
    while ((option = getopt_long(argc - 1, argv + 1, "", names, NULL)) != -1)
        take(o, option, optarg);
    if (!o->target || !o->port.count)
        die("--target and --port are needed");
    if (!o->http_port.count)
        o->http_port = o->port;
    if (o->mode != MODE_PLAIN && o->target != &target_pushca)
        die("mode %s is spoken by pushca alone", mode_name(o->mode));
}
