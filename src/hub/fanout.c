#include "hub/fanout.h"

#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "flow/thread.h"
#include "hub/notification.h"
#include "hub/presence.h"
#include "hub/session.h"
#include "hub/shard.h"

enum {
    TURNS_MAX = 65536,    /* findAny filters whose turn a shard remembers */
    CLOCKS_APART_MS = 20, /* of two nodes, at most; nobody connects elsewhere so soon */
    MANY = 64,            /* so many copies are written in slices, behind messages to fewer */
};

/* A findAny under way: this shard is the filter's home and waits for every shard's count. */
struct search {
    uint64_t name;
    struct notification *notification;
    uint32_t missing, attempts;
    enum find_mode mode;
    uint64_t rank; /* of FIND_RANK */
    struct counts {
        uint32_t ready, all;
    } of[]; /* of each shard, and of all other nodes */
};

/* Whose turn it is for one filter. */
struct turn {
    struct list link;
    uint64_t hash, next;
};

/* ---- to all ---- */

static struct vec *select_into_scratch(struct shard *s, const struct filter *f)
{
    s->matches.len = 0;
    index_select(&s->index, f, &s->matches);
    return &s->matches;
}

static void prefetch(const struct vec *to, uint32_t i)
{
    uint32_t ahead;

    for (ahead = CLIENT_AHEAD; ahead > 0; ahead -= CLIENT_AHEAD / 3)
        if (i + ahead < to->len)
            client_prefetch(to->at[i + ahead], (int)ahead);
}

/* until_ms: for who was here by then. */
static void deliver_here(struct shard *s, const struct filter *f, struct frame *frame,
                         uint64_t order_key, int64_t until_ms)
{
    struct vec *to = select_into_scratch(s, f);
    uint32_t i;

    s->net.to_many = to->len > MANY;
    for (i = 0; i < to->len; i++) {
        struct client *c = to->at[i];

        prefetch(to, i);
        if (client_is_here(c) && c->since_ms <= until_ms)
            (void)!client_push(c, frame, order_key);
    }
    s->net.to_many = false;
}

static void post_notification(struct shard *s, uint32_t to, enum note_kind kind,
                              struct notification *n)
{
    struct note *note = note_new(s, kind);

    note->notification = notification_ref(n);
    note->a = FIND_ATTEMPTS;
    shard_post(s, to, note, n->frame->len);
}

/* False: no such client is here. */
static bool deliver_to(struct shard *s, const struct identity *who, uint64_t hash,
                       struct frame *frame, uint64_t order_key)
{
    struct client *c = index_find(&s->index, who, hash);

    if (!c || !client_is_here(c))
        return false;
    (void)!client_push(c, frame, order_key);
    return true;
}

static struct notification *direct(const struct identity *who, struct frame *frame,
                                   uint64_t order_key)
{
    struct notification *n = notification_new(&(struct filter){.like = *who}, frame);

    n->order_key = order_key;
    return n;
}

/* Whoever waits for it is told when the other nodes have it. */
static void pass_on(struct shard *s, struct notification *n, enum forward_kind kind,
                    uint32_t attempts, struct order *o)
{
    n->ask = o->ask;
    n->asker = s->number;
    o->waits = o->ask != 0;
    bus_forward(s, n, kind, attempts);
}

/* In a cluster a client that is not here is looked for elsewhere. */
static enum err send_away(struct shard *s, const struct identity *who, struct frame *frame,
                          struct order *o, bool admitted)
{
    struct notification *n;

    if (!admitted && bus_is_closed(&s->hub->bus))
        return ERR_BUSY;
    n = direct(who, frame, o->key);
    pass_on(s, n, FORWARD_SEND, 0, o);
    notification_unref(n);
    return ERR_OK;
}

static enum err send_direct(struct shard *s, const struct filter *f, struct frame *frame,
                            struct order *o, bool admitted)
{
    uint64_t hash = identity_hash(&s->hub->key, &f->like);
    struct shard *home = hub_home(s->hub, hash);
    struct notification *n;

