#include "cluster/arrivals.h"

#include "base/mem.h"
#include "cluster/elsewhere.h"
#include "cluster/forward.h"
#include "cluster/node.h"
#include "hub/presence.h"

enum {
    LIST_A_TURN = 2048,
    MOVED_WAIT_MS = 250, /* for the others to confirm that they know of a move */
};

/* A socket that waits for its client's entry; then, where the client was on another node before,
   until the others have confirmed that they know; then it is on its way to its shard, and what is
   sent there goes behind it. */
struct pending_arrival {
    struct list link; /* in arrivals_oldest, arrivals_moving or arrivals_on_way */
    uint64_t token, hash;
    int64_t until_ms;
    bool failed;               /* its entry is not written */
    struct arrival *arrival;   /* owned; null: it is on its way, */
    uint32_t number;           /* as that note to its shard, */
    bool is_home;              /* which has been heard */
    uint32_t moved_to;         /* a peer that said meanwhile that the client is there; 0: none */
    uint32_t count, confirmed; /* of awaited; the first so many have confirmed */
    struct awaited {
        uint32_t peer;
        uint64_t number; /* of the first item after MOVED */
    } * awaited;
};

static bool same(const void *item, const void *key)
{
    const struct pending_arrival *a = item;
    const uint64_t *token = key;

    return a->token == *token;
}

static bool any(const void *item, const void *key)
{
    (void)item;
    (void)key;
    return true; /* the hash is the key */
}

static bool is_on_way(const void *item, const void *key)
{
    const struct pending_arrival *a = item;

    (void)key;
    return !a->arrival;
}

static bool is_waiting(const void *item, const void *key)
{
    const struct pending_arrival *a = item;

    (void)key;
    return a->arrival;
}

/* And has not heard yet that its client is with that peer. */
static bool has_not_heard(const void *item, const void *key)
{
    const struct pending_arrival *a = item;
    const uint32_t *peer = key;

    return a->arrival && a->moved_to != *peer;
}

static struct pending_arrival *come(struct cluster *c, uint64_t hash, struct arrival *arrival)
{
    struct pending_arrival *p = mem_new(struct pending_arrival);

    p->token = ++c->last_name;
    p->hash = hash;
    p->arrival = arrival;
    map_add(&c->arrivals, hash, p);
    list_init(&p->link);
    return p;
}

static void queue(struct cluster *c, struct pending_arrival *p, struct list *list, int64_t ms)
{
    p->until_ms = cluster_now(c) + ms;
    list_remove(&p->link);
    list_push_back(list, &p->link);
}

static void forget(struct cluster *c, struct pending_arrival *p)
{
    map_remove(&c->arrivals, p->hash, p);
    list_remove(&p->link);
    if (p->arrival)
        c->hub->discard(p->arrival);
    mem_free(p->awaited);
    mem_free(p);
}

uint32_t arrivals_tell(struct cluster *c, uint64_t hash, struct note *n)
{
    uint32_t shard = hub_home(c->hub, hash)->number;

    cluster_post(c, shard, n, sizeof(*n));
    return ++c->told[shard];
}

static void be_on_way(struct cluster *c, struct pending_arrival *p)
{
    p->number = c->told[hub_home(c->hub, p->hash)->number];
    list_remove(&p->link);
    list_push_back(&c->arrivals_on_way, &p->link);
}

void arrivals_on_way(struct cluster *c, uint64_t hash)
{
    be_on_way(c, come(c, hash, NULL));
}

static void let_in(struct cluster *c, struct pending_arrival *p)
{
    struct note *n = cluster_note(NOTE_ADOPT, c);
    uint32_t moved_to = p->moved_to;
    uint64_t hash = p->hash;

    n->arrival = p->arrival;
    p->arrival = NULL;
    mem_free(p->awaited);
    p->awaited = NULL;
    arrivals_tell(c, hash, n);
    be_on_way(c, p);
    elsewhere_end(c, hash);
    if (moved_to)
        elsewhere_go(c, hash, moved_to);
}

static bool is_present(const struct cluster *c, uint64_t hash)
{
    return presence_has(&hub_home(c->hub, hash)->presence, hash);
}

