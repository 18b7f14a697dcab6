/*
 * index - what it costs to find one client among very many, to select a few by filters of several
 * shapes, and to let clients come and go where such filters were asked: is the cost that of the
 * matches, or that of something larger? In processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/check.h"
#include "base/mem.h"
#include "hub/index.h"
#include "scenario.h"

enum {
    STEPS = 5,   /* at most: 1, 10, 100, 1,000 and 10,000 matches */
    SHARE = 20,  /* a large set holds that part of the entries */
    DEVICES = 3, /* of most accounts */
    LEAST = 2000,
    DRAWS = 100000,
    ENOUGH_NS = 50000000,
    TEXT = 48,
};

static const struct hash_key key = {1, 2};
static struct index clients;
static struct vec known; /* all of them */

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

/* What shall match stays small beside a large set. */
static int steps_of(int entries)
{
    int steps = 1;

    while (steps < STEPS && matches_of(steps) <= entries / SHARE / 2)
        steps++;
    return steps;
}

/* For every step: an account with as many clients as shall match; and a workspace, an account and
   an application that are large but have only as many clients in common: the account halves both.
 */
static void fill(int entries, int steps)
{
    int step, i, large = entries / SHARE;

    for (step = 0; step < steps; step++) {
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
            if (i >= large / 2 && i < large / 2 + large)
                snprintf(w.account, TEXT, "account-many-%d", step);
            add(&w);
        }
    }
    while (known.len < (uint32_t)entries) {
        struct words w = usual((int)known.len);

        add(&w);
    }
}

/* ---- questions ---- */

/* A filter with the step's large workspace, small or large account, large application, as asked. */
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
        else if (*which == 'N')
            snprintf(w->account, TEXT, "account-many-%d", step);
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

static void ask_all(const char *shape, const char *which, int steps)
{
    int step;

    printf(",\"%s\":[", shape);
    for (step = 0; step < steps; step++)
        ask(shape, which, step);
    putchar(']');
}

/* ---- clients anywhere, so that nothing of theirs is in a cache ---- */

/* Copies of the texts of one of them. */
struct drawn {
    uint32_t at; /* in known */
    struct words words;
};

static void copy(char to[TEXT], struct bytes from)
{
    snprintf(to, TEXT, "%.*s", (int)from.len, from.at);
}

static struct drawn *draw(void)
{
    struct drawn *drawn = mem_alloc(DRAWS * sizeof(*drawn));
    uint32_t at = 1;
    int i;

    for (i = 0; i < DRAWS; i++) {
        struct words *w = &drawn[i].words;
        struct identity who;

        at = at * 1664525U + 1013904223U;
        drawn[i].at = (at >> 8) % known.len;
        who = client_identity(known.at[drawn[i].at]);
        copy(w->workspace, who.dim[0]);
        copy(w->account, who.dim[1]);
        copy(w->device, who.dim[2]);
        copy(w->application, who.dim[3]);
    }
    return drawn;
}

static double find_ns(const struct drawn *drawn)
{
    int64_t begun_ns = now_ns();
    int i;

    for (i = 0; i < DRAWS; i++) {
        struct identity who = identity_of(&drawn[i].words);

        CHECK(index_find(&clients, &who, identity_hash(&key, &who)));
    }
    return (double)(now_ns() - begun_ns) / DRAWS;
}

/* One goes and comes again. */
static double change_ns(const struct drawn *drawn)
{
    int64_t begun_ns = now_ns();
    int i;

    for (i = 0; i < DRAWS; i++) {
        struct identity who = identity_of(&drawn[i].words);

        index_remove(&clients, known.at[drawn[i].at]);
        known.at[drawn[i].at] = index_get(&clients, &who, identity_hash(&key, &who));
    }
    return (double)(now_ns() - begun_ns) / DRAWS;
}

/* The newest first. */
static double remove_ns(int entries)
{
    int64_t begun_ns = now_ns();

    while (known.len)
        index_remove(&clients, known.at[--known.len]);
    return (double)(now_ns() - begun_ns) / entries;
}

int index_main(int entries)
{
    int steps = steps_of(entries);
    struct drawn *drawn;
    int64_t begun_ns;

    if (entries < LEAST) {
        fprintf(stderr, "guard index: at least %d entries\n", LEAST);
        return 2;
    }
    index_init(&clients, &key);
    begun_ns = now_ns();
    fill(entries, steps);
    printf("{\"scenario\":\"index\",\"entries\":%d,\"large_set\":%d,\"add_ns\":%.0f", entries,
           entries / SHARE, (double)(now_ns() - begun_ns) / entries);
    drawn = draw();
    printf(",\"find_ns\":%.0f", find_ns(drawn));
    ask_all("account", "a", steps);
    ask_all("account_and_larger_workspace", "Ma", steps);
    ask_all("account_workspace_application", "MaA", steps);
    ask_all("two_large_with_few_in_common", "WP", steps);
    ask_all("three_large_with_few_in_common", "WNP", steps);
    printf(",\"go_and_come_ns\":%.0f", change_ns(drawn));
    printf(",\"remove_ns\":%.0f}\n", remove_ns(entries));
    index_fini(&clients);
    vec_fini(&known);
    mem_free(drawn);
    return 0;
}
