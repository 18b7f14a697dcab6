/*
 * sim - runs one script (tests/sim/NAME.sim) against the real hub, api, protocols and queues, on a
 * fake kernel and a fake clock. A script is the specification of a behaviour; README.md tells its
 * words.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app/config.h"
#include "app/reload.h"
#include "hub/shard.h"
#include "fake.h"
#include "peer.h"
#include "random.h"
#include "sim.h"

enum { MAX_SETS = 64, LINE_BYTES = 1 << 16, ROUNDS = 100000 };

static const char *script_name;
static int line_number;

void sim_fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: ", script_name, line_number);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- the server ---- */

/* Turns of all shards, one after the other, until a whole round changed nothing. */
void sim_settle(void)
{
    uint64_t before;
    int rounds = 0;
    uint32_t i;

    if (!sim.started)
        sim_start();
    do {
        before = fake_activity();
        for (i = 0; i < sim.hub.count; i++)
            if (!sim.hub.shards[i]->loop.stopping)
                shard_turn(sim.hub.shards[i], 0);
        peers_attend();
        if (++rounds > ROUNDS)
            sim_fail("the server never comes to rest");
    } while (fake_activity() != before);
}

void sim_advance(int64_t ms)
{
    sim_settle();
    while (ms > 0) {
        int64_t step = ms < SIM_STEP_MS ? ms : SIM_STEP_MS;

        fake_clock_advance(step);
        ms -= step;
        sim_settle();
    }
}

static void server_stop(void)
{
    uint32_t i;

    if (!sim.started)
        sim_start();
    if (!atomic_load(&sim.hub.drain.begun))
        hub_tell(&sim.hub, NOTE_DRAIN);
    sim_settle();
    sim_advance(config_settings(sim.config)->drain_ms + 100);
    for (i = 0; i < sim.hub.count; i++)
        if (!sim.hub.shards[i]->loop.stopping)
            sim_fail("shard %u did not drain", i);
    peers_free();
    sim_close();
    for (i = 0; i < (uint32_t)sim.set_count; i++)
        free((void *)(uintptr_t)sim.sets[i]);
}

/* ---- the script ---- */

static char *word(char **rest)
{
    char *start = *rest + strspn(*rest, " "), *end = start + strcspn(start, " ");

    *rest = end;
    if (*end) {
        *end = 0;
        *rest = end + 1;
    }
    return start;
}

static void on_change(void *context, const char *key, bool needs_restart)
{
    if (needs_restart)
        sim_fail("%s needs a restart", key);
    buf_printf(context, "%s ", key);
}

static void do_set(char *rest)
{
    char *key = word(&rest), *pair;

    if (sim.started || sim.set_count == MAX_SETS)
        sim_fail("settings come first, at most %d", MAX_SETS);
    if (asprintf(&pair, "%s=%s", key, rest) < 0)
        sim_fail("out of memory");
    sim.sets[sim.set_count++] = pair;
}

/* What SIGHUP does, with one more setting: main's loop is not here to wait for the shards. */
static void do_reload(char *rest)
{
    struct config *before;
    struct buf changed = {0};

    sim_settle();
    sim.started = false;
    do_set(rest);
    sim.started = true;
    before = sim.config;
    sim.config = sim_load();
    config_inherit(sim.config, before, on_change, &changed);
    reload_publish(&sim.hub, config_settings(sim.config), NULL);
    sim_settle();
    if (!reload_is_done(&sim.hub))
        sim_fail("not every shard has the new settings");
    if (!changed.len)
        sim_fail("the reload changed nothing");
    buf_fini(&changed);
    config_free(before);
}

/* A word, then the rest of the line. */
static void do_named(void (*verb)(const char *name, char *rest), char *rest)
{
    const char *name = word(&rest);

    verb(name, rest + strspn(rest, " "));
}

static void do_expect(char *rest)
{
    char *name = word(&rest);
    int64_t want = strtoll(rest, NULL, 10), got = peer_meter(name);

    sim_settle();
    got = peer_meter(name);
    if (got != want)
        sim_fail("%s is %lld, expected %lld", name, (long long)got, (long long)want);
}

