#include "cluster/beats.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/meter.h"
#include "cluster/courier.h"
#include "cluster/forward.h"
#include "cluster/node.h"

enum {
    PROBE_EVERY_MS = 1000,
    EVICT_EVERY_MS = 100,
    EVICT_STEPS = 50, /* all of them in so many steps */
    JOIN_MOST_MS = 3000,
};

void beats_on_echo(struct cluster *c)
{
    int64_t took_us = clock_mono_us() - c->beat.sent_us;

    c->beat.echo_ms = cluster_now(c);
    meter_add(METER_CLUSTER_ECHO_US, took_us - meter_own(METER_CLUSTER_ECHO_US));
    if (c->beat.away_ms) /* it may be all that was missing */
        beats_judge(c);
}

/* ---- away ---- */

static bool peers_are_silent(const struct cluster *c)
{
    uint32_t i;

    for (i = 0; i < c->members.peers.len; i++) {
        const struct peer *p = c->members.peers.at[i];

        if (cluster_now(c) - p->heard_ms <= c->set->echo_ms)
            return false;
    }
    return c->members.peers.len > 1; /* of one alone it may be the one that is gone */
}

/* While all is well a new link gives the next echo time; once it is not, only an echo tells. */
static bool is_echo_overdue(const struct cluster *c)
{
    int64_t since_ms = c->beat.echo_ms;

    if (!c->beat.away_ms && c->beat.renewed_ms > since_ms)
        since_ms = c->beat.renewed_ms;
    return cluster_now(c) - since_ms > c->set->echo_ms;
}

static const char *what_is_wrong(const struct cluster *c)
{
    if (!redis_is_up(c->redis))
        return "Redis cannot be reached";
    if (!c->beat.subscribed)
        return "this node's channel is not subscribed";
    if (is_echo_overdue(c))
        return "this node's own beats do not come back";
    if (!c->members.listed)
        return "the others do not know this node";
    if (c->members.unsure)
        return "the others may take this node for dead";
    return peers_are_silent(c) ? "no other node is heard" : NULL;
}

static void set_away(struct cluster *c, const char *why)
{
    c->beat.away_ms = cluster_now(c);
    c->beat.renewed_ms = cluster_now(c);
    atomic_store(&c->hub->bus.away, true);
    meter_add(METER_CLUSTER_AWAY, 1);
    if (!atomic_load(&c->hub->bus.joined))
        return;
    meter_add(METER_CLUSTER_LOST, 1);
    log_warn("cluster away", LOG_STR("reason", why),
             LOG_STR("hint", "messages for other nodes are refused; local ones go on"));
}

static void set_deaf(struct cluster *c, bool deaf)
{
    if (atomic_load(&c->hub->bus.deaf) == deaf)
        return;
    atomic_store(&c->hub->bus.deaf, deaf);
    membership_deafen(&c->members, deaf);
    if (deaf)
        log_warn("cluster deaf", LOG_NUM("sockets", meter_sum(METER_SOCKETS)),
                 LOG_STR("hint", "other nodes are well: clients are sent there"));
    else
        log_info("cluster hears again", LOG_NUM("sockets", meter_sum(METER_SOCKETS)));
}

static void set_back(struct cluster *c)
{
    int64_t away_ms = cluster_now(c) - c->beat.away_ms;
    uint32_t i;

    c->beat.away_ms = 0;
    atomic_store(&c->hub->bus.away, false);
    meter_add(METER_CLUSTER_AWAY, -1);
    set_deaf(c, false);
    for (i = 0; i < c->members.peers.len; i++) {
        struct peer *p = c->members.peers.at[i];

        stream_rewind(&p->stream);
    }
    if (atomic_load(&c->hub->bus.joined))
        log_info("cluster back", LOG_NUM("away_ms", away_ms),
                 LOG_NUM("nodes", c->members.peers.len + 1));
    forward_retry(c);
}

/* ---- joined ---- */