    if (f->excluded && !filter_matches(f, &f->like)) {
        meter_add(METER_DROPPED_NO_MATCH, 1);
        return ERR_OK;
    }
    if (home == s && deliver_to(s, &f->like, hash, frame, o->key))
        return ERR_OK;
    if (bus_is_on(&s->hub->bus)) {
        if (home == s || !presence_has(&home->presence, hash))
            return send_away(s, &f->like, frame, o, admitted);
    } else if (home == s) {
        meter_add(METER_DROPPED_NO_MATCH, 1);
        return ERR_OK;
    }
    n = direct(&f->like, frame, o->key);
    post_notification(s, home->number, NOTE_DELIVER, n);
    notification_unref(n);
    return ERR_OK;
}

static enum err send_to_all(struct shard *s, const struct filter *f, struct frame *frame,
                            struct order *o)
{
    bool others = bus_has_peers(&s->hub->bus);

    if (others && bus_is_closed(&s->hub->bus))
        return ERR_BUSY;
    if (s->hub->count > 1 || others) {
        struct notification *n = notification_new(f, frame);
        uint32_t i;

        n->order_key = o->key;
        if (others)
            pass_on(s, n, FORWARD_SEND, 0, o);
        for (i = 0; i < s->hub->count; i++)
            if (i != s->number)
                post_notification(s, i, NOTE_DELIVER, n);
        notification_unref(n);
    }
    deliver_here(s, f, frame, o->key, INT64_MAX);
    return ERR_OK;
}

/* It was sent here for a client that is not here: in a cluster it may have moved. */
static void astray(struct shard *s, struct notification *n)
{
    if (bus_is_on(&s->hub->bus))
        bus_forward(s, n, FORWARD_SEND, 0);
    else
        meter_add(METER_DROPPED_NO_MATCH, 1);
}

/* Who has come from a node where it got the message must not get another node's copy, which may be
   late: it is for those who were connected when it was accepted. */
static int64_t here_until(const struct notification *n)
{
    return n->accepted_ms ? n->accepted_ms + CLOCKS_APART_MS : INT64_MAX;
}

void fanout_on_deliver(struct shard *s, struct note *n)
{
    struct notification *what = n->notification;
    const struct identity *who = &what->filter.like;

    if (!filter_is_direct(&what->filter))
        deliver_here(s, &what->filter, what->frame, what->order_key, here_until(what));
    else if (!deliver_to(s, who, identity_hash(&s->hub->key, who), what->frame, what->order_key))
        astray(s, what);
}

/* ---- to one of them, in turn ---- */

static bool same_turn(const void *item, const void *key)
{
    (void)item;
    (void)key;
    return true; /* the hash is keyed: equal hashes are taken for equal filters */
}

static uint64_t take_turn(struct shard *s, uint64_t hash)
{
    struct turn *t = map_find(&s->turns, hash, same_turn, NULL);

    if (t) {
        list_remove(&t->link);
    } else {
        if (s->turns.len >= TURNS_MAX) {
            struct turn *old = container_of(list_first(&s->turns_oldest), struct turn, link);

            map_remove(&s->turns, old->hash, old);
            list_remove(&old->link);
            mem_free(old);
        }
        t = mem_new(struct turn);
        t->hash = hash;
        map_add(&s->turns, hash, t);
    }
    list_push_back(&s->turns_oldest, &t->link);
    return t->next++;
}

static struct counts count_here(struct shard *s, const struct filter *f)
{
    struct vec *to = select_into_scratch(s, f);
    struct counts counts = {0, 0};
    uint32_t i;

    for (i = 0; i < to->len; i++) {
        const struct client *c = to->at[i];

        counts.all += client_is_here(c);
        counts.ready += client_is_here(c) && client_keeps_up(c);
    }
    return counts;
}

