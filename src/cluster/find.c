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

enum {
    TALLIES_MAX = 4096,    /* that nobody waits for; the least recently used is forgotten */
    TALLY_KEPT_MS = 10000, /* and that nobody has used */
    PATIENCE_MS = 5000,    /* with a node that is heard of and does not say how many match */
};

/* What the other nodes have for one filter. */
struct tally {
    struct list link; /* among those that wait for answers, or the least recently used first */
    uint64_t hash;    /* of the filter */
    uint64_t name;    /* of the question under way; 0: none */
    int64_t until_ms; /* asking: then it goes on without the missing; else: good until then */
    uint32_t missing;
    struct vec parked; /* struct parked, waiting for the answers */
    uint32_t count, asked_count;
    struct share {
        uint32_t peer, ready, all;
        bool answered;
    } * shares, *asked; /* as known; as the answers come */
};

struct parked {
    struct notification *notification; /* a count */
    uint32_t attempts;
};

/* Another node's question, while our shards count. */
struct query {
    uint64_t name;
    uint32_t peer, missing, ready, all;
    uint64_t theirs, filter; /* their name for it, and the filter's hash */
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

static void enlist(struct tally *t, struct list *in)
{
    list_remove(&t->link);
    list_push_back(in, &t->link);
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
    mem_free(t->asked);
    mem_free(t);
}

static void tally_forget(struct cluster *c, struct tally *t)
{
    map_remove(&c->tallies, t->hash, t);
    list_remove(&t->link);
    tally_free(t);
}

static struct tally *first_idle(const struct cluster *c)
{
    struct list *link = list_first(&c->tallies_idle);

    return link ? container_of(link, struct tally, link) : NULL;
}

/* Those that wait for answers hold a message each, and are bounded as messages are. */
static struct tally *tally_get(struct cluster *c, uint64_t hash)
{
    struct tally *t = tally_find(c, hash), *old = first_idle(c);

