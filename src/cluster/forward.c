#include "cluster/forward.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/meter.h"
#include "cluster/arrivals.h"
#include "cluster/courier.h"
#include "cluster/everybody.h"
#include "cluster/find.h"
#include "cluster/node.h"
#include "cluster/take.h"
#include "flow/frame.h"
#include "hub/notification.h"
#include "net/ws_conn.h"

enum { HOLD_MS = 500 }; /* for a client that is about to be here */

/* ---- the queue ---- */

static struct waiting *at(struct queue *q, uint64_t number)
{
    return &q->ring[number & (q->size - 1)];
}

static void grow(struct queue *q)
{
    uint32_t size = q->size ? q->size * 2 : 64, i;
    struct waiting *ring = mem_alloc(size * sizeof(*ring));

    for (i = 0; i < q->count; i++)
        ring[(q->first + i) & (size - 1)] = *at(q, q->first + i);
    mem_free(q->ring);
    q->ring = ring;
    q->size = size;
}

static size_t weight_of(const struct notification *n)
{
    return sizeof(struct waiting) + notification_bytes(n);
}

static uint64_t push(struct queue *q, const struct waiting *w)
{
    uint64_t number = q->first + q->count;

    if (q->count == q->size)
        grow(q);
    *at(q, number) = *w;
    q->count++;
    q->bytes += weight_of(w->notification);
    return number;
}

static struct waiting pop(struct queue *q)
{
    struct waiting w = *at(q, q->first);

    q->first++;
    q->count--;
    q->bytes -= weight_of(w.notification);
    return w;
}

static void drop_waiting(const struct waiting *w)
{
    receipt_unref(w->receipt);
    notification_unref(w->notification);
}

/* ---- to a peer ---- */

void forward_piece(struct cluster *c, struct peer *p, struct piece *piece)
{
    uint32_t count = p ? 1 : c->members.peers.len, i;

    for (i = 0; i < count; i++) {
        struct peer *to = p ? p : c->members.peers.at[i];

        stream_push(&to->stream, piece);
    }
    piece_unref(piece);
    meter_add(METER_CLUSTER_SENT, count);
}

void forward_to(struct cluster *c, struct peer *p, const struct envelope *e)
{
    forward_piece(c, p, piece_new(e, NULL));
}

void forward_to_all(struct cluster *c, const struct envelope *e)
{
    if (c->members.peers.len)
        forward_piece(c, NULL, piece_new(e, NULL));
}

/* ---- who waits until they have it ---- */

/* Whoever sent a message with preserveOrder: its shard and ask. */
struct order_receipt {
    struct receipt receipt;
    struct cluster *cluster;
    uint32_t asker;
    uint64_t ask;
};

static void on_all_have_it(struct receipt *r)
{
    struct order_receipt *o = container_of(r, struct order_receipt, receipt);
    struct note *n = cluster_note(NOTE_OUTCOME, o->cluster);

    n->name = o->ask;
    n->a = OUTCOME_TAKEN;
    cluster_post(o->cluster, o->asker, n, sizeof(*n));
    mem_free(o);
}

/* One count, the caller's; null: nobody waits. Acknowledged ones have an answer of their own. */
static struct receipt *receipt_for(struct cluster *c, const struct notification *n,
                                   enum forward_kind kind)
{
    struct order_receipt *o;

    if (!n->ask || kind == FORWARD_ACKED)
        return NULL;
    o = mem_new(struct order_receipt);
    *o = (struct order_receipt){{1, on_all_have_it}, c, n->asker, n->ask};
    return &o->receipt;
}

/* Who asked another node, and was passed on by us, must be found by the next one. */
static void name_origin(const struct cluster *c, const struct notification *n, struct envelope *e)
{
    const struct peer *p = n->peer ? membership_numbered(&c->members, n->peer) : NULL;

    if (!p)
        return;
    e->origin = bytes_text(p->id);
    e->hash = p->life;
}

static struct envelope envelope_of(const struct cluster *c, const struct waiting *w)
{
    const struct notification *n = w->notification;
    struct envelope e = {
        .filter = n->filter, .text = ws_frame_text(n->frame), .order_key = n->order_key};

