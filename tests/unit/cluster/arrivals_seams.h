/*
 * arrivals_seams - what the cluster thread's other files would do for arrivals: here wires that the
 *                  test lets go on, and an outbox of notes.
 *
 * Owner:   the one test that includes it; it defines forward_*() and cluster_*().      Thread: the
 * test's.
 */
#pragma once
#include "unit/cluster/arrivals_world.h"
#include "cluster/courier.h"
#include "cluster/find.h"
#include "cluster/forward.h"

/* ---- what the cluster thread's other files would do ---- */

struct note *cluster_note(enum note_kind kind, const struct cluster *c)
{
    return note_from(c->hub->count, kind);
}

void cluster_post(struct cluster *c, uint32_t shard, struct note *n, size_t weight)
{
    outbox_add(&c->staged[shard], n, weight);
}

void forward_to(struct cluster *c, struct peer *p, const struct envelope *e)
{
    struct wire *wire = &node_of(c)->wires[p->number - 1];
    struct buf text = {0};

    envelope_write(&text, e);
    assert_true(wire->last < ITEMS);
    wire->item[wire->last++] = buf_bytes(&text);
    p->stream.count++;
    node_of(c)->moved += e->kind == ENVELOPE_MOVED;
}

void forward_to_all(struct cluster *c, const struct envelope *e)
{
    for (uint32_t i = 0; i < c->members.peers.len; i++)
        forward_to(c, c->members.peers.at[i], e);
}

void forward_piece(struct cluster *c, struct peer *p, struct piece *piece)
{
    (void)c;
    (void)p;
    piece_unref(piece);
    fail(); /* messages are none of its business */
}

void forward(struct cluster *c, struct notification *n, enum forward_kind kind, uint32_t attempts)
{
    (void)c;
    (void)n;
    (void)kind;
    (void)attempts;
    fail();
}

void forward_again(struct cluster *c, struct notification *n, enum forward_kind kind,
                   uint32_t attempts, struct receipt *waits)
{
    (void)waits;
    forward(c, n, kind, attempts);
}

void forward_retry(struct cluster *c)
{
    (void)c;
}

void courier_confirm(struct cluster *c, struct peer *p)
{
    (void)c;
    (void)p;
    fail();
}

void find_take_count(struct cluster *c, struct peer *p, const struct envelope *e)
{
    (void)c;
    (void)p;
    (void)e;
    fail();
}

void find_take_counted(struct cluster *c, struct peer *p, const struct envelope *e)
{
    find_take_count(c, p, e);
}

void find_take_pick(struct cluster *c, struct peer *p, const struct envelope *e)
{
    find_take_count(c, p, e);
}

static inline void discard(struct arrival *a)
{
    mem_free(a);
}

static inline void on_list(void *context)
{
    arrivals_list(context);
}
