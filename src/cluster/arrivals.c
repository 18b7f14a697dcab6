#include "cluster/arrivals.h"

#include "base/mem.h"
#include "cluster/forward.h"
#include "cluster/node.h"
#include "hub/presence.h"

enum {
    LIST_A_TURN = 2048,
    ABSENT_MAX = 4096,
    MOVED_WAIT_MS = 250,   /* for the others to confirm that they know of a move */
    ABSENT_LOOK_MS = 5000, /* between two looks whether one of ours is still elsewhere */
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
    uint32_t count, confirmed; /* of awaited; the first so many have confirmed */
    struct awaited {
        uint32_t peer;
        uint64_t number; /* of the first item after MOVED */
    } * awaited;
};

/* Connected here, and later to another node. */
struct absent {
    uint64_t hash;
    int64_t look_ms;
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

static struct pending_arrival *come(struct cluster *c, uint64_t hash, struct arrival *arrival)
{
    struct pending_arrival *p = mem_new(struct pending_arrival);

    p->token = ++c->last_name;
    p->hash = hash;
    p->until_ms = cluster_now(c) + c->set->register_ms;
    p->arrival = arrival;
    map_add(&c->arrivals, hash, p);
    list_push_back(&c->arrivals_oldest, &p->link);
    return p;
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

/* ADOPT or ELSEWHERE, to its shard; the number it has there. */
static uint32_t tell(struct cluster *c, uint64_t hash, struct note *n)
{
    uint32_t shard = hub_home(c->hub, hash)->number;

    cluster_post(c, shard, n, sizeof(*n));
    return ++c->told[shard];
}

static void let_in(struct cluster *c, struct pending_arrival *p)
{
    struct note *n = cluster_note(NOTE_ADOPT, c);

    n->arrival = p->arrival;
    p->arrival = NULL;
    mem_free(p->awaited);
    p->awaited = NULL;
    p->number = tell(c, p->hash, n);
    list_remove(&p->link);
    list_push_back(&c->arrivals_on_way, &p->link);
}

static bool is_present(const struct cluster *c, uint64_t hash)
{
    return presence_has(&hub_home(c->hub, hash)->presence, hash);
}

bool arrivals_is_here(void *cluster, uint64_t hash)
{
    const struct cluster *c = cluster;

    return is_present(c, hash) || map_find(&c->arrivals, hash, any, NULL);
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
    p->until_ms = cluster_now(c) + MOVED_WAIT_MS;
    list_remove(&p->link);
    list_push_back(&c->arrivals_moving, &p->link);
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
    }
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
    uint64_t token = 0;

    if (n->arrival) {
        struct pending_arrival *p = come(c, n->name, n->arrival);

        token = p->token;
        if (c->beat.away_ms && is_looked_for(c))
            let_in(c, p);
    }
    n->arrival = NULL;
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
    struct pending_arrival *p;

    while ((p = map_find(&c->arrivals, n->name, has_arrived, &n->a)))
        forget(c, p);
    if (!map_find(&c->arrivals, n->name, any, NULL)) /* else it comes again */
        directory_remove(c->directory, n->name);
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
}

void arrivals_close(struct cluster *c)
{
    forget_list(c, &c->arrivals_oldest);
    forget_list(c, &c->arrivals_moving);
    forget_list(c, &c->arrivals_on_way);
    map_fini(&c->arrivals);
    mem_free(c->told);
    while (c->elsewhere.len) {
        mem_free(c->elsewhere.at[0]);
        (void)vec_swap_remove(&c->elsewhere, 0);
    }
    vec_fini(&c->elsewhere);
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

/* ---- here and elsewhere ---- */

static void tell_home(struct cluster *c, uint64_t hash, bool elsewhere)
{
    struct note *n = cluster_note(NOTE_ELSEWHERE, c);

    n->name = hash;
    n->a = elsewhere;
    (void)tell(c, hash, n);
}

void arrivals_are_elsewhere(void *cluster, uint64_t hash)
{
    struct cluster *c = cluster;
    struct absent *a;

    tell_home(c, hash, true);
    if (c->elsewhere.len >= ABSENT_MAX)
        return;
    a = mem_new(struct absent);
    a->hash = hash;
    a->look_ms = cluster_now(c) + ABSENT_LOOK_MS;
    vec_push(&c->elsewhere, a);
}

static void on_verified(void *cluster, uint64_t hash, enum directory_answer answer,
                        struct peer *peer)
{
    struct cluster *c = cluster;

    (void)peer;
    if (answer == DIRECTORY_FOUND)
        arrivals_are_elsewhere(c, hash);
    else
        tell_home(c, hash, false); /* which writes it again */
}

/* At once, because the other node waits to answer; then it is looked whether that is still so: of
   two nodes' messages the older one may come last. */
void arrivals_elsewhere(struct cluster *c, uint64_t hash)
{
    tell_home(c, hash, true);
    directory_verify(c->directory, hash, on_verified, c, hash);
}

static void on_looked(void *cluster, uint64_t hash, enum directory_answer answer, struct peer *peer)
{
    struct cluster *c = cluster;
    uint32_t i;

    (void)peer;
    if (answer == DIRECTORY_FOUND || answer == DIRECTORY_FAILED)
        return;
    tell_home(c, hash, false);
    for (i = 0; i < c->elsewhere.len; i++) {
        struct absent *a = c->elsewhere.at[i];

        if (a->hash != hash)
            continue;
        (void)vec_swap_remove(&c->elsewhere, i);
        mem_free(a);
        return;
    }
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
    uint32_t i;

    arrivals_on_confirmed(c);
    let_in_who_is_due(c);
    look_who_is_home(c);
    for (i = 0; i < c->elsewhere.len; i++) {
        struct absent *a = c->elsewhere.at[i];

        if (cluster_now(c) < a->look_ms)
            continue;
        a->look_ms = cluster_now(c) + ABSENT_LOOK_MS;
        directory_verify(c->directory, a->hash, on_looked, c, a->hash);
    }
}
