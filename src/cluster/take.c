#include "cluster/take.h"

#include "base/mem.h"
#include "base/meter.h"
#include "cluster/arrivals.h"
#include "cluster/courier.h"
#include "cluster/elsewhere.h"
#include "cluster/everybody.h"
#include "cluster/find.h"
#include "cluster/forward.h"
#include "cluster/node.h"
#include "flow/frame.h"
#include "hub/notification.h"
#include "net/ws_conn.h"

struct notification *take_notification(struct cluster *c, const struct envelope *e)
{
    enum frame_class class = e->kind == ENVELOPE_ACKED ? FRAME_ACKED : FRAME_PLAIN;
    struct frame *f = ws_frame(class, WS_TEXT, e->text, (struct bytes){0});
    struct notification *n = notification_new(&e->filter, f);

    frame_unref(f);
    n->order_key = e->order_key;
    n->hops = e->hops;
    n->filter_hash = filter_hash(&c->hub->key, &e->filter);
    return n;
}

static void post(struct cluster *c, uint32_t shard, enum note_kind kind, struct notification *n)
{
    struct note *note = cluster_note(kind, c);

    note->notification = notification_ref(n);
    cluster_post(c, shard, note, n->frame->len);
}

static uint64_t hash_of(const struct cluster *c, const struct envelope *e)
{
    return identity_hash(&c->hub->key, &e->filter.like);
}

static bool is_here(const struct cluster *c, uint64_t hash)
{
    return !c->ending && arrivals_is_here(c, hash);
}

/* For one client: to its home, or on to where it is now. */
static void take_direct(struct cluster *c, const struct envelope *e, struct notification *n,
                        enum note_kind note, enum forward_kind kind)
{
    uint64_t hash = hash_of(c, e);

    if (is_here(c, hash))
        post(c, hub_home(c->hub, hash)->number, note, n);
    else if (e->hops != HOPS_IF_HERE)
        forward(c, n, kind, 0);
}

/* When it was accepted, by our clock. */
static int64_t accepted_ms(const struct peer *p, const struct envelope *e)
{
    int64_t waited = (int64_t)((uint64_t)p->batch_ms - e->stamp_ms);

    if (!e->stamp_ms || waited < 0 || waited > LATE_MOST_MS)
        return 0;
    return (int64_t)(e->stamp_ms + (uint64_t)p->clock_ms);
}

/* Its sender waits for the confirmation. */
static void confirm_soon(struct peer *p, const struct envelope *e)
{
    if (e->name)
        p->stream.owes_since_ms = 0;
}

static void take_send(struct cluster *c, struct peer *p, const struct envelope *e)
{
    bool direct = filter_is_direct(&e->filter);
    struct notification *n;
    uint32_t i;

    confirm_soon(p, e);
    if (!direct &&
        (c->ending || !value_counts_may_match(c->hub->bus.values, &c->hub->key, &e->filter)))
        return;
    n = take_notification(c, e);
    n->accepted_ms = accepted_ms(p, e);
    if (direct)
        take_direct(c, e, n, NOTE_DELIVER, FORWARD_SEND);
    for (i = 0; !direct && i < c->hub->count; i++)
        post(c, i, NOTE_DELIVER, n);
    notification_unref(n);
}

bool take_asker(const struct cluster *c, const struct envelope *e, uint32_t *peer)
{
    const struct peer *p;

    if (!e->origin.len)
        return true;
    if (e->hash == c->hub->bus.life && bytes_equal(e->origin, bytes_text(c->id))) {
        *peer = 0;
        return true;
    }
    p = membership_find(&c->members, e->origin, e->hash);
    *peer = p ? p->number : 0;
    return p != NULL;
}

static void take_acked(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct notification *n;
    uint32_t peer = p->number;

    if (!filter_is_direct(&e->filter) || e->id.len >= sizeof(n->message_id) || e->wait_ms <= 0 ||
        !take_asker(c, e, &peer) || (peer == 0 && e->shard >= c->hub->count))
        return;
    n = take_notification(c, e);
    n->ask = e->name;
    n->asker = e->shard;
    n->peer = peer;
    n->wait_ms = e->wait_ms;
    memcpy(n->message_id, e->id.at, e->id.len);
    take_direct(c, e, n, NOTE_ACKED, FORWARD_ACKED);
    notification_unref(n);
}

