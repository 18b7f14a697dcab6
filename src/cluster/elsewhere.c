#include "cluster/elsewhere.h"

#include "base/mem.h"
#include "cluster/arrivals.h"
#include "cluster/forward.h"
#include "cluster/node.h"

enum {
    ASK_MS = 5000, /* whether it is still there: in case an answer never came */
    SOON_MS = 20,  /* two nodes think that the other one has it, or the directory lags behind */
    RETRY_MS = 250 /* Redis did not answer, or is not sure */
};

struct elsewhere {
    struct map absent;  /* hash -> struct absent */
    struct map waiters; /* hash -> struct waiter: one or more */
};

/* Ours, and later another node's. */
struct absent {
    struct timer timer;
    struct cluster *cluster;
    uint64_t hash, token;  /* token: of the take under way; 0: none */
    uint32_t peer, number; /* number: of the note that says so to its shard */
    bool lost;             /* by that peer: whose it is now the directory says */
    bool looking;          /* it is asked, */
    bool looked;           /* and has named that peer */
};

/* Another node that is to hear when we lose a client. */
struct waiter {
    uint64_t hash;
    uint32_t peer;
};

static bool any(const void *item, const void *key)
{
    (void)item;
    (void)key;
    return true; /* the hash is the key */
}

static bool same(const void *item, const void *key)
{
    const struct waiter *w = item;
    const uint32_t *peer = key;

    return w->peer == *peer;
}

static struct absent *find(const struct cluster *c, uint64_t hash)
{
    return map_find(&c->elsewhere->absent, hash, any, NULL);
}

bool elsewhere_has(const struct cluster *c, uint64_t hash)
{
    return find(c, hash) != NULL;
}

static uint32_t tell_home(struct cluster *c, uint64_t hash, bool elsewhere)
{
    struct note *n = cluster_note(NOTE_ELSEWHERE, c);

    n->name = hash;
    n->a = elsewhere;
    return arrivals_tell(c, hash, n);
}

static void say(struct cluster *c, uint32_t peer, enum envelope_kind kind, uint64_t hash,
                uint32_t a)
{
    struct peer *p = membership_numbered(&c->members, peer);

    if (p)
        forward_to(c, p, &(struct envelope){.kind = kind, .hash = hash, .a = a});
}

/* ---- those who wait for clients of ours ---- */

static void forget_waiter(struct cluster *c, struct waiter *w)
{
    map_remove(&c->elsewhere->waiters, w->hash, w);
    mem_free(w);
}

static void let_wait(struct cluster *c, uint64_t hash, uint32_t peer)
{
    struct waiter *w = map_find(&c->elsewhere->waiters, hash, same, &peer);

    if (w)
        return;
    w = mem_new(struct waiter);
    *w = (struct waiter){hash, peer};
    map_add(&c->elsewhere->waiters, hash, w);
}

static void tell_waiters(struct cluster *c, uint64_t hash, enum envelope_left how)
{
    struct waiter *w;

    while ((w = map_find(&c->elsewhere->waiters, hash, any, NULL))) {
        say(c, w->peer, ENVELOPE_LEFT, hash, how);
        forget_waiter(c, w);
    }
}

/* One of them that lives; null: there is none. The dead are forgotten. */
static struct peer *pop_waiter(struct cluster *c, uint64_t hash)
{
    struct peer *p = NULL;
    struct waiter *w;

    while (!p && (w = map_find(&c->elsewhere->waiters, hash, any, NULL))) {
        p = membership_numbered(&c->members, w->peer);
        forget_waiter(c, w);
    }
    return p;
}

/* ---- where is it? ---- */

static void on_due(struct timer *t);

static void forget(struct cluster *c, struct absent *a)
{
    wheel_stop(&a->timer);
    map_remove(&c->elsewhere->absent, a->hash, a);
    mem_free(a);
}

