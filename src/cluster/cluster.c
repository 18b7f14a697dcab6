#include "cluster/cluster.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/meter.h"
#include "cluster/arrivals.h"
#include "cluster/beats.h"
#include "cluster/courier.h"
#include "cluster/elsewhere.h"
#include "cluster/everybody.h"
#include "cluster/find.h"
#include "cluster/forward.h"
#include "cluster/node.h"
#include "cluster/take.h"
#include "flow/thread.h"

enum wish { WISH_LEAVE, WISH_END }; /* NOTE_DRAIN from main: what it wants */

struct note *cluster_note(enum note_kind kind, const struct cluster *c)
{
    return note_from(c->hub->count, kind);
}

void cluster_post(struct cluster *c, uint32_t shard, struct note *n, size_t weight)
{
    outbox_add(&c->staged[shard], n, weight);
}

/* ---- who there is ---- */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Every shard gets the same snapshot. */
static void on_change(void *cluster)
{
    struct cluster *c = cluster;
    uint32_t count = c->members.peers.len, i;
    struct member *at = mem_zero(count * sizeof(*at) + 1);
    struct members *m;

    for (i = 0; i < count; i++) {
        const struct peer *p = c->members.peers.at[i];

        at[i] = (struct member){.id = p->id,
                                .external_url = or_empty(p->external_url),
                                .internal_url = or_empty(p->internal_url),
                                .browser_url = or_empty(p->browser_url),
                                .takes_clients = !p->leaving && p->external_url};
    }
    m = members_new(at, count);
    mem_free(at);
    for (i = 0; i < c->hub->count; i++) {
        struct note *n = cluster_note(NOTE_MEMBERS, c);

        n->members = members_ref(m);
        cluster_post(c, i, n, sizeof(*n));
    }
    members_unref(m);
}

static void count_nodes(struct cluster *c, int change)
{
    meter_add(METER_CLUSTER_NODES, change);
    atomic_fetch_add(&c->hub->bus.peers, (uint32_t)change);
}

static void on_peer(void *cluster, struct peer *p)
{
    struct cluster *c = cluster;

    count_nodes(c, 1);
    p->stream.misses = true; /* what it sent before we knew it has to come again */
    forward_adopt(c, p);
    log_info("node joined", LOG_STR("instance", p->id), LOG_NUM("nodes", c->members.peers.len + 1));
}

static void on_gone(void *cluster, struct peer *p, enum gone how)
{
    struct cluster *c = cluster;

    count_nodes(c, -1);
    directory_forget_peer(c->directory, p);
    forward_take_back(c, p, how);
    directory_sweep(c->directory, p->id, p->life);
    elsewhere_on_gone(c, p);
    if (how == GONE_DIED || how == GONE_ANEW)
        log_warn("node died", LOG_STR("instance", p->id),
                 LOG_STR("hint", "it ended without a farewell: see its own log"));
    else
        log_info("node left", LOG_STR("instance", p->id));
}

void cluster_say_twin(const struct cluster *c)
{
    static struct log_limit limit;
    int64_t held_back;

    if (log_may(&limit, cluster_now(c), &held_back))
        log_error("instance id taken", LOG_STR("instance", c->id),
                  LOG_STR("hint", "two nodes must not share pushca.pusher.instance-id"));
}

/* An older one may be our predecessor, just killed, whose lease holds; if it lives, its beats come
   to our channel. */
static void on_twin(void *cluster, bool newer)
{
    if (newer)
        cluster_say_twin(cluster);
}

static uint64_t new_life(struct cluster *c)
{
    uint64_t life = 0;

    while (!life)
        rand_fill(&c->rand, &life, sizeof(life));
    return life;
}

/* We were away so long that the others took us for dead: what they had for us is gone, and our
   clients have to be found again. What we had for them goes on. */
static void on_buried(void *cluster)
{
    struct cluster *c = cluster;

    c->former_life = atomic_exchange(&c->hub->bus.life, new_life(c));
    log_warn("taken for dead", LOG_STR("instance", c->id),
             LOG_STR("hint", "this node was away for longer than pushca.cluster.lease-ms: it joins "
                             "anew, its clients stay"));
    directory_begin(c->directory, c->hub->bus.life);
    membership_begin(&c->members, c->hub->bus.life);
}

/* ---- what Redis says ---- */

/* A beat at the next look, and time for it to come back. */
static void await_echo(struct cluster *c)
{
    c->beat.sent_ms = 0;
    c->beat.renewed_ms = cluster_now(c);
}

static void on_up(void *cluster, bool up, const char *why)
{
    struct cluster *c = cluster;

    (void)why;
    if (up) {
        membership_beat(&c->members);
        await_echo(c); /* the last one is as old as this took */
    }
    beats_judge(c);
}

