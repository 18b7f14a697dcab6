#include "cluster/find.h"

#include "base/mem.h"
#include "base/meter.h"
#include "cluster/forward.h"
#include "cluster/node.h"
#include "cluster/take.h"
#include "flow/frame.h"
#include "hub/notification.h"
#include "hub/presence.h"
#include "net/ws_conn.h"

enum { TALLIES_MAX = 4096, QUERIES_MAX = 65536, PARKED_MAX = 4096 };

/* What the other nodes have for one filter. */
struct tally {
    uint64_t hash; /* of the filter */
    bool asking;
    int64_t until_ms; /* asking: then it goes on without the missing; else: good until then */
    uint32_t missing;
    struct vec parked; /* struct parked, waiting for the answers */
    uint32_t count;
    struct share {
        uint32_t peer, ready, all;
    } * shares;
};

struct parked {
    struct notification *notification; /* a count */
    uint32_t attempts;
};

/* Another node's question, while our shards count. */
struct query {
    uint64_t name;
    uint32_t peer, missing, ready, all;
    uint64_t theirs; /* their name for it */
    int64_t since_ms;
};

static bool same_tally(const void *item, const void *key)
{
    const struct tally *t = item;
    const uint64_t *hash = key;

    return t->hash == *hash;
}

static struct tally *tally_find(struct cluster *c, uint64_t hash)
{
    return map_find(&c->tallies, hash, same_tally, &hash);
}

static struct share *share_of(struct tally *t, uint32_t peer)
{
    uint32_t i;

    for (i = 0; i < t->count; i++)
        if (t->shares[i].peer == peer)
            return &t->shares[i];
    return NULL;
}

/* ---- to our own shards ---- */

static void choose_here(struct cluster *c, struct notification *n, uint32_t attempts,
                        enum find_mode mode, uint64_t what)
{
    struct note *note = cluster_note(NOTE_FIND, c);

    note->notification = notification_ref(n);
    note->a = attempts;
    note->b = mode;
    note->name = what;
    cluster_post(c, hub_home(c->hub, n->filter_hash)->number, note, n->frame->len);
}

static void choose_among_all(struct cluster *c, struct tally *t, struct notification *n,
                             uint32_t attempts)
{
    uint64_t ready = 0, all = 0;
    uint32_t i;

    for (i = 0; i < t->count; i++) {
        ready += t->shares[i].ready;
        all += t->shares[i].all;
    }
    if (ready > UINT32_MAX / 2 || all > UINT32_MAX / 2) /* nonsense from outside */
        ready = all = 0;
    choose_here(c, n, attempts, FIND_TURN, ready << 32 | all);
}

static void unpark(struct cluster *c, struct tally *t)
{
    uint32_t i;

    for (i = 0; i < t->parked.len; i++) {
        struct parked *p = t->parked.at[i];

        choose_among_all(c, t, p->notification, p->attempts);
        notification_unref(p->notification);
        mem_free(p);
    }
    vec_fini(&t->parked);
}

/* ---- asking the others ---- */

static void ask(struct cluster *c, struct tally *t, const struct filter *f)
{
    uint32_t i, count = c->members.peers.len;
    struct envelope e = {.kind = ENVELOPE_COUNT, .filter = *f, .name = t->hash};

    mem_free(t->shares);
    t->shares = mem_zero(count * sizeof(*t->shares) + 1);
    t->count = count;
    t->missing = count;
    t->asking = true;
    t->until_ms = cluster_now(c) + COUNTS_KEPT_MS;
    for (i = 0; i < count; i++) {
        const struct peer *p = c->members.peers.at[i];

        t->shares[i].peer = p->number;
    }
    forward_to_all(c, &e);
}

static void asked(struct cluster *c, struct tally *t)
{
    t->asking = false;
    t->until_ms = cluster_now(c) + COUNTS_KEPT_MS;
    unpark(c, t);
}

static void tally_free(struct tally *t)
{
    uint32_t i;

    for (i = 0; i < t->parked.len; i++) {
        struct parked *p = t->parked.at[i];

        notification_unref(p->notification);
        mem_free(p);
    }
    vec_fini(&t->parked);
    mem_free(t->shares);
    mem_free(t);
}

static struct tally *tally_get(struct cluster *c, uint64_t hash)
{
    struct tally *t = tally_find(c, hash);

    if (t || c->tallies.len >= TALLIES_MAX)
        return t;
    t = mem_new(struct tally);
    t->hash = hash;
    map_add(&c->tallies, hash, t);
    return t;
}

static void park(struct tally *t, struct notification *n, uint32_t attempts)
{
    struct parked *p = mem_new(struct parked);

    p->notification = notification_ref(n);
    p->attempts = attempts;
    vec_push(&t->parked, p);
}

/* Ours: this node keeps the filter's turn. */
static void find_as_home(struct cluster *c, struct notification *n, uint32_t attempts)
{
    struct tally *t = tally_get(c, n->filter_hash);

    if (!t || t->parked.len >= PARKED_MAX) { /* too many at once: among our own */
        choose_here(c, n, attempts, FIND_TURN, 0);
        return;
    }
    if (!t->asking && cluster_now(c) < t->until_ms) {
        choose_among_all(c, t, n, attempts);
        return;
    }
    park(t, n, attempts);
    if (t->asking)
        return;
    ask(c, t, &n->filter);
    if (!t->missing)
        asked(c, t);
}