static void wait(struct absent *a, int64_t ms)
{
    wheel_start(&a->cluster->loop.wheel, &a->timer, cluster_now(a->cluster) + ms);
}

/* The entry is ours: so is the client. */
static void come_back(struct cluster *c, struct absent *a)
{
    uint64_t hash = a->hash;

    forget(c, a);
    (void)tell_home(c, hash, false);
    arrivals_on_way(c, hash);
    arrivals_on_moved(c, hash);
    forward_retry(c);
}

static void on_taken(void *cluster, uint64_t hash, uint64_t token, bool taken)
{
    struct cluster *c = cluster;
    struct absent *a = find(c, hash);

    if (!a || a->token != token)
        return;
    a->token = 0;
    if (taken)
        come_back(c, a);
    else
        wait(a, SOON_MS);
}

/* Whatever was said: between that and now it may have come to yet another node. */
static void take_entry(struct cluster *c, struct absent *a)
{
    a->token = ++c->last_name;
    directory_take(c->directory, a->hash, on_taken, c, a->token);
}

static void ask(struct cluster *c, struct absent *a, uint32_t peer)
{
    a->peer = peer;
    a->lost = !membership_numbered(&c->members, peer);
    say(c, peer, ENVELOPE_WHOSE, a->hash, 0);
    wait(a, a->lost ? 0 : ASK_MS);
}

static void on_looked(void *cluster, uint64_t hash, enum directory_answer answer, struct peer *peer)
{
    struct cluster *c = cluster;
    struct absent *a = find(c, hash);

    if (!a || !a->looking)
        return;
    a->looking = false;
    if (!a->lost)
        return; /* somebody has said meanwhile that he has it */
    switch (answer) {
    case DIRECTORY_HERE:
    case DIRECTORY_NOBODY:
        take_entry(c, a);
        break;
    case DIRECTORY_FOUND:
        a->looked = true;
        ask(c, a, peer->number);
        break;
    case DIRECTORY_UNSURE:
    case DIRECTORY_FAILED:
        wait(a, RETRY_MS);
        break;
    }
}

static void look(struct cluster *c, struct absent *a)
{
    if (a->looking || a->token)
        return;
    a->looking = true;
    wait(a, ASK_MS);
    directory_verify(c->directory, a->hash, on_looked, c, a->hash);
}

static void on_due(struct timer *t)
{
    struct absent *a = container_of(t, struct absent, timer);

    if (a->lost)
        look(a->cluster, a);
    else
        ask(a->cluster, a, a->peer);
}

/* ---- it comes, it goes ---- */

static struct absent *leave_out(struct cluster *c, uint64_t hash)
{
    struct absent *a = mem_new(struct absent);

    a->cluster = c;
    a->hash = hash;
    timer_init(&a->timer, on_due);
    map_add(&c->elsewhere->absent, hash, a);
    a->number = tell_home(c, hash, true);
    directory_give_up(c->directory, hash);
    tell_waiters(c, hash, LEFT_ELSEWHERE);
    return a;
}

void elsewhere_go(struct cluster *c, uint64_t hash, uint32_t peer)
{
    struct absent *a = find(c, hash);

    if (!a)
        a = leave_out(c, hash);
    a->looking = a->looked = false;
    a->token = 0;
    ask(c, a, peer);
}

void elsewhere_end(struct cluster *c, uint64_t hash)
{
    struct absent *a = find(c, hash);

    if (a)
        forget(c, a);
}

/* It is told when that is done: then the other one may serve. */
static void on_handed(void *cluster, uint64_t hash, uint64_t peer, bool handed)
{
    struct cluster *c = cluster;
    enum envelope_left how = elsewhere_has(c, hash) ? LEFT_ELSEWHERE : LEFT_GONE;

    say(c, (uint32_t)peer, ENVELOPE_LEFT, hash, handed ? LEFT_YOURS : how);
}

