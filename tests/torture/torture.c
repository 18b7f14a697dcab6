/*
 * torture - makes every allocation and every system call of the server fail once, each in a process
 * of its own, while clients use all it can do; README.md tells what is expected of it then.
 *
 * Exit status: 0 survived all; 1 did not; 2 wrong command line.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libraries.h"
#include "run.h"
#include "store.h"

enum {
    JOBS_MAX = 64,
    LIMIT_S = 60,
    SHOWN = 20,
};

struct job {
    pid_t child; /* 0: none */
    struct plan plan;
    enum scene scene;
    struct outcome *outcome; /* shared with the child */
    int said;                /* its standard error, a file in memory */
    struct store store;      /* if the scene needs one */
};

static struct job jobs[JOBS_MAX];
static int job_count = 2;
static uint64_t every = 1, shift;
static const char *only_call, *only_scene;
static bool all_of_them;
static char *one;
static struct {
    uint64_t tried, survived, not_reached, refused, lost, not_started, failed;
} total;

static const char *how_name(int how)
{
    return how == ONE_BYTE ? "one byte" : strerrorname_np(how);
}

/* What the plan, given to --one, does again. */
static void name_plan(const struct job *j, char *to, size_t size)
{
    if (!j->plan.number) /* none failed, and yet it went wrong */
        snprintf(to, size, "%s", scene_names[j->scene]);
    else
        snprintf(to, size, "%s:%s:%llu:%d", scene_names[j->scene], call_names[j->plan.call],
                 (unsigned long long)j->plan.number, j->plan.how);
}

/* ---- one run in a child ---- */

static void run_child(const struct job *j)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    dup2(j->said, STDERR_FILENO);
    signal(SIGPIPE, SIG_IGN);
    alarm(LIMIT_S);
    run(j->scene, &j->plan, j->store.port, j->outcome);
    _exit(j->outcome->why[0] != 0);
}