static int64_t duration(const char *text)
{
    char *unit;
    int64_t n = strtoll(text, &unit, 10);

    if (strcmp(unit, "s") == 0)
        return n * 1000;
    if (strcmp(unit, "ms") != 0)
        sim_fail("a duration ends in ms or s: %s", text);
    return n;
}

/* Lines "NAME > text", "NAME < text" and the like. */
static void do_peer(const char *name, char *rest)
{
    char *what = word(&rest);

    if (strcmp(what, ">") == 0)
        peer_say(name, rest);
    else if (strcmp(what, ">>") == 0)
        peer_say_raw(name, rest);
    else if (strcmp(what, ">pong") == 0)
        peer_pong(name);
    else if (strcmp(what, "<") == 0)
        peer_expect(name, rest);
    else if (strcmp(what, "<nothing") == 0)
        peer_expect_nothing(name);
    else if (strcmp(what, "<close") == 0)
        peer_expect_close(name, (int)strtol(rest, NULL, 10));
    else if (strcmp(what, "<open") == 0)
        peer_expect_open(name);
    else if (strcmp(what, "<end") == 0)
        peer_expect_end(name);
    else if (strcmp(what, "<bytes") == 0)
        peer_expect_bytes(name, (int)strtol(rest, NULL, 10));
    else
        sim_fail("unknown word: %s %s", name, what);
}

static void do_connect(char *rest)
{
    do_named(peer_connect, rest);
}

static void do_knock(char *rest)
{
    do_named(peer_knock, rest);
}

static void do_call(char *rest)
{
    do_named(peer_call, rest);
}

static void do_post(char *rest)
{
    do_named(peer_post, rest);
}

static void do_advance(char *rest)
{
    sim_advance(duration(rest));
}

static void do_await(char *rest)
{
    char *name = word(&rest);

    peer_await_ping(name, duration(rest));
}

static void do_stall(char *rest)
{
    peer_stall(rest, true);
}

static void do_resume(char *rest)
{
    peer_stall(rest, false);
}

static void do_deaf(char *rest)
{
    peer_deaf(rest);
}

static void do_hangup(char *rest)
{
    peer_hangup(rest);
}

static void do_random(char *rest)
{
    random_run(rest);
}

/* All shards, or " @1": that one hears of it first. */
static void do_drain(char *rest)
{
    sim_settle();
    if (*rest == '@') {
        struct shard *s = sim.hub.shards[strtoul(rest + 1, NULL, 10) % sim.hub.count];
        struct note *n = note_new(s, NOTE_DRAIN);

        inbox_post(&s->inbox, &n->link, &n->link, sizeof(*n));
    } else {
        hub_tell(&sim.hub, NOTE_DRAIN);
    }
    sim_settle();
}

static const struct {
    const char *word;
    void (*verb)(char *rest);
} verbs[] = {
    {"set", do_set},       {"reload", do_reload}, {"drain", do_drain},   {"connect", do_connect},
    {"knock", do_knock},   {"call", do_call},     {"post", do_post},     {"advance", do_advance},
    {"await", do_await},   {"stall", do_stall},   {"resume", do_resume}, {"deaf", do_deaf},
    {"hangup", do_hangup}, {"expect", do_expect}, {"flood", peer_flood}, {"random", do_random}};

static void run_line(char *line)
{
    char *rest = line, *first;
    size_t i;

    line[strcspn(line, "\n")] = 0;
    first = word(&rest);
    if (!*first || *first == '#')
        return;
    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(first, verbs[i].word) == 0) {
            verbs[i].verb(rest);
            return;
        }
    do_peer(first, rest);
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES];
    FILE *f;

    if (argc != 2) {
        fprintf(stderr, "usage: sim SCRIPT\n");
        return 2;
    }
    script_name = argv[1];
    f = fopen(script_name, "r");
    if (!f) {
        perror(script_name);
        return 2;
    }
    log_setup(LOG_ERROR, LOG_TEXT);
    while (fgets(line, sizeof(line), f)) {
        line_number++;
        run_line(line);
    }
    fclose(f);
    server_stop();
    return 0;
}
