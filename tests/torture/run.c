#include "run.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/meter.h"
#include "bystanders.h"
#include "life.h"
#include "peer.h"
#include "scenario.h"
#include "secure.h"
#include "store.h"
#include "world.h"

enum { ATTEMPTS = 3, HEAL_MS = 1200, SETTLE_MS = 30, FDS = 256, PAIR_PATIENCE_MS = 6000 };

const char *const scene_names[SCENES] = {"world", "secure", "life", "pair", "sharded", "node"};

static struct outcome *out;
static struct plan plan;
static bool is_secure;
static uint16_t redis; /* its port; 0: a server that stands alone */

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void fail(const char *format, ...)
{
    va_list args;

    if (out->why[0])
        return;
    va_start(args, format);
    vsnprintf(out->why, sizeof(out->why), format, args);
    va_end(args);
}

static enum blame blame(void)
{
    const struct way *w = ways_of[plan.call];

    if (is_secure && plan.call == CALL_CRYPTO)
        return BLAME_ONE;
    while (w->how && w->how != plan.how)
        w++;
    return w->blame;
}

/* May the fault have ended this connection? */
static bool may_end(const struct peer *p)
{
    switch (blame()) {
    case BLAME_NOBODY:
        return false;
    case BLAME_PEER:
        return p->port == faults_port();
    case BLAME_NEW:
        return p->len == 0 || peer_was_refused(p);
    case BLAME_ONE:
        return out->lost == 0 || peer_was_refused(p);
    case BLAME_WORK:
        return peer_was_refused(p);
    }
    return false;
}

/* A connection that ended though nobody wanted it to, and the fault was not its own. */
static bool anyone_lost(bool fired_now)
{
    int i;

    for (i = 0; i < PEERS; i++) {
        struct peer *p = peer_at(i);

        if (p->fd < 0 || !p->ended || p->leaving)
            continue;
        if (!fired_now || !may_end(p)) {
            fail("a connection was lost: peer %d at %u, close %d, the fault's at %d; %s", i,
                 (unsigned)p->port, p->close_code, faults_port(), peers_why);
            return true;
        }
        p->leaving = true;
        out->lost++;
    }
    return false;
}

/* Somebody was told so; or, by a v1 command, without a word, but it was counted. */
static bool anyone_refused(void)
{
    static int64_t before;
    int64_t now = meter_sum(METER_REFUSED_MEMORY);
    bool counted = now > before;
    int i;

    before = now;

    for (i = 0; i < PEERS; i++)
        if (peer_at(i)->fd >= 0 && peer_was_refused(peer_at(i)))
            return true;
    return counted;
}

/* So many attempts may feel the fault: an accept that failed hits whoever comes next. */
static int felt_by(void)
{
    return blame() == BLAME_NEW ? 2 : 1;
}

/* The feature, and whether everybody else is served: true when both went as they should. fired_now:
   the fault happened since the last attempt, or does now. */
static bool try_feature(const struct feature *f, int attempt, bool *fired_now)
{
    static int felt;
    bool good = f->run(attempt), refused = anyone_refused();

    if (good && redis)
        good = peers_have_heard_all();
    *fired_now = faults_fired() && felt < felt_by();
    if (anyone_lost(*fired_now))
        good = false;
    peers_reset();
    pass(SETTLE_MS);
    good = bystanders_join() && good && bystanders_hear(attempt);
    refused = anyone_refused() || refused;
    *fired_now = faults_fired() && felt < felt_by();
    felt += faults_fired();
    if (anyone_lost(*fired_now))
        return false;
    if (!good && *fired_now && (blame() == BLAME_NOBODY || (blame() == BLAME_WORK && !refused)))
        fail("the fault was felt: %s", peers_why);
    return good;
}

static bool try_once(const struct feature *f, int attempt)
{
    bool fired_now, good;

    peers_why[0] = 0;
    good = try_feature(f, attempt, &fired_now);
    if (peers_broken[0])
        fail("a promise was not kept: %s", peers_broken);
    if (!good && !fired_now)
        fail("%s", peers_why);
    return good;
}

static void do_feature(const struct feature *f)
{
    static int attempt;
    int tries;

    snprintf(out->where, sizeof(out->where), "%s", f->name);
    for (tries = 0; tries < ATTEMPTS && !out->why[0]; tries++) {
        if (redis && !pair_is_well())
            fail("the two do not find each other again");
        else if (try_once(f, ++attempt))
            break;
        out->refused++;
        peers_reset();
        pass(HEAL_MS);
        (void)bystanders_join(); /* if that fails, the next attempt will say so */
    }
    if (tries == ATTEMPTS)
        fail("even done again: %s", peers_why);
    peers_reset();
    pass(world_is_short() ? HEAL_MS : SETTLE_MS);
    if (world_is_short())
        fail("the reserve did not come back");
}

static int open_fds(void)
{
    int fd, count = 0;

    for (fd = 0; fd < FDS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void do_features(void)
{
    const struct feature *f;

    for (f = redis ? pair_features : features; f->name && !out->why[0]; f++)
        if (!is_secure || !f->only_plain)
            do_feature(f);
}

static void run_world(bool is_sharded)
{
    const struct world_way way = {TORTURE_YAML, is_secure ? secure_certificate() : NULL, redis,
                                  is_sharded};
    int fds = open_fds();
    int64_t blocks = faults_blocks(), bytes = mem_held();

    log_setup(LOG_DEBUG, LOG_TEXT);
    snprintf(out->where, sizeof(out->where), "start");
    if (is_secure)
        peers_secure();
    if (redis)
        peers_be_patient(PAIR_PATIENCE_MS);
    if (world_open(&way)) {
        do_features();
        if (!out->why[0])
            snprintf(out->where, sizeof(out->where), "end");
        if (!world_close())
            fail("a thread did not end");
        peers_close();
    } else {
        out->not_started = true;
        if (!faults_fired())
            fail("it did not start");
    }
    OPENSSL_thread_stop(); /* what its errors said */
    if (mem_held() != bytes)
        fail("%lld bytes are still held", (long long)(mem_held() - bytes));
    if (faults_blocks() != blocks)
        fail("%lld blocks were not freed", (long long)(faults_blocks() - blocks));
    if (open_fds() != fds)
        fail("%d descriptors before, %d after", fds, open_fds());
}

bool run_is_sharded(enum scene scene)
{
    return scene == SCENE_SHARDED;
}

bool run_needs_redis(enum scene scene)
{
    return scene >= SCENE_PAIR;
}

void run(enum scene scene, const struct plan *p, uint16_t redis_port, struct outcome *o)
{
    enum call c;

    out = o;
    plan = *p;
    faults_plan(p);
    redis = redis_port;
    if (redis)
        store_open(redis, run_is_sharded(scene));
    if (scene == SCENE_LIFE || scene == SCENE_NODE) { /* counts in a process of its own */
        life_run(redis, p, o);
        return;
    }
    is_secure = scene == SCENE_SECURE;
    run_world(run_is_sharded(scene));
    for (c = 0; c < CALLS; c++)
        o->counts[c] = faults_count(c);
    o->fired = faults_fired();
}