static void on_master(void *cluster, uint32_t master)
{
    struct cluster *c = cluster;

    directory_on_master(c->directory, master);
}

/* Without a subscription nothing was heard: what came meanwhile has to come again, at once and not
   when a beat shows the gap. */
static void ask_for_missed(struct cluster *c)
{
    uint32_t i;

    for (i = 0; i < c->members.peers.len; i++) {
        struct peer *p = c->members.peers.at[i];

        p->stream.misses = true;
    }
}

static void on_subscribed(void *cluster, bool all)
{
    struct cluster *c = cluster;

    c->beat.subscribed = all;
    if (all) {
        await_echo(c);
        ask_for_missed(c);
    }
    beats_judge(c);
}

static void on_list(void *cluster)
{
    arrivals_list(cluster);
}

/* ---- what shards and main say ---- */

static void begin_end(struct cluster *c, int64_t limit_ms)
{
    c->ending = true;
    c->end_ms = cluster_now(c) + limit_ms;
    take_over(c);
    find_end(c);
}

static void on_wish(struct cluster *c, const struct note *n)
{
    if (n->a == WISH_LEAVE)
        membership_leave(&c->members);
    else
        begin_end(c, (int64_t)n->name);
}

static void on_outcome(struct cluster *c, const struct note *n)
{
    struct peer *p = membership_numbered(&c->members, n->peer);

    if (p)
        forward_to(c, p,
                   &(struct envelope){
                       .kind = ENVELOPE_OUTCOME, .name = n->name, .shard = n->b, .a = n->a});
}

static const char *or_none(const char *url)
{
    return *url ? url : NULL;
}

static void on_advertise(struct cluster *c, struct note *n)
{
    struct membership_settings *m = &c->members.set;
    const struct member *own = &n->members->at[0];

    m->external_url = or_none(own->external_url);
    m->internal_url = or_none(own->internal_url);
    m->browser_url = or_none(own->browser_url);
    members_unref(c->advertised);
    c->advertised = n->members;
    n->members = NULL;
    membership_beat(&c->members);
}

static void on_note(struct cluster *c, struct note *n)
{
    switch ((int)n->kind) {
    case NOTE_MEMBERS:
        on_advertise(c, n);
        break;
    case NOTE_FORWARD:
        forward(c, n->notification, (enum forward_kind)n->a, n->b);
        break;
    case NOTE_REGISTER:
        arrivals_on_register(c, n);
        break;
    case NOTE_UNREGISTER:
        arrivals_on_unregister(c, n);
        break;
    case NOTE_OUTCOME:
        on_outcome(c, n);
        break;
    case NOTE_PICK:
        find_on_pick(c, n);
        break;
    case NOTE_COUNTED:
        find_on_counted(c, n);
        break;
    case NOTE_DRAIN:
        on_wish(c, n);
        break;
    default:
        UNREACHABLE();
    }
}

/* ---- the turn ---- */

static void on_notes(void *cluster, struct inbox_link *first)
{
    struct cluster *c = cluster;

    while (first) {
        struct note *n = container_of(first, struct note, link);

        first = first->next;
        on_note(c, n);
        note_free(c->hub, n);
    }
}

static bool on_ready(void *cluster, uint64_t tag, uint32_t events)
{
    struct cluster *c = cluster;

    if (tag & REDIS_TAG)
        redis_on_ready(c->redis, tag, events);
    else
        probe_on_ready(c->probe, tag, events);
    return true;
}

static void on_post(void *cluster)
{
    struct cluster *c = cluster;

    outbox_hand_over(c->hub, c->staged);
}

static bool on_write(void *cluster)
{
    struct cluster *c = cluster;

    if (c->listing)
        arrivals_list_some(c);
    courier_write(c);
    redis_write(c->redis);
    return false;
}

static void on_bury(void *cluster)
{
    const struct cluster *c = cluster;

    mem_mend(c->loop.now_ms);
}

/* ---- the end ---- */

static void on_withdrawn(void *cluster)
{
    struct cluster *c = cluster;

    loop_stop(&c->loop);
}

static void say_bye(struct cluster *c)
{
    c->gone = true;
    forward_to_all(c, &(struct envelope){.kind = ENVELOPE_BYE});
}

static void look_at_end(struct cluster *c)
{
    bool overdue = cluster_now(c) >= c->end_ms || c->beat.away_ms;

    if (!c->gone && (courier_is_done(c) || overdue))
        say_bye(c);
    else if (c->gone && (courier_is_done(c) || overdue) && !c->withdrawn) {
        c->withdrawn = true;
        if (c->unconfirmed)
            log_warn("unconfirmed at the end", LOG_NUM("bytes", c->unconfirmed),
                     LOG_STR("hint", "other nodes did not confirm in time what they were sent"));
        directory_withdraw(c->directory);
        membership_withdraw(&c->members, on_withdrawn, c);
    } else if (c->withdrawn && cluster_now(c) > c->end_ms + TICK_MS) {
        loop_stop(&c->loop);
    }
}