/* Every node was asked for this client: who asked counts them. */
static void answer_if_asked(struct cluster *c, struct peer *p, const struct envelope *e)
{
    if ((e->kind == ENVELOPE_SEND || e->kind == ENVELOPE_ACKED) && e->hops == HOPS_IF_HERE && e->a)
        everybody_answer(c, p, e, is_here(c, hash_of(c, e)));
}

static void take_outcome(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct note *n;

    (void)p;
    if (e->shard >= c->hub->count || e->a > OUTCOME_UNREACHABLE)
        return;
    n = cluster_note(NOTE_OUTCOME, c);
    n->name = e->name;
    n->a = e->a;
    cluster_post(c, e->shard, n, sizeof(*n));
}

static void take_acknowledge(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct notification *n;

    (void)p;
    if (c->ending || e->id.len >= sizeof(n->message_id))
        return;
    n = take_notification(c, &(struct envelope){.kind = e->kind});
    n->filter_hash = e->hash;
    memcpy(n->message_id, e->id.at, e->id.len);
    post(c, hub_home(c->hub, e->hash)->number, NOTE_ACKNOWLEDGE, n);
    notification_unref(n);
}

static void take_find(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct notification *n = take_notification(c, e);

    confirm_soon(p, e);
    forward(c, n, FORWARD_FIND, e->a < FIND_ATTEMPTS ? e->a : FIND_ATTEMPTS);
    notification_unref(n);
}

static void take_resume(struct cluster *c, struct peer *p, const struct envelope *e)
{
    uint64_t read = membership_has_read(&c->members, e->name, e->a, e->hash);

    p->skip = read < e->b ? read : e->b;
}

static void take_moved(struct cluster *c, struct peer *p, const struct envelope *e)
{
    directory_forget(c->directory, e->hash);
    p->stream.owes_since_ms = 0; /* somebody waits for the confirmation */
    arrivals_take_moved(c, p, e);
}

static void take_bye(struct cluster *c, struct peer *p, const struct envelope *e)
{
    (void)e;
    courier_confirm(c, p);
    membership_bye(&c->members, p);
}

static void (*const act_on[ENVELOPE_KINDS])(struct cluster *c, struct peer *p,
                                            const struct envelope *e) = {
    [ENVELOPE_SEND] = take_send,
    [ENVELOPE_FIND] = take_find,
    [ENVELOPE_COUNT] = find_take_count,
    [ENVELOPE_COUNTED] = find_take_counted,
    [ENVELOPE_PICK] = find_take_pick,
    [ENVELOPE_ACKED] = take_acked,
    [ENVELOPE_OUTCOME] = take_outcome,
    [ENVELOPE_MOVED] = take_moved,
    [ENVELOPE_BYE] = take_bye,
    [ENVELOPE_RESUME] = take_resume,
    [ENVELOPE_WHOSE] = elsewhere_take_whose,
    [ENVELOPE_LEFT] = elsewhere_take_left,
    [ENVELOPE_HAD] = everybody_take_had,
    [ENVELOPE_ACKNOWLEDGE] = take_acknowledge,
};

void take(struct cluster *c, struct peer *p, struct bytes item)
{
    /* Whoever sent it has checked it against limits of its own, which may be wider than ours. */
    static const struct envelope_limits limits = {UINT16_MAX, EXCLUDES_MAX};
    struct envelope e;

    arena_reset(&c->arena);
    if (envelope_read(item, &limits, &c->arena, &e))
        return;
    answer_if_asked(c, p, &e);
    act_on[e.kind](c, p, &e);
}

/* ---- what ended shards left ---- */

static void pass_on(struct cluster *c, struct note *n)
{
    if (n->kind == NOTE_DELIVER && filter_is_direct(&n->notification->filter))
        forward(c, n->notification, FORWARD_SEND, 0);
    else if (n->kind == NOTE_ACKED)
        forward(c, n->notification, FORWARD_ACKED, 0);
    else if (n->kind == NOTE_FIND || n->kind == NOTE_PICK)
        forward(c, n->notification, FORWARD_FIND, n->kind == NOTE_PICK ? n->b : n->a);
}

void take_over(struct cluster *c)
{
    uint32_t i;

    for (i = 0; i < c->hub->count; i++) {
        struct inbox_link *link = inbox_take(&c->hub->shards[i]->inbox);

        while (link) {
            struct note *n = container_of(link, struct note, link);

            link = link->next;
            pass_on(c, n);
            note_free(c->hub, n);
        }
    }
}
