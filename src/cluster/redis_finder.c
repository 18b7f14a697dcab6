#include "cluster/redis_finder.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "cluster/redis_channels.h"
#include "cluster/redis_parts.h"
#include "cluster/redis_slots.h"

enum {
    KNOWN = 256,    /* addresses of nodes that are remembered to be asked */
    MASTERS = 1024, /* of one answer */
    RANGES = 16384,
    HURRY_MS = 100,  /* between two questions at least */
    EVERY_MS = 1000, /* the same, when all that is known is that slots have moved */
    EVERY_HEALTHY_MS = 5000,
    RETRY_LEAST_MS = 50,
    RETRY_MOST_MS = 1000,
    TRUST_AGAIN_MS = 10000, /* then an older epoch is believed: the cluster was made anew */
};

enum question { ASKED_SENTINEL, ASKED_INFO, ASKED_SLOTS };

struct redis_finder {
    struct redis *redis;
    struct redis_link *link; /* null: none yet */
    struct timer timer;
    struct redis_address seeds[REDIS_SEEDS_MAX], known[KNOWN];
    uint32_t seed_count, known_count;
    uint32_t at;       /* which of seeds and then known it asks, or asks next */
    uint32_t failures; /* in a row */
    bool asked;        /* and not answered */
    bool answered;     /* by this one */
    bool leave;        /* the next one is to be asked */
    int64_t asked_ms;
    int64_t believed_ms; /* the last map that was */
    uint64_t epoch, told_epoch;
    bool told_ok; /* cluster_state, of the one that is asked */
};

static bool is_well(const struct redis *r)
{
    return r->up && redis_channels_all(r);
}

/* ---- asking ---- */

static void give(struct redis_finder *f, enum question question, const struct bytes *argv, int argc)
{
    struct redis_ask ask = {
        .kind = REDIS_ASK_FIND, .slot = REDIS_NO_SLOT, .tries = (uint8_t)question};

    if (redis_link_give(f->link, argv, argc, &ask))
        f->leave = true;
}

static void ask(struct redis_finder *f)
{
    struct redis *r = f->redis;

    f->asked = true;
    f->asked_ms = r->world.loop->now_ms;
    if (r->shape == REDIS_SENTINEL) {
        give(f, ASKED_SENTINEL,
             (struct bytes[]){BYTES("SENTINEL"), BYTES("get-master-addr-by-name"),
                              bytes_text(r->set->sentinel_master)},
             3);
    } else {
        give(f, ASKED_INFO, (struct bytes[]){BYTES("CLUSTER"), BYTES("INFO")}, 2);
        give(f, ASKED_SLOTS, (struct bytes[]){BYTES("CLUSTER"), BYTES("SLOTS")}, 2);
    }
}

static int64_t retry_ms(const struct redis_finder *f)
{
    uint32_t rounds = f->failures / (f->seed_count + f->known_count);
    int64_t ms = rounds > 5 ? RETRY_MOST_MS : RETRY_LEAST_MS << rounds;

    return ms < RETRY_MOST_MS ? ms : RETRY_MOST_MS;
}

static void arm(struct redis_finder *f, int64_t in_ms)
{
    struct loop *loop = f->redis->world.loop;
    int64_t due_ms = loop->now_ms + in_ms;

    if (!timer_is_armed(&f->timer) || f->timer.due_ms > due_ms)
        wheel_start(&loop->wheel, &f->timer, due_ms);
}

static void go_to_next(struct redis_finder *f)
{
    redis_link_free(f->link, true);
    f->link = NULL;
    f->leave = f->asked = f->answered = false;
    f->at = (f->at + 1) % (f->seed_count + f->known_count);
}

static void on_due(struct timer *t)
{
    struct redis_finder *f = container_of(t, struct redis_finder, timer);
    struct redis *r = f->redis;

    if (f->link && (f->leave || (f->answered && !is_well(r)))) /* it may be behind its time */
        go_to_next(f);
    if (!f->link) {
        const struct redis_address *at =
            f->at < f->seed_count ? &f->seeds[f->at] : &f->known[f->at - f->seed_count];

        f->link = redis_link_new(&r->world, REDIS_LINK_FINDER, at, r);
    } else if (redis_link_is_ready(f->link) && !f->asked) {
        ask(f);
    }
    arm(f, r->shape == REDIS_CLUSTER && is_well(r) ? EVERY_HEALTHY_MS : EVERY_MS);
}

static void ask_after(struct redis *r, int64_t least_ms)
{
    struct redis_finder *f = r->finder;
    int64_t since_ms;

    if (!f || r->closing)
        return;
    since_ms = r->world.loop->now_ms - f->asked_ms;
    arm(f, since_ms >= least_ms ? 0 : least_ms - since_ms);
}

