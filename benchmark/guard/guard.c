/*
 * guard - runs one scenario of fixed work against the real hub, api and protocols on a fake kernel:
 * `guard NAME [OPERATIONS]`. Under callgrind its instructions are counted (benchmark/guard/run);
 * alone it says how much processor time an operation takes, fakes included.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/log.h"
#include "scenario.h"
#include "sim/fake.h"
#include "sim/sim.h"
#include "stage.h"

enum { INDEX_ENTRIES = 1000000 };

static const struct scenario *const scenarios[] = {
    &scenario_pairs,      &scenario_lone,   &scenario_pairs_v2, &scenario_acked,  &scenario_http,
    &scenario_http_acked, &scenario_fanout, &scenario_find_any, &scenario_filter, &scenario_open,
    &scenario_connect,    &scenario_ping,   &scenario_shards,
};

static const char *running = "guard";

void sim_fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "guard %s: ", running);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* Callgrind begins to count where this begins; it must stay a function of its own. */
__attribute__((noinline)) void guard_measured(const struct scenario *s, int rounds);

void guard_measured(const struct scenario *s, int rounds)
{
    while (rounds--)
        s->round();
}

/* Of the processor, not of the clock on the wall: others may be at work on this machine. */
static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void say_calls(const struct fake_calls *before, double operations)
{
    const struct fake_calls *now = &fake_calls;
    const struct {
        const char *name;
        uint64_t count;
    } all[] = {
        {"waits", now->waits - before->waits},    {"watches", now->watches - before->watches},
        {"wakes", now->wakes - before->wakes},    {"accepts", now->accepts - before->accepts},
        {"reads", now->reads - before->reads},    {"writes", now->writes - before->writes},
        {"closes", now->closes - before->closes},
    };
    size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        printf("%s\"%s\":%.4f", i ? "," : "", all[i].name, (double)all[i].count / operations);
}

static int run(const struct scenario *s, int operations)
{
    int i, rounds = (operations + s->each - 1) / s->each;
    double done = (double)rounds * s->each;
    struct fake_calls before;
    int64_t begun_ns, ns;
    uint64_t turns;

    running = s->name;
    stage_open(s->settings);
    s->open();
    for (i = 0; i < s->warm; i++)
        s->round();
    before = fake_calls;
    turns = stage_turns();
    begun_ns = now_ns();
    guard_measured(s, rounds);
    ns = now_ns() - begun_ns;
    printf("{\"scenario\":\"%s\",\"operation\":\"%s\",\"operations\":%.0f,\"ns\":%.1f,"
           "\"turns\":%.4f,\"calls\":{",
           s->name, s->operation, done, (double)ns / done, (double)(stage_turns() - turns) / done);
    say_calls(&before, done);
    puts("}}");
    return 0;
}

static int usage(void)
{
    size_t i;

    fputs("usage: guard SCENARIO [OPERATIONS]\n       guard index [ENTRIES]\n", stderr);
    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        fprintf(stderr, "  %-12s %s\n", scenarios[i]->name, scenarios[i]->operation);
    return 2;
}

static const struct scenario *find(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        if (strcmp(name, scenarios[i]->name) == 0)
            return scenarios[i];
    return NULL;
}

int main(int argc, char **argv)
{
    long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    const struct scenario *s = argc > 1 ? find(argv[1]) : NULL;
    bool of_index = argc > 1 && strcmp(argv[1], "index") == 0;

    if (argc > 3 || count < 0 || count > INT_MAX / 2 || (!s && !of_index))
        return usage();
    log_setup(LOG_ERROR, LOG_TEXT);
    if (of_index)
        return index_main(count ? (int)count : INDEX_ENTRIES);
    return run(s, count ? (int)count : s->usual);
}