static void on_tick(struct timer *t)
{
    struct cluster *c = container_of(t, struct cluster, tick);

    beats_tick(c);
    courier_tick(c);
    find_tick(c);
    arrivals_tick(c);
    if (!c->beat.away_ms)
        forward_retry(c);
    forward_settle(c);
    if (c->ending)
        look_at_end(c);
    wheel_start(&c->loop.wheel, t, cluster_now(c) + (c->ending ? TICK_MS / 5 : TICK_MS));
}

static void wish(struct cluster *c, enum wish what, int64_t limit_ms)
{
    struct note *n = cluster_note(NOTE_DRAIN, c);

    n->a = what;
    n->name = (uint64_t)limit_ms;
    inbox_post(&c->inbox, &n->link, &n->link, sizeof(*n));
}

void cluster_advertise(struct cluster *c, const struct cluster_urls *urls)
{
    const struct member own = {.id = c->id,
                               .external_url = or_empty(urls->external),
                               .internal_url = or_empty(urls->internal),
                               .browser_url = or_empty(urls->browser)};
    struct note *n = cluster_note(NOTE_MEMBERS, c);

    n->members = members_new(&own, 1);
    inbox_post(&c->inbox, &n->link, &n->link, sizeof(*n));
}

void cluster_leave(struct cluster *c)
{
    wish(c, WISH_LEAVE, 0);
}

void cluster_end(struct cluster *c, int64_t limit_ms)
{
    wish(c, WISH_END, limit_ms);
}

/* ---- life ---- */

/* Of identities: the same on every node that has the secret, and of no use to whoever reads Redis.
 */
static enum err derive_key(const struct settings *set, struct hash_key *out)
{
    static const char what[] = "pushca cluster identities";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (!HMAC(EVP_sha256(), set->key.secret.at, (int)set->key.secret.len,
              (const unsigned char *)what, sizeof(what) - 1, sum, &len) ||
        len < sizeof(*out))
        return ERR_FULL;
    memcpy(out, sum, sizeof(*out));
    return ERR_OK;
}

static const char *keep(struct cluster *c, const char *text)
{
    return text ? arena_copy(&c->texts, bytes_of(text, strlen(text) + 1)).at : NULL;
}

static const char *const *keep_list(struct cluster *c, const char *const *list)
{
    const char **copy;
    size_t count = 0, i;

    if (!list)
        return NULL;
    while (list[count])
        count++;
    copy = arena_alloc(&c->texts, (count + 1) * sizeof(*copy));
    for (i = 0; i < count; i++)
        copy[i] = keep(c, list[i]);
    copy[count] = NULL;
    return copy;
}

static void keep_redis(struct cluster *c, struct redis_settings *r)
{
    r->host = keep(c, r->host);
    r->sentinels = keep_list(c, r->sentinels);
    r->sentinel_master = keep(c, r->sentinel_master);
    r->sentinel_username = keep(c, r->sentinel_username);
    r->sentinel_password = keep(c, r->sentinel_password);
    r->nodes = keep_list(c, r->nodes);
    r->username = keep(c, r->username);
    r->password = keep(c, r->password);
    r->tls_enabled = keep(c, r->tls_enabled);
    r->tls_ca = keep(c, r->tls_ca);
    r->tls_certificate = keep(c, r->tls_certificate);
    r->tls_key = keep(c, r->tls_key);
    r->tls_verify = keep(c, r->tls_verify);
}

static void keep_settings(struct cluster *c, const struct settings *set,
                          const struct cluster_urls *urls)
{
    arena_init(&c->texts);
    c->own = set->cluster;
    c->set = &c->own;
    c->own.deploy_mode = keep(c, c->own.deploy_mode);
    c->own.cluster_url = keep(c, c->own.cluster_url);
    c->own.prefix = keep(c, c->own.prefix);
    keep_redis(c, &c->own.redis);
    c->id = keep(c, set->instance_id);
    c->urls = (struct cluster_urls){keep(c, urls->external), keep(c, urls->internal),
                                    keep(c, urls->browser), keep(c, urls->cluster)};
}

static enum err open_loop(struct cluster *c)
{
    struct loop_hooks hooks = {.owner = c,
                               .on_notes = on_notes,
                               .on_ready = on_ready,
                               .on_post = on_post,
                               .on_write = on_write,
                               .on_bury = on_bury};
    enum err e = inbox_open(&c->inbox);

    if (e)
        return e;
    e = loop_open(&c->loop, &c->inbox, &hooks);
    if (e)
        inbox_close(&c->inbox);
    return e;
}