bool arrivals_is_here(const struct cluster *c, uint64_t hash)
{
    return !elsewhere_has(c, hash) &&
           (is_present(c, hash) || map_find(&c->arrivals, hash, is_on_way, NULL));
}

bool arrivals_is_ours(void *cluster, uint64_t hash)
{
    const struct cluster *c = cluster;

    return map_find(&c->arrivals, hash, is_waiting, NULL) || arrivals_is_here(c, hash);
}

bool arrivals_may_come(const struct cluster *c, uint64_t hash)
{
    return map_find(&c->arrivals, hash, is_waiting, NULL) || elsewhere_has(c, hash);
}

/* Their shard has them now, or has said otherwise; what it had said before has been read in the
   turn between two looks. */
static void look_who_is_home(struct cluster *c)
{
    struct list *link = c->arrivals_on_way.next, *next;

    for (; link != &c->arrivals_on_way; link = next) {
        struct pending_arrival *p = container_of(link, struct pending_arrival, link);

        next = link->next;
        if (p->is_home)
            forget(c, p);
        else
            p->is_home = shard_knows(hub_home(c->hub, p->hash), p->number);
    }
}

/* ---- those who were on another node before ---- */

void arrivals_on_moved(void *cluster, uint64_t hash)
{
    struct cluster *c = cluster;

    forward_to_all(c, &(struct envelope){.kind = ENVELOPE_MOVED, .hash = hash});
}

/* One that has not been heard of lately may never confirm. */
static bool is_confirmed(const struct cluster *c, const struct awaited *a)
{
    const struct peer *p = membership_numbered(&c->members, a->peer);

    return !p || p->stream.first >= a->number || cluster_now(c) - p->heard_ms > 2 * c->set->beat_ms;
}

static bool all_know(const struct cluster *c, struct pending_arrival *p)
{
    while (p->confirmed < p->count && is_confirmed(c, &p->awaited[p->confirmed]))
        p->confirmed++;
    return p->confirmed == p->count;
}

static void await_confirmations(struct cluster *c, struct pending_arrival *p)
{
    uint32_t i, count = c->members.peers.len;

    p->awaited = mem_zero(count * sizeof(*p->awaited) + 1);
    p->count = count;
    for (i = 0; i < count; i++) {
        const struct peer *peer = c->members.peers.at[i];

        p->awaited[i] = (struct awaited){peer->number, peer->stream.first + peer->stream.count};
    }
    queue(c, p, &c->arrivals_moving, MOVED_WAIT_MS);
}

/* Who began to wait later waits for later items of the same streams, and has later to give up: only
   the first need be asked. */
void arrivals_on_confirmed(struct cluster *c)
{
    struct list *link;

    while ((link = list_first(&c->arrivals_moving))) {
        struct pending_arrival *p = container_of(link, struct pending_arrival, link);

        if (cluster_now(c) < p->until_ms && !all_know(c, p))
            return;
        let_in(c, p);
        forward_retry(c); /* what came here meanwhile for it */
    }
}

/* An answer is news only to who serves it himself. */
void arrivals_take_moved(struct cluster *c, struct peer *peer, const struct envelope *e)
{
    struct pending_arrival *p;

    if (c->ending)
        return;
    while (!e->a && (p = map_find(&c->arrivals, e->hash, has_not_heard, &peer->number)))
        p->moved_to = peer->number;
    if ((!e->a && elsewhere_has(c, e->hash)) || arrivals_is_here(c, e->hash))
        elsewhere_go(c, e->hash, peer->number);
}

/* ---- all who come, and go ---- */

/* Who is not written is looked for on all nodes, so it needs no entry to be let in. */
static bool is_looked_for(const struct cluster *c)
{
    return !c->members.peers.len || !directory_may_mislead(c->directory);
}

static void on_put(void *cluster, uint64_t hash, uint64_t token, enum directory_put put)
{
    struct cluster *c = cluster;
    struct pending_arrival *p = map_find(&c->arrivals, hash, same, &token);

    if (!p || !p->arrival)
        return;
    if (put == DIRECTORY_MOVED && c->members.peers.len)
        await_confirmations(c, p);
    else if (put != DIRECTORY_UNWRITTEN || is_looked_for(c))
        let_in(c, p);
    else
        p->failed = true; /* it waits until others cannot take it for nowhere */
}