bool elsewhere_left(struct cluster *c, uint64_t hash, uint32_t heard)
{
    struct absent *a = find(c, hash);
    struct peer *heir;

    if (a && (int32_t)(heard - a->number) < 0)
        return true; /* it is said once more when that is heard */
    if (a) {
        say(c, a->peer, ENVELOPE_LEFT, hash, LEFT_GONE); /* it need not tell us any more */
        forget(c, a);
        return false; /* the entry may be ours all the same: what was said may be old */
    }
    heir = pop_waiter(c, hash);
    if (!heir)
        return false;
    directory_hand_over(c->directory, hash, heir, on_handed, c, heir->number);
    tell_waiters(c, hash, LEFT_GONE);
    return true;
}

void elsewhere_contest(void *cluster, uint64_t hash, struct peer *p)
{
    struct cluster *c = cluster;

    if (p->stream.bytes < c->set->window_bytes / 2) /* it is asked again if it does not answer */
        say(c, p->number, ENVELOPE_WHOSE, hash, WHOSE_CONTEST);
}

/* ---- what others say ---- */

void elsewhere_take_whose(struct cluster *c, struct peer *p, const struct envelope *e)
{
    if (c->ending) {
        say(c, p->number, ENVELOPE_LEFT, e->hash, LEFT_GONE);
    } else if (arrivals_is_ours(c, e->hash)) {
        let_wait(c, e->hash, p->number);
        say(c, p->number, ENVELOPE_MOVED, e->hash, 1);
    } else if (elsewhere_has(c, e->hash) && e->a != WHOSE_CONTEST) {
        say(c, p->number, ENVELOPE_LEFT, e->hash, LEFT_ELSEWHERE);
    } else {
        directory_hand_over(c->directory, e->hash, p, on_handed, c, p->number);
    }
}

static void take_left(struct cluster *c, struct absent *a, uint32_t how)
{
    a->lost = true;
    if (how == LEFT_YOURS)
        take_entry(c, a);
    else if (how == LEFT_GONE && !a->looked)
        look(c, a);
    else
        wait(a, SOON_MS); /* what that peer or the directory thinks will change */
}

void elsewhere_take_left(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct waiter *w = map_find(&c->elsewhere->waiters, e->hash, same, &p->number);
    struct absent *a = find(c, e->hash);

    if (c->ending)
        return;
    directory_forget(c->directory, e->hash);
    if (w && e->a == LEFT_GONE)
        forget_waiter(c, w); /* it has no socket that could wait */
    if (a && a->peer == p->number && !a->lost)
        take_left(c, a, e->a);
    else if (e->a != LEFT_YOURS || a)
        return;
    else if (arrivals_is_ours(c, e->hash))
        arrivals_on_moved(c, e->hash); /* others may remember that it was there */
    else
        directory_remove(c->directory, e->hash); /* it has left here, too */
}

void elsewhere_on_gone(struct cluster *c, const struct peer *p)
{
    struct absent *a;
    size_t cursor = 0;

    while ((a = map_each(&c->elsewhere->absent, &cursor))) {
        if (a->peer != p->number || a->lost)
            continue;
        a->lost = true;
        wait(a, 0);
    }
}

/* ---- its life ---- */

void elsewhere_open(struct cluster *c)
{
    c->elsewhere = mem_new(struct elsewhere);
    map_init(&c->elsewhere->absent);
    map_init(&c->elsewhere->waiters);
}

void elsewhere_close(struct cluster *c)
{
    struct absent *a;
    struct waiter *w;
    size_t cursor = 0;

    while ((a = map_each(&c->elsewhere->absent, &cursor))) {
        wheel_stop(&a->timer);
        mem_free(a);
    }
    cursor = 0;
    while ((w = map_each(&c->elsewhere->waiters, &cursor)))
        mem_free(w);
    map_fini(&c->elsewhere->absent);
    map_fini(&c->elsewhere->waiters);
    mem_free(c->elsewhere);
    c->elsewhere = NULL;
}