/* The rank-th match here, counted round; null when there is none any more. */
static struct client *pick_here(struct shard *s, const struct filter *f, uint32_t rank,
                                bool ready_only)
{
    struct vec *to = select_into_scratch(s, f);
    uint32_t i, kept = 0;

    for (i = 0; i < to->len; i++) {
        struct client *c = to->at[i];

        if (client_is_here(c) && (!ready_only || client_keeps_up(c)))
            to->at[kept++] = c;
    }
    return kept ? to->at[rank % kept] : NULL;
}

static void post_pick(struct shard *s, struct search *search, uint32_t to, uint32_t rank,
                      bool ready_only)
{
    struct note *n = note_new(s, NOTE_PICK);

    n->notification = notification_ref(search->notification);
    n->a = rank;
    n->b = search->attempts;
    n->ready_only = ready_only;
    if (to == s->number) {
        fanout_on_pick(s, n);
        notification_unref(n->notification);
        mem_free(n);
    } else {
        shard_post(s, to, n, n->notification->frame->len);
    }
}

/* Whoever it was meant for has left: another one is looked for. */
static void find_again(struct shard *s, struct notification *n, uint32_t attempts)
{
    struct note *again;

    if (attempts == 0) {
        meter_add(METER_DROPPED_NO_MATCH, 1);
    } else if (bus_is_on(&s->hub->bus)) {
        bus_forward(s, n, FORWARD_FIND, attempts - 1);
    } else {
        again = note_new(s, NOTE_FIND);
        again->notification = notification_ref(n);
        again->a = attempts - 1;
        shard_post(s, hub_home(s->hub, n->filter_hash)->number, again, n->frame->len);
    }
}

/* Nobody, anywhere. What is known of other nodes is a moment old, so it is looked once more. */
static void find_nobody(struct shard *s, struct search *search)
{
    bool is_sure = !bus_is_on(&s->hub->bus) || search->attempts < FIND_ATTEMPTS;

    if (search->mode == FIND_RANK || !is_sure)
        find_again(s, search->notification, search->attempts);
    else
        meter_add(METER_DROPPED_NO_MATCH, 1);
}

/* All shards have counted: the turn chooses among those that keep up, or among all if none does. */
static void choose(struct shard *s, struct search *search)
{
    uint64_t ready = 0, all = 0, rank;
    uint32_t i;

    for (i = 0; i <= s->hub->count; i++) {
        ready += search->of[i].ready;
        all += search->of[i].all;
    }
    if (!all) {
        find_nobody(s, search);
        return;
    }
    rank =
        search->mode == FIND_RANK ? search->rank : take_turn(s, search->notification->filter_hash);
    rank %= ready ? ready : all;
    for (i = 0; i <= s->hub->count; i++) {
        uint32_t here = ready ? search->of[i].ready : search->of[i].all;

        if (rank < here) {
            post_pick(s, search, i, (uint32_t)rank, ready > 0);
            return;
        }
        rank -= here;
    }
}

static bool same_search(const void *item, const void *key)
{
    const struct search *search = item;
    const uint64_t *name = key;

    return search->name == *name;
}

static void counted(struct shard *s, struct search *search, uint32_t from, struct counts counts)
{
    search->of[from] = counts;
    if (--search->missing)
        return;
    choose(s, search);
    map_remove(&s->searches, hash_mix(search->name, 0), search);
    notification_unref(search->notification);
    mem_free(search);
}

/* what: as in NOTE_FIND, the rank or the counts of the other nodes. */
static void find_one(struct shard *s, struct notification *n, uint32_t attempts,
                     enum find_mode mode, uint64_t what)
{
    uint32_t i, count = s->hub->count;
    struct search *search = mem_zero(sizeof(*search) + (count + 1) * sizeof(search->of[0]));

    search->mode = mode;
    if (mode == FIND_RANK)
        search->rank = what;
    else
        search->of[count] = (struct counts){(uint32_t)(what >> 32), (uint32_t)what};

