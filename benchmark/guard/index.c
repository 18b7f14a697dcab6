/*
 * index - what it costs to find one client among very many, and to select a few by filters of
 * several shapes: is the cost that of the matches, or that of something larger? In processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/check.h"
#include "base/mem.h"
#include "hub/index.h"
#include "scenario.h"

enum {
    STEPS = 5,   /* 1, 10, 100, 1,000 and 10,000 matches */
    SHARE = 20,  /* a large set holds that part of the entries */
    DEVICES = 3, /* of most accounts */
    FINDS = 100000,
    ENOUGH_NS = 50000000,
    TEXT = 48,
};

static const struct hash_key key = {1, 2};
static struct index clients;
static struct vec known; /* all of them, by age */

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The texts of one identity or filter; an empty one is a wildcard. */
struct words {
    char workspace[TEXT], account[TEXT], device[TEXT], application[TEXT];
};

static struct identity identity_of(const struct words *w)
{
    return (struct identity){{bytes_text(w->workspace), bytes_text(w->account),
                              bytes_text(w->device), bytes_text(w->application)}};
}

/* ---- a million clients ---- */

/* The n-th client that has nothing special. */
static struct words usual(int n)
{
    struct words w;

    snprintf(w.workspace, TEXT, "workSpaceMain");
    snprintf(w.account, TEXT, "client%d@test.ee", n / DEVICES);
    snprintf(w.device, TEXT, "8ea6e257-3904-4b5e-8a3a-%012d", n);
    snprintf(w.application, TEXT, "MLA_JAVA_HEADLESS");
    return w;
}

static void add(const struct words *w)
{
    struct identity who = identity_of(w);

    vec_push(&known, index_get(&clients, &who, identity_hash(&key, &who)));
}

static int matches_of(int step)
{
    int n = 1;

    while (step--)
        n *= 10;
    return n;
}

/* For every step: an account with as many clients as shall match; and a workspace and an
   application that are both large but have only as many clients in common. */
static void fill(int entries)
{
    int step, i, large = entries / SHARE;

    for (step = 0; step < STEPS; step++) {
        int common = matches_of(step);

        for (i = 0; i < common; i++) {
            struct words w = usual((int)known.len);

            snprintf(w.account, TEXT, "account-%d", step);
            add(&w);
        }
        for (i = 0; i < 2 * large - common; i++) {
            struct words w = usual((int)known.len);

            if (i < large)
                snprintf(w.workspace, TEXT, "workSpace-%d", step);
            if (i >= large - common)
                snprintf(w.application, TEXT, "APPLICATION-%d", step);
            add(&w);
        }
    }
    while (known.len < (uint32_t)entries) {
        struct words w = usual((int)known.len);

        add(&w);
    }
}

/* ---- questions ---- */

/* A filter with the step's large workspace, small account, large application, as asked for. */
static struct filter filter_of(struct words *w, int step, const char *which)
{
    *w = (struct words){0};
    for (; *which; which++)
        if (*which == 'W')
            snprintf(w->workspace, TEXT, "workSpace-%d", step);
        else if (*which == 'M')
            snprintf(w->workspace, TEXT, "workSpaceMain");
        else if (*which == 'a')
            snprintf(w->account, TEXT, "account-%d", step);
        else
            snprintf(w->application, TEXT, *which == 'P' ? "APPLICATION-%d" : "MLA_JAVA_HEADLESS",
                     step);
    return (struct filter){.like = identity_of(w)};
}

/* Processor time of so many selects. */
static int64_t select_ns(const struct filter *f, struct vec *found, int times)
{
    int64_t begun_ns = now_ns();

    while (times--) {
        found->len = 0;
        index_select(&clients, f, found);
    }
    return now_ns() - begun_ns;
}

/* Prints what one select costs; its matches are known beforehand. */
static void ask(const char *shape, const char *which, int step)
{
    struct vec found = {0};
    struct words w;
    struct filter f = filter_of(&w, step, which);
    int times = 1, want = matches_of(step);
    double ns;

    while ((ns = (double)select_ns(&f, &found, times)) < ENOUGH_NS)
        times *= 2;
    if (found.len != (uint32_t)want) {
        fprintf(stderr, "guard index: %s found %u instead of %d\n", shape, found.len, want);
        exit(1);
    }
    printf("%s{\"matches\":%d,\"ns\":%.0f,\"ns_per_match\":%.1f}", step ? "," : "", want,
           ns / times, ns / times / want);
    vec_fini(&found);
}

static void ask_all(const char *shape, const char *which)
{
    int step;

    printf(",\"%s\":[", shape);
    for (step = 0; step < STEPS; step++)
        ask(shape, which, step);
    putchar(']');
}

static void copy(char to[TEXT], struct bytes from)
{
    snprintf(to, TEXT, "%.*s", (int)from.len, from.at);
}

/* Of clients anywhere, who are asked for by copies, so that nothing of theirs is in a cache. */
static double find_ns(int entries)
{
    struct words *w = mem_alloc(FINDS * sizeof(*w));
    unsigned at = 1;
    int64_t begun_ns;
    int i, missing = 0;

    for (i = 0; i < FINDS; i++) {
        struct identity who;

        at = at * 1664525U + 1013904223U;
        who = client_identity(known.at[at % (unsigned)entries]);
        copy(w[i].workspace, who.dim[0]);
        copy(w[i].account, who.dim[1]);
        copy(w[i].device, who.dim[2]);
        copy(w[i].application, who.dim[3]);
    }
    begun_ns = now_ns();
    for (i = 0; i < FINDS; i++) {
        struct identity who = identity_of(&w[i]);

        missing += index_find(&clients, &who, identity_hash(&key, &who)) == NULL;
    }
    begun_ns = now_ns() - begun_ns;
    CHECK(missing == 0);
    mem_free(w);
    return (double)begun_ns / FINDS;
}

int index_main(int entries)
{
    int64_t begun_ns;

    if (entries < 2 * SHARE * matches_of(STEPS - 1)) {
        fprintf(stderr, "guard index: at least %d entries\n", 2 * SHARE * matches_of(STEPS - 1));
        return 2;
    }
    index_init(&clients, &key);
    begun_ns = now_ns();
    fill(entries);
    printf("{\"scenario\":\"index\",\"entries\":%d,\"large_set\":%d,\"add_ns\":%.0f", entries,
           entries / SHARE, (double)(now_ns() - begun_ns) / entries);
    printf(",\"find_ns\":%.0f", find_ns(entries));
    ask_all("account", "a");
    ask_all("account_and_larger_workspace", "Ma");
    ask_all("account_workspace_application", "MaA");
    ask_all("two_large_with_few_in_common", "WP");
    puts("}");
    while (known.len)
        index_remove(&clients, known.at[--known.len]);
    index_fini(&clients);
    vec_fini(&known);
    return 0;
}