    switch (w->kind) {
    case FORWARD_SEND:
        e.kind = ENVELOPE_SEND;
        e.name = n->ask;
        if (!filter_is_direct(&n->filter))
            e.stamp_ms = (uint64_t)w->since_ms;
        break;
    case FORWARD_FIND:
        e.kind = ENVELOPE_FIND;
        e.a = w->attempts;
        break;
    case FORWARD_ACKED:
        e.kind = ENVELOPE_ACKED;
        e.id = bytes_text(n->message_id);
        e.name = n->ask;
        e.shard = n->asker;
        e.wait_ms = n->wait_ms;
        name_origin(c, n, &e);
        break;
    case FORWARD_ACKNOWLEDGE:
        return (struct envelope){
            .kind = ENVELOPE_ACKNOWLEDGE, .id = bytes_text(n->message_id), .hash = n->filter_hash};
    }
    e.hops = (uint8_t)(n->hops + 1);
    return e;
}

/* ---- what becomes of the first in line ---- */

static void refuse(struct cluster *c, const struct notification *n)
{
    struct peer *p = n->peer ? membership_numbered(&c->members, n->peer) : NULL;
    struct note *note;

    meter_add(METER_REFUSED_CLUSTER, 1);
    if (n->peer == 0) {
        note = cluster_note(NOTE_OUTCOME, c);
        note->name = n->ask;
        note->a = OUTCOME_UNREACHABLE;
        cluster_post(c, n->asker, note, sizeof(*note));
    } else if (p) {
        forward_to(c, p,
                   &(struct envelope){.kind = ENVELOPE_OUTCOME,
                                      .name = n->ask,
                                      .shard = n->asker,
                                      .a = OUTCOME_UNREACHABLE});
    }
}

/* p null: to all. */
static void to_peer(struct cluster *c, const struct waiting *w, struct peer *p)
{
    struct envelope e = envelope_of(c, w);

    forward_piece(c, p, piece_new(&e, w->receipt));
}

static void ask_everybody(struct cluster *c, const struct waiting *w)
{
    struct envelope e = envelope_of(c, w);

    everybody_ask(c, w->notification, w->kind, &e, w->receipt);
}

static void deliver_here(struct cluster *c, const struct waiting *w)
{
    struct notification *n = w->notification;
    struct note *note = cluster_note(w->kind == FORWARD_ACKED ? NOTE_ACKED : NOTE_DELIVER, c);
    uint64_t hash = identity_hash(&c->hub->key, &n->filter.like);

    n->hops++; /* nobody else has it now */
    note->notification = notification_ref(n);
    cluster_post(c, hub_home(c->hub, hash)->number, note, n->frame->len);
}

static bool is_here(const struct cluster *c, const struct notification *n)
{
    uint64_t hash = identity_hash(&c->hub->key, &n->filter.like);

    return !c->ending && arrivals_is_here(c, hash);
}

static void drop(const struct waiting *w)
{
    meter_add(w->notification->hops >= HOPS_MAX ? METER_DROPPED_ASTRAY : METER_DROPPED_NO_MATCH, 1);
}

static void release_direct(struct cluster *c, const struct waiting *w)
{
    struct notification *n = w->notification;
    struct peer *p = w->peer ? membership_numbered(&c->members, w->peer) : NULL;

    if (n->hops >= HOPS_MAX || (n->peer && !membership_numbered(&c->members, n->peer))) {
        drop(w);
        return;
    }
    if (is_here(c, n))
        deliver_here(c, w);
    else if (w->answer == DIRECTORY_FOUND && p)
        to_peer(c, w, p);
    else if (w->answer == DIRECTORY_FAILED && w->kind == FORWARD_ACKED)
        refuse(c, n);
    else if (w->answer == DIRECTORY_NOBODY || w->answer == DIRECTORY_FAILED)
        drop(w); /* FAILED: this node ends; else it waits for Redis */
    else         /* HERE, but it is not; UNSURE; or the peer has gone since */
        ask_everybody(c, w);
}

static void release(struct cluster *c, const struct waiting *w)
{
    if (w->kind == FORWARD_FIND) {
        find_start(c, w->notification, w->attempts, w->receipt);
    } else if (filter_is_direct(&w->notification->filter)) {
        release_direct(c, w);
    } else {
        to_peer(c, w, NULL);
    }
}

/* While nobody lists us we know of nobody. */
void forward_release(struct cluster *c)
{
    struct queue *q = &c->queue;

    while (c->members.listed && q->count && at(q, q->first)->state == WAITING_READY) {
        struct waiting w = pop(q);

        release(c, &w);
        drop_waiting(&w);
    }
}

/* ---- asking the directory ---- */

static void on_found(void *cluster, uint64_t number, enum directory_answer answer,
                     struct peer *peer);