void arrivals_on_register(struct cluster *c, struct note *n)
{
    struct pending_arrival *p = come(c, n->name, n->arrival);
    uint64_t token = p->token;

    n->arrival = NULL;
    queue(c, p, &c->arrivals_oldest, c->set->register_ms);
    if (c->beat.away_ms && is_looked_for(c))
        let_in(c, p);
    directory_put(c->directory, n->name, on_put, c, token);
}

/* When it said so, its shard had heard so many of our notes. */
static bool has_arrived(const void *item, const void *key)
{
    const struct pending_arrival *a = item;
    const uint32_t *heard = key;

    return !a->arrival && (int32_t)(*heard - a->number) >= 0;
}

void arrivals_on_unregister(struct cluster *c, const struct note *n)
{
    uint64_t hash = n->name;
    struct pending_arrival *p;

    while ((p = map_find(&c->arrivals, hash, has_arrived, &n->a)))
        forget(c, p);
    if (map_find(&c->arrivals, hash, any, NULL))
        return; /* it comes again */
    if (!elsewhere_left(c, hash, n->a))
        directory_remove(c->directory, hash);
}

static void forget_list(struct cluster *c, const struct list *list)
{
    struct list *link;

    while ((link = list_first(list)))
        forget(c, container_of(link, struct pending_arrival, link));
}

void arrivals_open(struct cluster *c)
{
    map_init(&c->arrivals);
    list_init(&c->arrivals_oldest);
    list_init(&c->arrivals_moving);
    list_init(&c->arrivals_on_way);
    c->told = mem_zero(c->hub->count * sizeof(*c->told));
    elsewhere_open(c);
}

void arrivals_close(struct cluster *c)
{
    forget_list(c, &c->arrivals_oldest);
    forget_list(c, &c->arrivals_moving);
    forget_list(c, &c->arrivals_on_way);
    map_fini(&c->arrivals);
    mem_free(c->told);
    elsewhere_close(c);
}

/* ---- all of ours, again ---- */

void arrivals_list(struct cluster *c)
{
    c->listing = true;
    c->list_shard = 0;
    c->list_cursor = UINT32_MAX;
}

/* Their entries may be written and their sessions not made. */
static void list_those_coming(struct cluster *c)
{
    const struct pending_arrival *p;
    size_t cursor = 0;

    while ((p = map_each(&c->arrivals, &cursor)))
        directory_put_again(c->directory, p->hash);
}

void arrivals_list_some(struct cluster *c)
{
    uint64_t some[256];
    uint32_t listed = 0;

    while (c->listing && listed < LIST_A_TURN) {
        const struct presence *p = &c->hub->shards[c->list_shard]->presence;
        uint32_t count = presence_list(p, &c->list_cursor, some, 256), i;

        for (i = 0; i < count; i++)
            directory_put_again(c->directory, some[i]);
        listed += count;
        if (c->list_cursor)
            continue;
        c->list_cursor = UINT32_MAX;
        if (++c->list_shard < c->hub->count)
            continue;
        c->listing = false;
        list_those_coming(c);
        directory_listed(c->directory);
    }
    if (c->listing)
        c->loop.hurry = true;
}

static bool is_due(const struct cluster *c, const struct pending_arrival *p)
{
    return cluster_now(c) >= p->until_ms || ((p->failed || c->beat.away_ms) && is_looked_for(c));
}

static void let_in_who_is_due(struct cluster *c)
{
    struct list *link = list_first(&c->arrivals_oldest), *next;

    for (; link && link != &c->arrivals_oldest; link = next) {
        struct pending_arrival *p = container_of(link, struct pending_arrival, link);

        next = link->next;
        if (is_due(c, p))
            let_in(c, p);
    }
}

void arrivals_tick(struct cluster *c)
{
    arrivals_on_confirmed(c);
    let_in_who_is_due(c);
    look_who_is_home(c);
}