static enum err open_parts(struct cluster *c)
{
    const struct redis_events redis = {c, on_up, on_master, on_subscribed, courier_on_message};
    const struct membership_events members = {c, on_peer, on_gone, on_change, on_twin, on_buried};
    const struct directory_events directory = {c, on_list, arrivals_on_moved, elsewhere_contest,
                                               arrivals_is_ours};
    struct membership_settings m = {.prefix = c->set->prefix,
                                    .id = c->id,
                                    .life = c->hub->bus.life,
                                    .external_url = c->urls.external,
                                    .internal_url = c->urls.internal,
                                    .browser_url = c->urls.browser,
                                    .cluster_url = c->urls.cluster,
                                    .lease_ms = c->set->lease_ms,
                                    .beat_ms = c->set->beat_ms,
                                    .window_bytes = c->set->window_bytes};
    struct directory_settings d = {.prefix = c->set->prefix,
                                   .id = c->id,
                                   .life = c->hub->bus.life,
                                   .cache_ms = c->set->cache_ms,
                                   .left_ms = c->set->cache_ms + c->set->redis.answer_ms,
                                   .cache_entries = c->set->cache_entries};
    enum err e = redis_open(&c->redis, &c->loop, &c->set->redis, &redis);

    if (e)
        return e;
    membership_open(&c->members, &c->loop, c->redis, &m, &members);
    c->directory = directory_open(&c->loop, c->redis, &c->members, &d, &directory);
    probe_open(&c->probe, &c->loop);
    buf_printf(&c->channel, "%s:node:%s", c->set->prefix, c->id);
    redis_subscribe(c->redis, buf_bytes(&c->channel));
    wheel_start(&c->loop.wheel, &c->tick, c->loop.now_ms);
    return ERR_OK;
}

enum err cluster_open(struct cluster **out, struct hub *h, const struct cluster_urls *urls)
{
    struct cluster *c = mem_new(struct cluster);
    struct hash_key key;
    enum err e = derive_key(h->settings, &key);

    *out = NULL;
    c->hub = h;
    keep_settings(c, h->settings, urls);
    c->inbox_bytes = h->settings->inbox_bytes;
    rand_init(&c->rand);
    atomic_store(&h->bus.life, new_life(c));
    if (!e)
        e = open_loop(c);
    if (e) {
        arena_fini(&c->texts);
        mem_free(c);
        return e;
    }
    arena_init(&c->arena);
    arrivals_open(c);
    map_init(&c->tallies);
    everybody_open(c);
    list_init(&c->orphans);
    list_init(&c->published);
    list_init(&c->tallies_idle);
    list_init(&c->tallies_asking);
    map_init(&c->queries);
    c->staged = mem_zero((h->count + 1) * sizeof(*c->staged));
    hub_join(h, &c->inbox, &key);
    meter_add(METER_CLUSTER_NODES, 1);
    meter_add(METER_CLUSTER_AWAY, 1);
    c->beat.away_ms = clock_mono_ms();
    c->beat.renewed_ms = c->beat.away_ms;
    timer_init(&c->tick, on_tick);
    *out = c;
    return open_parts(c);
}

void cluster_run(void *cluster)
{
    struct cluster *c = cluster;

    meter_open();
    thread_settle(c);
    loop_run(&c->loop);
    meter_close();
}

bool cluster_turn(struct cluster *c, int64_t max_wait_ms)
{
    thread_settle(c);
    loop_turn(&c->loop, max_wait_ms);
    return !c->loop.stopping;
}

static void drop_notes(struct cluster *c)
{
    struct inbox_link *link = inbox_take(&c->inbox);
    uint32_t i;

    while (link) {
        struct note *n = container_of(link, struct note, link);

        link = link->next;
        note_free(c->hub, n);
    }
    for (i = 0; i <= c->hub->count; i++)
        while (c->staged[i].first) {
            struct note *n = container_of(c->staged[i].first, struct note, link);

            c->staged[i].first = n->link.next;
            note_free(c->hub, n);
        }
}

void cluster_close(struct cluster *c)
{
    if (!c)
        return;
    if (c->redis) {
        redis_close(c->redis, true);
        directory_close(c->directory);
        membership_close(&c->members);
        probe_close(c->probe);
    }
    wheel_stop(&c->tick);
    courier_forget_all(c);
    forward_forget_all(c);
    everybody_close(c);
    find_forget_all(c);
    arrivals_close(c);
    drop_notes(c);
    members_unref(c->advertised);
    mem_free(c->staged);
    arena_fini(&c->arena);
    arena_fini(&c->texts);
    buf_fini(&c->batch);
    buf_fini(&c->channel);
    loop_close(&c->loop);
    inbox_close(&c->inbox);
    mem_free(c);
}