/* It is ours, says the directory, and it is not here. If it has a socket here it will be soon, or
   the entry will be another node's; else it comes or goes at this moment. */
static bool look_again(struct cluster *c, struct waiting *w, uint64_t number)
{
    uint64_t hash = identity_hash(&c->hub->key, &w->notification->filter.like);

    if (arrivals_may_come(c, hash) && cluster_now(c) - w->since_ms < HOLD_MS) {
        w->state = WAITING_RETRY;
        return true;
    }
    if (w->tries++ >= TRIES_MAX)
        return false;
    directory_verify(c->directory, hash, on_found, c, number);
    return true;
}

static void on_found(void *cluster, uint64_t number, enum directory_answer answer,
                     struct peer *peer)
{
    struct cluster *c = cluster;
    struct waiting *w;

    if (number - c->queue.first >= c->queue.count)
        return;
    w = at(&c->queue, number);
    if (answer == DIRECTORY_FAILED && w->kind != FORWARD_ACKED && !c->ending) {
        w->state = WAITING_RETRY;
        return;
    }
    if (answer == DIRECTORY_HERE && !is_here(c, w->notification) && !c->ending &&
        look_again(c, w, number))
        return;
    w->state = WAITING_READY;
    w->answer = answer;
    w->peer = peer ? peer->number : 0;
    forward_release(c);
}

static void ask(struct cluster *c, uint64_t number)
{
    struct waiting *w = at(&c->queue, number);
    uint64_t hash = identity_hash(&c->hub->key, &w->notification->filter.like);
    struct peer *p = NULL;

    /* What went astray was sent by what somebody remembered. */
    if (w->notification->hops == 0 && directory_cached(c->directory, hash, &p)) {
        w->state = WAITING_READY;
        w->answer = DIRECTORY_FOUND;
        w->peer = p->number;
        meter_add(METER_CLUSTER_CACHED, 1);
        return;
    }
    w->state = WAITING_ASKED;
    meter_add(METER_CLUSTER_LOOKUPS, 1);
    if (w->notification->hops == 0)
        directory_look_up(c->directory, hash, on_found, c, number);
    else
        directory_verify(c->directory, hash, on_found, c, number);
}

void forward_again(struct cluster *c, struct notification *n, enum forward_kind kind,
                   uint32_t attempts, struct receipt *waits)
{
    struct waiting w = {.notification = notification_ref(n),
                        .receipt = receipt_ref(waits),
                        .kind = kind,
                        .attempts = attempts,
                        .since_ms = cluster_now(c),
                        .state = WAITING_READY};
    bool asks = kind != FORWARD_FIND && filter_is_direct(&n->filter) && n->hops < HOPS_MAX &&
                !is_here(c, n);
    uint64_t number = push(&c->queue, &w);

    if (asks)
        ask(c, number);
    else
        at(&c->queue, number)->answer = DIRECTORY_HERE;
    forward_release(c);
}

void forward(struct cluster *c, struct notification *n, enum forward_kind kind, uint32_t attempts)
{
    struct receipt *waits = receipt_for(c, n, kind);

    forward_again(c, n, kind, attempts, waits);
    receipt_unref(waits);
}

void forward_retry(struct cluster *c)
{
    uint64_t number = c->queue.first, end = number + c->queue.count;

    if (!c->queue.count || at(&c->queue, number)->state != WAITING_RETRY)
        return; /* it moves by itself */
    for (; number < end; number++)
        if (number >= c->queue.first && at(&c->queue, number)->state == WAITING_RETRY)
            ask(c, number);
    forward_release(c);
}

/* What our former life had for a peer that lives: if it is listed again it says itself how much of
   that it has read. */
struct orphan {
    struct list link;
    char id[INSTANCE_ID_MAX + 1];
    uint64_t life, our_life; /* the peer's, and the one of ours that is over */
    int64_t since_ms;
    struct stream stream;
};

static void keep_orphan(struct cluster *c, struct peer *p)
{
    struct orphan *o;

    if (!p->stream.count)
        return;
    o = mem_new(struct orphan);
    memcpy(o->id, p->id, sizeof(o->id));
    o->life = p->life;
    o->our_life = c->former_life;
    o->since_ms = cluster_now(c);
    o->stream = p->stream;
    p->stream = (struct stream){0};
    list_push_back(&c->orphans, &o->link);
}