    search->name = ++s->last_name;
    search->notification = notification_ref(n);
    search->missing = count;
    search->attempts = attempts;
    map_add(&s->searches, hash_mix(search->name, 0), search);
    for (i = 0; i < count; i++) {
        struct note *note;

        if (i == s->number)
            continue;
        note = note_new(s, NOTE_COUNT);
        note->notification = notification_ref(n);
        note->name = search->name;
        shard_post(s, i, note, sizeof(*note));
    }
    counted(s, search, s->number, count_here(s, &n->filter));
}

static enum err send_to_one(struct shard *s, const struct filter *f, struct frame *frame,
                            struct order *o)
{
    bool others = bus_has_peers(&s->hub->bus);
    struct notification *n;
    struct shard *home;

    if (others && bus_is_closed(&s->hub->bus))
        return ERR_BUSY;
    n = notification_new(f, frame);
    n->order_key = o->key;
    n->filter_hash = filter_hash(&s->hub->key, f);
    home = hub_home(s->hub, n->filter_hash);
    if (others) /* one of the nodes has this filter's turn */
        pass_on(s, n, FORWARD_FIND, FIND_ATTEMPTS, o);
    else if (home == s)
        find_one(s, n, FIND_ATTEMPTS, FIND_TURN, 0);
    else
        post_notification(s, home->number, NOTE_FIND, n);
    notification_unref(n);
    return ERR_OK;
}

void fanout_on_find(struct shard *s, struct note *n)
{
    find_one(s, n->notification, n->a, (enum find_mode)n->b, n->name);
}

void fanout_on_count(struct shard *s, struct note *n)
{
    struct counts counts = count_here(s, &n->notification->filter);
    struct note *answer = note_new(s, NOTE_COUNTED);

    answer->name = n->name;
    answer->a = counts.ready;
    answer->b = counts.all;
    shard_post(s, n->from, answer, sizeof(*answer));
}

void fanout_on_counted(struct shard *s, struct note *n)
{
    struct search *search = map_find(&s->searches, hash_mix(n->name, 0), same_search, &n->name);

    if (search)
        counted(s, search, n->from, (struct counts){n->a, n->b});
}

void fanout_on_pick(struct shard *s, struct note *n)
{
    struct notification *what = n->notification;
    struct client *c = pick_here(s, &what->filter, n->a, n->ready_only);

    if (!c || client_push(c, what->frame, what->order_key))
        find_again(s, what, n->b);
}

/* ---- the door ---- */

int64_t fanout_order_ms(const struct hub *h)
{
    return bus_has_peers(&h->bus) ? h->settings->cluster.order_ms : 0;
}

enum err fanout_send(struct shard *s, const struct filter *f, struct frame *frame, struct order *o)
{
    enum err e;

    DCHECK(thread_at_home(s));
    if (filter_is_direct(f))
        e = send_direct(s, f, frame, o, false);
    else if (f->find_any)
        e = send_to_one(s, f, frame, o);
    else
        e = send_to_all(s, f, frame, o);
    if (e)
        meter_add(METER_REFUSED_CLUSTER, 1);
    return e;
}

bool fanout_is_here(struct shard *s, const struct filter *f)
{
    uint64_t hash = identity_hash(&s->hub->key, &f->like);

    return presence_has(&hub_home(s->hub, hash)->presence, hash);
}

void fanout_send_admitted(struct shard *s, const struct filter *f, struct frame *frame)
{
    DCHECK(thread_at_home(s) && filter_is_direct(f));
    (void)!send_direct(s, f, frame, &(struct order){0}, true); /* never refused */
}

void fanout_forget_all(struct shard *s)
{
    size_t cursor = 0;
    struct search *search;
    struct list *link;

    while ((search = map_each(&s->searches, &cursor))) {
        notification_unref(search->notification);
        mem_free(search);
    }
    map_fini(&s->searches);
    while ((link = list_first(&s->turns_oldest))) {
        list_remove(link);
        mem_free(container_of(link, struct turn, link));
    }
    map_fini(&s->turns);
}