/* Also for the processes of those who run. */
static struct outcome *new_outcome(void)
{
    void *p = mmap(NULL, sizeof(struct outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                   -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

static void start(struct job *j, enum scene scene, const struct plan *plan)
{
    if (!j->outcome) {
        j->outcome = new_outcome();
        j->said = memfd_create("said", MFD_CLOEXEC);
    }
    if (j->said < 0 || ftruncate(j->said, 0))
        abort();
    lseek(j->said, 0, SEEK_SET);
    memset(j->outcome, 0, sizeof(*j->outcome));
    if (run_needs_redis(scene) && !j->store.pid)
        store_start(&j->store, run_is_sharded(scene));
    j->plan = *plan;
    j->scene = scene;
    fflush(stdout);
    j->child = fork();
    if (j->child < 0)
        abort();
    if (j->child == 0)
        run_child(j);
}

/* The end of it. */
static void show_said(const struct job *j)
{
    char text[4096];
    off_t len = lseek(j->said, 0, SEEK_END);
    off_t at = len > (off_t)sizeof(text) ? len - (off_t)sizeof(text) : 0;
    ssize_t n = pread(j->said, text, sizeof(text), at);

    if (n > 0)
        printf("%.*s\n", (int)n, text);
}

static void judge(const struct job *j, int status)
{
    const struct outcome *o = j->outcome;
    char name[128];
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    total.tried++;
    total.survived += good;
    total.failed += !good;
    total.not_reached += good && j->plan.number && !o->fired;
    total.refused += o->refused;
    total.lost += o->lost;
    total.not_started += o->not_started;
    if (good || total.failed > SHOWN)
        return;
    name_plan(j, name, sizeof(name));
    printf("FAILED --one %s (%s) in %s: %s%s\n", name, j->plan.number ? how_name(j->plan.how) : "-",
           o->where, o->why,
           WIFSIGNALED(status)                        ? strsignal(WTERMSIG(status))
           : !o->why[0] && WIFEXITED(status) && !good ? "ended by itself"
                                                      : "");
    show_said(j);
}

static void finish_one(void)
{
    int status, i;
    pid_t child = wait(&status);

    for (i = 0; i < job_count; i++)
        if (jobs[i].child == child) {
            judge(&jobs[i], status);
            jobs[i].child = 0;
        }
}

static struct job *free_job(void)
{
    int i;

    for (;;) {
        for (i = 0; i < job_count; i++)
            if (!jobs[i].child)
                return &jobs[i];
        finish_one();
    }
}

static void end_stores(void)
{
    int i;

    for (i = 0; i < job_count; i++)
        store_end(&jobs[i].store);
}

static void finish_all(void)
{
    int i;

    for (i = 0; i < job_count; i++)
        while (jobs[i].child)
            finish_one();
}

/* ---- all of them ---- */

/* Without a fault: the scenario must pass; says how many calls of each kind there are. */
static bool count_calls(enum scene scene, uint64_t counts[CALLS])
{
    struct plan none = {CALLS, 0, 0};
    uint64_t failed = total.failed;

    start(&jobs[0], scene, &none);
    finish_all();
    memcpy(counts, jobs[0].outcome->counts, sizeof(jobs[0].outcome->counts));
    return total.failed == failed;
}

/* So many faults of a call in each way at most, spread over all of them; others with another seed.
   Interrupted waits of ten thousand are one like the other; secure does what world does, and what
   is between the two servers of a pair is done in it more than once. */
static const struct most {
    uint64_t memory, crypto, accept, wait, other; /* 0: all */
} most[SCENES] = {
    [SCENE_WORLD] = {.wait = 300},          [SCENE_SECURE] = {250, 350, 10, 30, 30},
    [SCENE_LIFE] = {.wait = 300},           [SCENE_PAIR] = {350, 90, 10, 30, 30},
    [SCENE_SHARDED] = {150, 45, 5, 15, 15}, [SCENE_NODE] = {150, 30, 5, 15, 15},
};

static uint64_t most_of(enum scene scene, enum call c)
{
    const struct most *m = &most[scene];
    uint64_t n = c == CALL_MEMORY   ? m->memory
                 : c == CALL_CRYPTO ? m->crypto
                 : c == CALL_ACCEPT ? m->accept
                 : c == CALL_WAIT   ? m->wait
                                    : m->other;

    return n && !all_of_them ? n : UINT64_MAX;
}

static void torture_call(enum scene scene, enum call c, uint64_t count)
{
    uint64_t tried = total.tried, failed = total.failed, refused = total.refused, lost = total.lost;
    uint64_t apart = (count - 1) / most_of(scene, c) + 1, n;
    const struct way *w;
    static uint64_t turn;

    for (w = ways_of[c]; w->how; w++)
        for (n = 1 + shift % apart; n <= count; n += apart)
            if (turn++ % every == shift % every)
                start(free_job(), scene, &(struct plan){c, n, w->how});
    finish_all();
    printf("%-7s %-10s %6llu calls, %6llu faults, %4llu failed, %5llu refused work, %5llu "
           "connections ended\n",
           scene_names[scene], call_names[c], (unsigned long long)count,
           (unsigned long long)(total.tried - tried), (unsigned long long)(total.failed - failed),
           (unsigned long long)(total.refused - refused), (unsigned long long)(total.lost - lost));
}

static void torture(enum scene scene)
{
    uint64_t counts[CALLS];
    enum call c;

    if (run_needs_redis(scene) && !store_is_there()) {
        printf("%-7s skipped: redis-server is not installed\n", scene_names[scene]);
        return;
    }
    if (count_calls(scene, counts))
        for (c = 0; c < CALLS; c++)
            if (counts[c] && ways_of[c] && (!only_call || strcmp(only_call, call_names[c]) == 0))
                torture_call(scene, c, counts[c]);
    end_stores();
}

static int index_of(const char *const *names, int count, const char *name)
{
    int i;

    for (i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fprintf(stderr, "torture: nothing is called %s\n", name);
    exit(2);
}

/* "scene:call:number:how", in this process, for a debugger. */
static int only_one(char *name)
{
    struct outcome *o = new_outcome();
    struct store store = {0};
    struct plan plan = {CALLS, 0, 0};
    enum scene scene = index_of(scene_names, SCENES, strsep(&name, ":"));

    if (name) {
        plan.call = index_of(call_names, CALLS, strsep(&name, ":"));
        plan.number = name ? strtoull(strsep(&name, ":"), NULL, 10) : 0;
        plan.how = name ? (int)strtol(name, NULL, 10) : 0;
    }
    signal(SIGPIPE, SIG_IGN);
    if (run_needs_redis(scene))
        store_start(&store, run_is_sharded(scene));
    run(scene, &plan, store.port, o);
    store_end(&store);
    printf("%s%s%s, fired %d, refused %u, lost %u\n", o->where, o->why[0] ? ": " : "", o->why,
           o->fired, o->refused, o->lost);
    fflush(stdout);
    _exit(o->why[0] != 0);
}

static int usage(void)
{
    fputs("usage: torture [--jobs N] [--every K] [--all] [--seed S] [--scene NAME] [--call NAME] "
          "[--one SCENE:CALL:NUMBER:HOW]\n",
          stderr);
    return 2;
}

/* False: wrong. */
static bool read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"jobs", required_argument, NULL, 'j'},  {"every", required_argument, NULL, 'e'},
        {"seed", required_argument, NULL, 's'},  {"call", required_argument, NULL, 'c'},
        {"scene", required_argument, NULL, 'S'}, {"one", required_argument, NULL, 'o'},
        {"all", no_argument, NULL, 'a'},         {NULL, 0, NULL, 0}};
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (o == 'j')
            job_count = (int)strtol(optarg, NULL, 10);
        else if (o == 'e')
            every = strtoull(optarg, NULL, 10);
        else if (o == 's')
            shift = strtoull(optarg, NULL, 10);
        else if (o == 'c')
            only_call = optarg;
        else if (o == 'S')
            only_scene = optarg;
        else if (o == 'o')
            one = optarg;
        else if (o == 'a')
            all_of_them = true;
        else
            return false;
    }
    return optind == argc && job_count >= 1 && job_count <= JOBS_MAX && every >= 1;
}

int main(int argc, char **argv)
{
    enum scene scene;

    if (!read_options(argc, argv))
        return usage();
    libraries_load();
    if (one)
        return only_one(one);
    printf("every %llu. fault, seed %llu\n", (unsigned long long)every, (unsigned long long)shift);
    for (scene = 0; scene < SCENES; scene++)
        if (!only_scene || strcmp(only_scene, scene_names[scene]) == 0)
            torture(scene);
    printf("figure: every %llu. fault, seed %llu: %llu tried, %llu survived, %llu failed, %llu not "
           "reached; %llu times work was refused, %llu connections ended, %llu starts refused\n",
           (unsigned long long)every, (unsigned long long)shift, (unsigned long long)total.tried,
           (unsigned long long)total.survived, (unsigned long long)total.failed,
           (unsigned long long)total.not_reached, (unsigned long long)total.refused,
           (unsigned long long)total.lost, (unsigned long long)total.not_started);
    return total.failed || !total.tried;
}