static void free_orphan(struct orphan *o)
{
    list_remove(&o->link);
    stream_fini(&o->stream);
    mem_free(o);
}

void forward_forget_all(struct cluster *c)
{
    struct list *link;

    while ((link = list_first(&c->orphans)))
        free_orphan(container_of(link, struct orphan, link));
    while (c->queue.count) {
        struct waiting w = pop(&c->queue);

        drop_waiting(&w);
    }
    mem_free(c->queue.ring);
    c->queue = (struct queue){0};
}

/* ---- what a peer leaves behind ---- */

struct taking {
    struct cluster *cluster;
    uint32_t peer; /* 0: of a former life of ours, which waits for no answers */
    enum gone how;
};

static void again(struct cluster *c, const struct envelope *e, struct receipt *waits)
{
    struct notification *n;
    uint32_t asker = 0; /* ours, unless it was passed on */

    if (!take_asker(c, e, &asker)) {
        meter_add(METER_DROPPED_NODE_GONE, 1);
        return;
    }
    n = take_notification(c, e);
    n->hops = e->hops < HOPS_MAX ? e->hops : 0;
    if (e->kind == ENVELOPE_ACKED) {
        n->ask = e->name;
        n->asker = e->shard;
        n->peer = asker;
        n->wait_ms = e->wait_ms;
        memcpy(n->message_id, e->id.at, e->id.len);
        forward(c, n, FORWARD_ACKED, 0);
    } else if (e->kind == ENVELOPE_SEND) {
        forward_again(c, n, FORWARD_SEND, 0, waits);
    } else {
        forward_again(c, n, FORWARD_FIND, e->kind == ENVELOPE_PICK ? e->b : e->a, waits);
    }
    notification_unref(n);
}

/* Who said BYE has not read what it did not confirm, and what nobody heard nobody has read: it goes
   elsewhere. The rest may have been read, and must not come twice. */
static void take_back(void *context, struct bytes item, bool may_be_read, struct receipt *waits)
{
    const struct taking *t = context;
    struct cluster *c = t->cluster;
    static const struct envelope_limits limits = {UINT16_MAX, EXCLUDES_MAX};
    struct envelope e;
    bool is_message, is_lost = may_be_read && t->how != GONE_BYE;

    arena_reset(&c->arena);
    if (envelope_read(item, &limits, &c->arena, &e)) /* our own: cannot be */
        return;
    is_message = e.kind == ENVELOPE_SEND || e.kind == ENVELOPE_FIND || e.kind == ENVELOPE_PICK ||
                 e.kind == ENVELOPE_ACKED;
    if (!is_message)
        return;
    if (e.hops == HOPS_IF_HERE)
        everybody_take_back(c, t->peer, &e, is_lost);
    else if (is_lost)
        meter_add(METER_DROPPED_NODE_GONE, 1);
    else if (e.kind == ENVELOPE_FIND || e.kind == ENVELOPE_PICK || filter_is_direct(&e.filter))
        again(c, &e, waits);
}

void forward_take_back(struct cluster *c, struct peer *p, enum gone how)
{
    struct taking t = {c, p->number, how};

    courier_doubt(c, p);
    if (how == GONE_TO_US)
        keep_orphan(c, p);
    else
        stream_forget(&p->stream, take_back, &t);
    everybody_on_gone(c, p);
}

/* ---- what our own former life leaves behind ---- */

void forward_adopt(struct cluster *c, struct peer *p)
{
    struct list *link = list_first(&c->orphans), *next;

    for (; link && link != &c->orphans; link = next) {
        struct orphan *o = container_of(link, struct orphan, link);

        next = link->next;
        if (o->life != p->life || strcmp(o->id, p->id) != 0)
            continue;
        forward_to(c, p,
                   &(struct envelope){.kind = ENVELOPE_RESUME,
                                      .name = o->our_life,
                                      .hash = o->stream.first,
                                      .a = o->stream.epoch,
                                      .b = o->stream.count});
        stream_move(&p->stream, &o->stream);
        free_orphan(o);
    }
}

void forward_settle(struct cluster *c)
{
    struct taking t = {c, 0, GONE_DIED};
    struct list *link;

    if (!c->members.listed)
        return;
    while ((link = list_first(&c->orphans))) {
        struct orphan *o = container_of(link, struct orphan, link);

        if (cluster_now(c) - o->since_ms < c->set->lease_ms)
            break;
        stream_forget(&o->stream, take_back, &t);
        free_orphan(o);
    }
    forward_release(c);
}