void redis_finder_hurry(struct redis *r)
{
    ask_after(r, HURRY_MS);
}

void redis_finder_on_moved(struct redis *r)
{
    ask_after(r, EVERY_MS);
}

/* Another one, after a while that grows with every round of all of them. */
static void give_up(struct redis_finder *f)
{
    f->leave = true;
    f->asked = false;
    f->failures++;
    wheel_start(&f->redis->world.loop->wheel, &f->timer,
                f->redis->world.loop->now_ms + retry_ms(f));
}

void redis_finder_on_ready(struct redis *r)
{
    struct redis_finder *f = r->finder;

    if (!f->leave && !f->asked)
        ask(f);
}

void redis_finder_on_lost(struct redis *r)
{
    give_up(r->finder);
}

/* ---- a Sentinel's answer ---- */

static bool read_port(const struct redisReply *reply, uint64_t *port)
{
    char *end;
    unsigned long value;

    if (reply->type == REDIS_REPLY_INTEGER && reply->integer > 0) {
        *port = (uint64_t)reply->integer;
        return true;
    }
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len > 5)
        return false;
    value = strtoul(reply->str, &end, 10);
    *port = value;
    return *end == 0;
}

static bool read_master(const struct redisReply *reply, struct redis_address *at)
{
    uint64_t port;

    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING && read_port(reply->element[1], &port) &&
           redis_address_set(at, bytes_of(reply->element[0]->str, reply->element[0]->len), port);
}

static void on_sentinel(struct redis_finder *f, const struct redisReply *reply)
{
    struct redis_address at;

    if (!read_master(reply, &at)) {
        redis_link_drop(f->link, "this Sentinel does not know such a master");
        return;
    }
    f->failures = 0;
    f->asked = false;
    f->answered = true;
    redis_node_only(f->redis, &at);
}

/* ---- a node's answers ---- */

static bool find_line(struct bytes text, struct bytes name, struct bytes *value)
{
    struct bytes line;

    while (text.len) {
        (void)bytes_cut(text, BYTES("\r\n"), &line, &text);
        if (!bytes_starts(line, name))
            continue;
        *value = bytes_of(line.at + name.len, line.len - name.len);
        return true;
    }
    return false;
}

static void on_info(struct redis_finder *f, const struct redisReply *reply)
{
    struct bytes text, value;

    f->told_ok = false;
    f->told_epoch = 0;
    if (reply->type != REDIS_REPLY_STRING)
        return;
    text = bytes_of(reply->str, reply->len);
    f->told_ok =
        find_line(text, BYTES("cluster_state:"), &value) && bytes_equal(value, BYTES("ok"));
    if (find_line(text, BYTES("cluster_current_epoch:"), &value) && value.len < 20)
        f->told_epoch = strtoull(value.at, NULL, 10); /* the text goes on behind it, and ends */
}

/* The map as it is read. */
struct map_read {
    const struct redis_address *from; /* who tells it */
    uint16_t of[REDIS_SLOTS];
    struct redis_address masters[MASTERS], others[KNOWN];
    uint32_t master_count, other_count;
};

/* [host, port, id, [name, value ..]]; a host that is null or empty is the one that was asked, "?"
   is not known, but its address may be among the last. */
static bool read_node(const struct map_read *m, const struct redisReply *reply,
                      struct redis_address *at)
{
    struct bytes host = bytes_text(m->from->host);
    const struct redisReply *more;
    uint64_t port;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        !read_port(reply->element[1], &port))
        return false;
    if (reply->element[0]->type == REDIS_REPLY_STRING && reply->element[0]->len)
        host = bytes_of(reply->element[0]->str, reply->element[0]->len);
    if (!bytes_equal(host, BYTES("?")))
        return redis_address_set(at, host, port);
    more = reply->elements > 3 ? reply->element[3] : NULL;
    for (size_t i = 0; more && more->type == REDIS_REPLY_ARRAY && i + 1 < more->elements; i += 2)
        if (more->element[i]->type == REDIS_REPLY_STRING &&
            strcmp(more->element[i]->str, "ip") == 0 &&
            more->element[i + 1]->type == REDIS_REPLY_STRING)
            return redis_address_set(
                at, bytes_of(more->element[i + 1]->str, more->element[i + 1]->len), port);
    return false;
}

static bool add_master(struct map_read *m, const struct redis_address *at, uint32_t *index)
{
    for (uint32_t i = m->master_count; i > 0; i--)
        if (redis_address_equal(&m->masters[i - 1], at)) {
            *index = i - 1;
            return true;
        }
    if (m->master_count == MASTERS)
        return false;
    *index = m->master_count;
    m->masters[m->master_count++] = *at;
    return true;
}