/* Every peer has spoken to us, so it sends us what is ours; one that is listed and dead would keep
   us waiting until its lease is over. */
static bool everybody_knows_us(const struct cluster *c)
{
    uint32_t i;

    if (!c->members.listed)
        return false;
    if (cluster_now(c) - c->beat.listed_ms > JOIN_MOST_MS)
        return true;
    for (i = 0; i < c->members.peers.len; i++) {
        const struct peer *p = c->members.peers.at[i];

        if (!p->heard_ms)
            return false;
    }
    return true;
}

static void look_if_joined(struct cluster *c)
{
    if (c->members.listed && !c->beat.listed_ms)
        c->beat.listed_ms = cluster_now(c);
    if (atomic_load(&c->hub->bus.joined) || c->beat.away_ms || !everybody_knows_us(c))
        return;
    atomic_store(&c->hub->bus.joined, true);
    log_info("cluster joined", LOG_STR("instance", c->id),
             LOG_NUM("nodes", c->members.peers.len + 1));
}

void beats_judge(struct cluster *c)
{
    const char *wrong = what_is_wrong(c);

    if (wrong && !c->beat.away_ms)
        set_away(c, wrong);
    else if (!wrong && c->beat.away_ms)
        set_back(c);
    look_if_joined(c);
}

/* ---- deaf ---- */

static void on_probed(void *cluster, enum probe_answer answer)
{
    struct cluster *c = cluster;

    if (answer == PROBE_UP && c->beat.away_ms && !c->ending)
        set_deaf(c, true);
}

static void probe_others(struct cluster *c)
{
    uint32_t i;

    c->beat.probed_ms = cluster_now(c);
    for (i = 0; i < c->members.peers.len; i++) {
        const struct peer *p = c->members.peers.at[i];

        if (p->cluster_url)
            (void)probe_start(c->probe, p->cluster_url, on_probed, c);
    }
}

static void evict_some(struct cluster *c)
{
    int64_t sockets = meter_sum(METER_SOCKETS);
    uint32_t i, each = (uint32_t)(sockets / EVICT_STEPS / c->hub->count + 1);

    c->beat.evicted_ms = cluster_now(c);
    for (i = 0; i < c->hub->count && sockets; i++) {
        struct note *n = cluster_note(NOTE_EVICT, c);

        n->a = each;
        cluster_post(c, i, n, sizeof(*n));
    }
}

static void care_while_away(struct cluster *c)
{
    int64_t now = cluster_now(c);

    if (redis_is_up(c->redis) && c->beat.subscribed && now - c->beat.renewed_ms > c->set->echo_ms) {
        c->beat.renewed_ms = now;
        redis_resubscribe(c->redis);
    }
    if (c->ending || now - c->beat.away_ms < c->set->deaf_grace_ms)
        return;
    if (!atomic_load(&c->hub->bus.deaf) && now - c->beat.probed_ms >= PROBE_EVERY_MS)
        probe_others(c);
    if (atomic_load(&c->hub->bus.deaf) && now - c->beat.evicted_ms >= EVICT_EVERY_MS)
        evict_some(c);
}

/* Deaf, and without clients: what the others have for such a node would wait in vain, until nobody
   could send anything to several nodes any more. So they may take it for dead, and it joins anew.
 */
static bool is_of_no_use(const struct cluster *c)
{
    return atomic_load(&c->hub->bus.deaf) && !c->ending &&
           (!c->beat.subscribed || is_echo_overdue(c)) && !meter_sum(METER_SOCKETS);
}

void beats_tick(struct cluster *c)
{
    membership_hush(&c->members, is_of_no_use(c));
    if (cluster_now(c) - c->beat.sent_ms >= c->set->beat_ms) {
        c->beat.sent_ms = cluster_now(c);
        c->beat.sent_us = clock_mono_us();
        if (redis_is_up(c->redis))
            courier_beat(c, !c->members.silent);
        directory_beat(c->directory);
    }
    beats_judge(c);
    if (c->beat.away_ms)
        care_while_away(c);
}