void find_start(struct cluster *c, struct notification *n, uint32_t attempts)
{
    struct peer *home = membership_home(&c->members, n->filter_hash);
    struct envelope e = {.kind = ENVELOPE_FIND,
                         .filter = n->filter,
                         .text = ws_frame_text(n->frame),
                         .order_key = n->order_key,
                         .a = attempts,
                         .hops = (uint8_t)(n->hops + 1)};

    if (home && n->hops < HOPS_MAX)
        forward_to(c, home, &e);
    else if (c->ending)
        meter_add(METER_DROPPED_NO_MATCH, 1);
    else
        find_as_home(c, n, attempts);
}

void find_take_counted(struct cluster *c, const struct peer *p, const struct envelope *e)
{
    struct tally *t = tally_find(c, e->name);
    struct share *share = t && t->asking ? share_of(t, p->number) : NULL;

    if (!share || !t->missing)
        return;
    share->ready = e->a;
    share->all = e->b;
    if (--t->missing == 0)
        asked(c, t);
}

/* A shard's choice fell on another node's client. */
void find_on_pick(struct cluster *c, const struct note *n)
{
    struct notification *what = n->notification;
    struct tally *t = tally_find(c, what->filter_hash);
    uint32_t i, rank = n->a;

    for (i = 0; t && i < t->count; i++) {
        const struct share *s = &t->shares[i];
        uint32_t has = n->ready_only ? s->ready : s->all;
        struct peer *p;

        if (rank >= has) {
            rank -= has;
            continue;
        }
        p = membership_numbered(&c->members, s->peer);
        if (!p)
            break;
        forward_to(c, p,
                   &(struct envelope){.kind = ENVELOPE_PICK,
                                      .filter = what->filter,
                                      .text = ws_frame_text(what->frame),
                                      .order_key = what->order_key,
                                      .a = rank,
                                      .b = n->b,
                                      .ready_only = n->ready_only});
        return;
    }
    if (t)
        t->until_ms = 0; /* what it says is old */
    if (n->b)
        find_start(c, what, n->b - 1);
    else
        meter_add(METER_DROPPED_NO_MATCH, 1);
}

/* ---- being asked ---- */

void find_take_pick(struct cluster *c, const struct envelope *e)
{
    struct notification *n = take_notification(c, e);

    n->hops = 0;
    if (c->ending)
        forward(c, n, FORWARD_FIND, e->b);
    else
        choose_here(c, n, e->b, FIND_RANK, e->a);
    notification_unref(n);
}

static void answer(struct cluster *c, uint32_t peer, uint64_t name, uint32_t ready, uint32_t all)
{
    struct peer *p = membership_numbered(&c->members, peer);

    if (p)
        forward_to(
            c, p, &(struct envelope){.kind = ENVELOPE_COUNTED, .name = name, .a = ready, .b = all});
}

void find_take_count(struct cluster *c, const struct peer *p, const struct envelope *e)
{
    struct notification *n;
    struct query *q;
    uint32_t i;

    if (c->ending || c->queries.len >= QUERIES_MAX ||
        !value_counts_may_match(c->hub->bus.values, &c->hub->key, &e->filter)) {
        answer(c, p->number, e->name, 0, 0);
        return;
    }
    n = take_notification(c, e);
    q = mem_new(struct query);
    q->name = ++c->last_name;
    q->peer = p->number;
    q->theirs = e->name;
    q->missing = c->hub->count;
    q->since_ms = cluster_now(c);
    map_add(&c->queries, hash_mix(q->name, 0), q);
    for (i = 0; i < c->hub->count; i++) {
        struct note *note = cluster_note(NOTE_COUNT, c);

        note->notification = notification_ref(n);
        note->name = q->name;
        cluster_post(c, i, note, sizeof(*note));
    }
    notification_unref(n);
}

static bool same_query(const void *item, const void *key)
{
    const struct query *q = item;
    const uint64_t *name = key;

    return q->name == *name;
}

void find_on_counted(struct cluster *c, const struct note *n)
{
    struct query *q = map_find(&c->queries, hash_mix(n->name, 0), same_query, &n->name);

    if (!q)
        return;
    q->ready += n->a;
    q->all += n->b;
    if (--q->missing)
        return;
    answer(c, q->peer, q->theirs, q->ready, q->all);
    map_remove(&c->queries, hash_mix(q->name, 0), q);
    mem_free(q);
}

/* ---- time ---- */

/* Who does not answer has nothing; what nobody asks for any more is forgotten. */
void find_tick(struct cluster *c)
{
    size_t cursor = 0;
    struct tally *t, *old = NULL;

    while ((t = map_each(&c->tallies, &cursor))) {
        if (cluster_now(c) < t->until_ms)
            continue;
        if (t->asking)
            asked(c, t);
        else if (cluster_now(c) > t->until_ms + 10000)
            old = t;
    }
    if (old) { /* one at a time: a map must not change while it is walked */
        map_remove(&c->tallies, old->hash, old);
        tally_free(old);
    }
}

void find_forget_all(struct cluster *c)
{
    size_t cursor = 0;
    struct tally *t;
    struct query *q;

    while ((t = map_each(&c->tallies, &cursor)))
        tally_free(t);
    map_fini(&c->tallies);
    cursor = 0;
    while ((q = map_each(&c->queries, &cursor)))
        mem_free(q);
    map_fini(&c->queries);
}