static void add_replica(struct map_read *m, const struct redis_address *at)
{
    for (uint32_t i = 0; i < m->other_count; i++)
        if (redis_address_equal(&m->others[i], at))
            return;
    if (m->other_count < KNOWN)
        m->others[m->other_count++] = *at;
}

/* [first slot, last slot, master, replica ..] */
static bool read_range(struct map_read *m, const struct redisReply *reply)
{
    struct redis_address at;
    long long first, last;
    uint32_t index;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    first = reply->element[0]->integer;
    last = reply->element[1]->integer;
    if (first < 0 || last < first || last >= REDIS_SLOTS)
        return false;
    if (read_node(m, reply->element[2], &at) && add_master(m, &at, &index))
        for (long long i = first; i <= last; i++)
            m->of[i] = (uint16_t)index;
    for (size_t i = 3; i < reply->elements; i++)
        if (read_node(m, reply->element[i], &at))
            add_replica(m, &at);
    return true;
}

static bool read_map(struct map_read *m, const struct redisReply *reply)
{
    memset(m->of, 0xff, sizeof(m->of));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements > RANGES)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (!read_range(m, reply->element[i]))
            return false;
    return m->master_count > 0;
}

static void remember(struct redis_finder *f, const struct map_read *m)
{
    if (f->at >= f->seed_count)
        f->at = f->seed_count; /* it only says who comes next */
    f->known_count = 0;
    for (uint32_t i = 0; i < m->master_count && f->known_count < KNOWN; i++)
        f->known[f->known_count++] = m->masters[i];
    for (uint32_t i = 0; i < m->other_count && f->known_count < KNOWN; i++)
        f->known[f->known_count++] = m->others[i];
}

/* A node that was cut off, or has just come back, tells of a time that is over. */
static bool is_believed(const struct redis_finder *f)
{
    int64_t now_ms = f->redis->world.loop->now_ms;

    if (!f->believed_ms || now_ms - f->believed_ms > TRUST_AGAIN_MS)
        return true;
    return f->told_epoch >= f->epoch && (f->told_ok || !f->redis->up);
}

static void on_map(struct redis_finder *f, const struct redisReply *reply)
{
    struct map_read *m = mem_new(struct map_read);

    m->from = redis_link_to(f->link);
    f->asked = false;
    f->answered = true;
    if (!read_map(m, reply)) {
        redis_link_drop(f->link, "this node does not tell who has which slot");
    } else if (!is_believed(f)) {
        give_up(f);
    } else {
        f->failures = 0;
        f->epoch = f->told_epoch;
        f->believed_ms = f->redis->world.loop->now_ms;
        remember(f, m);
        redis_slots_apply(f->redis, m->of, m->masters, m->master_count);
    }
    mem_free(m);
}

void redis_finder_on_reply(struct redis *r, const struct redis_ask *asked,
                           const struct redisReply *reply)
{
    struct redis_finder *f = r->finder;

    if (!reply) /* on_lost has been told */
        return;
    switch ((enum question)asked->tries) {
    case ASKED_SENTINEL:
        on_sentinel(f, reply);
        return;
    case ASKED_INFO:
        on_info(f, reply);
        return;
    case ASKED_SLOTS:
        on_map(f, reply);
        return;
    }
}

/* ---- its life ---- */

enum err redis_finder_open(struct redis *r)
{
    bool is_cluster = r->shape == REDIS_CLUSTER;
    const char *const *seeds = is_cluster ? r->set->nodes : r->set->sentinels;
    struct redis_finder *f = mem_new(struct redis_finder);

    f->redis = r;
    r->finder = f;
    timer_init(&f->timer, on_due);
    for (uint32_t i = 0; seeds && seeds[i] && i < REDIS_SEEDS_MAX; i++) {
        if (!redis_address_parse(&f->seeds[f->seed_count++], bytes_text(seeds[i]))) {
            log_error("redis settings",
                      LOG_STR("reason", is_cluster
                                            ? "pushca.storage.redis.cluster.nodes: not host:port"
                                            : "pushca.storage.redis.sentinel.nodes: not host:port"),
                      LOG_STR("node", seeds[i]));
            return ERR_BAD;
        }
    }
    if (!f->seed_count) {
        log_error("redis settings",
                  LOG_STR("reason", "pushca.storage.redis.sentinel.nodes is empty"));
        return ERR_BAD;
    }
    f->at = (uint32_t)rand_below(&r->world.rand, f->seed_count); /* not all nodes ask the same */
    arm(f, 0);
    return ERR_OK;
}

void redis_finder_close(struct redis *r)
{
    struct redis_finder *f = r->finder;

    if (!f)
        return;
    wheel_stop(&f->timer);
    redis_link_free(f->link, true);
    mem_free(f);
    r->finder = NULL;
}