    if (t)
        return t;
    if (c->tallies.len >= TALLIES_MAX && old)
        tally_forget(c, old);
    t = mem_new(struct tally);
    t->hash = hash;
    list_init(&t->link);
    list_push_back(&c->tallies_idle, &t->link);
    map_add(&c->tallies, hash, t);
    return t;
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

/* ---- those that wait ---- */

static void park(struct cluster *c, struct tally *t, struct notification *n, uint32_t attempts)
{
    struct parked *p = mem_new(struct parked);

    p->notification = notification_ref(n);
    p->attempts = attempts;
    vec_push(&t->parked, p);
    c->parked_bytes += sizeof(*p) + notification_bytes(n);
}

static void unpark(struct cluster *c, struct tally *t,
                   void (*what)(struct cluster *c, struct tally *t, struct notification *n,
                                uint32_t attempts))
{
    struct vec all = t->parked;
    uint32_t i;

    t->parked = (struct vec){0};
    for (i = 0; i < all.len; i++) {
        struct parked *p = all.at[i];

        c->parked_bytes -= sizeof(*p) + notification_bytes(p->notification);
        what(c, t, p->notification, p->attempts);
        notification_unref(p->notification);
        mem_free(p);
    }
    vec_fini(&all);
}

/* ---- asking the others ---- */

static void ask(struct cluster *c, struct tally *t, const struct filter *f)
{
    uint32_t i, count = c->members.peers.len;
    struct envelope e = {
        .kind = ENVELOPE_COUNT, .filter = *f, .name = ++c->last_name, .hash = t->hash};

    mem_free(t->asked);
    t->asked = mem_zero(count * sizeof(*t->asked) + 1);
    t->asked_count = count;
    t->missing = count;
    t->name = e.name;
    t->until_ms = cluster_now(c) + PATIENCE_MS;
    enlist(t, &c->tallies_asking);
    for (i = 0; i < count; i++) {
        const struct peer *p = c->members.peers.at[i];

        t->asked[i].peer = p->number;
    }
    forward_to_all(c, &e);
}

static void asked(struct cluster *c, struct tally *t)
{
    mem_free(t->shares);
    t->shares = t->asked;
    t->count = t->asked_count;
    t->asked = NULL;
    t->name = 0;
    t->until_ms = cluster_now(c) + COUNTS_KEPT_MS;
    enlist(t, &c->tallies_idle);
    unpark(c, t, choose_among_all);
}

/* Does it wait for nobody but the gone, and those that cannot hear? */
static bool waits_in_vain(const struct cluster *c, const struct tally *t)
{
    uint32_t i;

    for (i = 0; i < t->asked_count; i++) {
        const struct share *s = &t->asked[i];
        const struct peer *p = s->answered ? NULL : membership_numbered(&c->members, s->peer);

        if (p && !peer_is_unheard(p, cluster_now(c)))
            return false;
    }
    return true;
}

/* Ours: this node keeps the filter's turn. A message whose receiver has just left was sent by
   counts that are wrong. */
static void find_as_home(struct cluster *c, struct notification *n, uint32_t attempts)
{
    struct tally *t = tally_get(c, n->filter_hash);

    if (!t->name && attempts == FIND_ATTEMPTS && cluster_now(c) < t->until_ms) {
        enlist(t, &c->tallies_idle);
        choose_among_all(c, t, n, attempts);
        return;
    }
    park(c, t, n, attempts);
    if (t->name)
        return;
    ask(c, t, &n->filter);
    if (!t->missing)
        asked(c, t);
}

void find_start(struct cluster *c, struct notification *n, uint32_t attempts, struct receipt *r)
{
    struct peer *home = membership_home(&c->members, n->filter_hash);
    struct envelope e = {.kind = ENVELOPE_FIND,
                         .filter = n->filter,
                         .text = ws_frame_text(n->frame),
                         .order_key = n->order_key,
                         .name = n->ask,
                         .a = attempts,
                         .hops = (uint8_t)(n->hops + 1)};

    if (home && n->hops < HOPS_MAX)
        forward_piece(c, home, piece_new(&e, r));
    else if (c->ending)
        meter_add(METER_DROPPED_NO_MATCH, 1);
    else
        find_as_home(c, n, attempts);
}

void find_take_counted(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct tally *t = tally_find(c, e->hash);
    uint32_t i;

    if (!t || !t->name || t->name != e->name)
        return;
    for (i = 0; i < t->asked_count; i++) {
        struct share *s = &t->asked[i];

        if (s->peer != p->number || s->answered)
            continue;
        *s = (struct share){p->number, e->a, e->b, true};
        if (--t->missing == 0)
            asked(c, t);
        return;
    }
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
    if (n->b)
        find_start(c, what, n->b - 1, NULL); /* which asks anew */
    else
        meter_add(METER_DROPPED_NO_MATCH, 1);
}

/* ---- being asked ---- */

void find_take_pick(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct notification *n = take_notification(c, e);
    uint32_t attempts = e->b < FIND_ATTEMPTS ? e->b : FIND_ATTEMPTS;

    (void)p;
    n->hops = 0;
    if (c->ending)
        forward(c, n, FORWARD_FIND, attempts);
    else
        choose_here(c, n, attempts, FIND_RANK, e->a);
    notification_unref(n);
}

static void answer(struct cluster *c, const struct query *q)
{
    struct peer *p = membership_numbered(&c->members, q->peer);

    if (p)
        forward_to(c, p,
                   &(struct envelope){.kind = ENVELOPE_COUNTED,
                                      .name = q->theirs,
                                      .hash = q->filter,
                                      .a = q->ready,
                                      .b = q->all});
}

void find_take_count(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct notification *n;
    struct query *q;
    uint32_t i;

    if (c->ending || !value_counts_may_match(c->hub->bus.values, &c->hub->key, &e->filter)) {
        answer(c, &(struct query){.peer = p->number, .theirs = e->name, .filter = e->hash});
        return;
    }
    n = take_notification(c, e);
    q = mem_new(struct query);
    q->name = ++c->last_name;
    q->peer = p->number;
    q->theirs = e->name;
    q->filter = e->hash;
    q->missing = c->hub->count;
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
    answer(c, q);
    map_remove(&c->queries, hash_mix(q->name, 0), q);
    mem_free(q);
}

/* ---- time ---- */

void find_tick(struct cluster *c)
{
    struct list *link = list_first(&c->tallies_asking), *next;
    struct tally *t;

    for (; link && link != &c->tallies_asking; link = next) {
        next = link->next;
        t = container_of(link, struct tally, link);
        if (c->beat.away_ms) /* nobody can answer; what was accepted waits */
            t->until_ms = cluster_now(c) + PATIENCE_MS;
        else if (cluster_now(c) >= t->until_ms || waits_in_vain(c, t))
            asked(c, t);
    }
    while ((t = first_idle(c)) && cluster_now(c) >= t->until_ms + TALLY_KEPT_MS)
        tally_forget(c, t);
}

static void find_elsewhere(struct cluster *c, struct tally *t, struct notification *n,
                           uint32_t attempts)
{
    (void)t;
    forward(c, n, FORWARD_FIND, attempts);
}

void find_end(struct cluster *c)
{
    struct list *link;
    size_t cursor = 0;
    struct query *q;

    while ((q = map_each(&c->queries, &cursor))) { /* nobody is here any more */
        answer(c, &(struct query){.peer = q->peer, .theirs = q->theirs, .filter = q->filter});
        mem_free(q);
    }
    map_fini(&c->queries);
    map_init(&c->queries);

    while ((link = list_first(&c->tallies_asking))) {
        struct tally *t = container_of(link, struct tally, link);

        t->name = 0;
        enlist(t, &c->tallies_idle);
        unpark(c, t, find_elsewhere);
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
