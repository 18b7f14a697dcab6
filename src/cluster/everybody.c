#include "cluster/everybody.h"

#include "base/mem.h"
#include "base/meter.h"
#include "cluster/forward.h"
#include "cluster/node.h"
#include "hub/notification.h"

struct round {
    struct list link; /* the oldest first */
    uint32_t number;
    enum forward_kind kind;
    struct notification *notification; /* a count */
    struct receipt *receipt;           /* a count; null: nobody waits */
    bool is_unread, is_lost;           /* some node has gone that never read it; that may have */
    uint32_t missing, count;
    uint32_t waits_for[]; /* peers; 0: has said that it had not the client, or has gone */
};

static bool same_round(const void *item, const void *key)
{
    const struct round *r = item;
    const uint32_t *number = key;

    return r->number == *number;
}

static struct round *find(const struct cluster *c, uint32_t number)
{
    return map_find(&c->rounds, hash_mix(number, 0), same_round, &number);
}

static void forget(struct cluster *c, struct round *r)
{
    map_remove(&c->rounds, hash_mix(r->number, 0), r);
    list_remove(&r->link);
    c->rounds_bytes -= notification_bytes(r->notification);
    notification_unref(r->notification);
    receipt_unref(r->receipt);
    mem_free(r);
}

/* Nobody had the client. Who may have read it and is gone may have delivered it; if nobody may
   have, it is looked for once more. */
static void end(struct cluster *c, struct round *r)
{
    struct notification *n = notification_ref(r->notification);
    struct receipt *waits = receipt_ref(r->receipt);
    enum forward_kind kind = r->kind;
    bool is_lost = r->is_lost, is_unread = r->is_unread;

    forget(c, r);
    if (is_lost)
        meter_add(METER_DROPPED_NODE_GONE, 1);
    else if (is_unread)
        forward_again(c, n, kind, 0, waits);
    else
        meter_add(METER_DROPPED_NO_MATCH, 1);
    notification_unref(n);
    receipt_unref(waits);
}

/* False: it does not wait for that peer. */
static bool strike(struct round *r, uint32_t peer)
{
    uint32_t i;

    for (i = 0; i < r->count; i++)
        if (peer && r->waits_for[i] == peer) {
            r->waits_for[i] = 0;
            r->missing--;
            return true;
        }
    return false;
}

void everybody_open(struct cluster *c)
{
    map_init(&c->rounds);
    list_init(&c->rounds_oldest);
}

void everybody_close(struct cluster *c)
{
    struct list *link;

    while ((link = list_first(&c->rounds_oldest)))
        forget(c, container_of(link, struct round, link));
    map_fini(&c->rounds);
}

void everybody_ask(struct cluster *c, struct notification *n, enum forward_kind kind,
                   struct envelope *e, struct receipt *waits)
{
    uint32_t count = c->members.peers.len, i;
    struct round *r;

    if (!count) {
        meter_add(METER_DROPPED_NO_MATCH, 1);
        return;
    }
    r = mem_zero(sizeof(*r) + count * sizeof(r->waits_for[0]));
    if (!++c->last_round)
        c->last_round = 1; /* 0 is no number */
    r->number = c->last_round;
    r->kind = kind;
    r->notification = notification_ref(n);
    r->receipt = receipt_ref(waits);
    c->rounds_bytes += notification_bytes(n);
    r->missing = r->count = count;
    for (i = 0; i < count; i++) {
        const struct peer *p = c->members.peers.at[i];

        r->waits_for[i] = p->number;
    }
    map_add(&c->rounds, hash_mix(r->number, 0), r);
    list_push_back(&c->rounds_oldest, &r->link);
    e->hops = HOPS_IF_HERE;
    e->a = r->number;
    forward_piece(c, NULL, piece_new(e, waits));
}

void everybody_answer(struct cluster *c, struct peer *p, const struct envelope *e, bool has)
{
    forward_to(c, p, &(struct envelope){.kind = ENVELOPE_HAD, .a = e->a, .b = has});
}

void everybody_take_had(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct round *r = find(c, e->a);

    if (!r || !strike(r, p->number))
        return;
    if (e->b)
        forget(c, r);
    else if (!r->missing)
        end(c, r);
}

void everybody_take_back(struct cluster *c, uint32_t peer, const struct envelope *e, bool is_lost)
{
    struct round *r = find(c, e->a);

    if (!r || !strike(r, peer))
        return;
    if (is_lost)
        r->is_lost = true;
    else
        r->is_unread = true;
    if (!r->missing)
        end(c, r);
}

/* What it has confirmed, and it did not come to its answer. */
void everybody_on_gone(struct cluster *c, const struct peer *p)
{
    struct list *link = c->rounds_oldest.next, *next;

    for (; link != &c->rounds_oldest; link = next) {
        struct round *r = container_of(link, struct round, link);

        next = link->next;
        if (!strike(r, p->number))
            continue;
        r->is_lost = true;
        if (!r->missing)
            end(c, r);
    }
}
