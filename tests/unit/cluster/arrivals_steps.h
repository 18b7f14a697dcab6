/*
 * arrivals_steps - whatever may happen next in the world of arrivals, one at a time.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
#pragma once
#include "unit/cluster/arrivals_shard.h"
#include "cluster/take.h"

/* ---- steps; false: there was nothing to do ---- */

static inline struct note *pop_note(struct outbox *o)
{
    struct inbox_link *first = o->first;

    if (!first)
        return NULL;
    o->first = first->next;
    if (!o->first)
        *o = (struct outbox){0};
    return container_of(first, struct note, link);
}

static inline bool shard_step(struct node *n)
{
    struct note *note = pop_note(&n->to_shard[0]);

    if (!note)
        return false;
    thread_settle(&n->shard);
    if (note->kind == NOTE_ADOPT) {
        shard_hears(&n->shard, note);
        adopt(n, note->arrival);
        note->arrival = NULL;
        shard_has_heard(&n->shard);
    } else {
        assert_int_equal(note->kind, NOTE_ELSEWHERE);
        bus_on_elsewhere(&n->shard, note);
    }
    note_free(&n->hub, note);
    return true;
}

static inline bool cluster_step(struct node *n)
{
    struct note *note = pop_note(&n->to_cluster[1]);

    if (!note)
        return false;
    if (note->kind == NOTE_REGISTER) {
        arrivals_on_register(&n->c, note);
    } else {
        assert_int_equal(note->kind, NOTE_UNREGISTER);
        arrivals_on_unregister(&n->c, note);
    }
    note_free(&n->hub, note);
    return true;
}

/* Takes what came first, and confirms it at once. */
static inline bool wire_step(int from, int to)
{
    struct wire *wire = &w.node[from].wires[to];
    struct peer *sender = &w.node[to].peers[from], *receiver = &w.node[from].peers[to];
    struct bytes item;

    if (wire->first == wire->last || w.node[from].cut || w.node[to].cut)
        return false;
    item = wire->item[wire->first++];
    if (wire->first == wire->last)
        wire->first = wire->last = 0;
    take(&w.node[to].c, sender, bytes_of(item.at + 4, item.len - 4));
    mem_free((char *)(uintptr_t)item.at);
    receiver->stream.first++;
    receiver->stream.count--;
    arrivals_on_confirmed(&w.node[from].c);
    return true;
}

static inline bool notes_step(int node)
{
    bool any = cluster_step(&w.node[node]);

    return shard_step(&w.node[node]) || any;
}

/* All that is under way arrives. */
static inline void settle(void)
{
    bool any = true;

    while (any) {
        any = false;
        while (fake_answer(1))
            any = true;
        for (int i = 0; i < NODES; i++) {
            any |= notes_step(i);
            if (w.node[i].c.listing)
                arrivals_list_some(&w.node[i].c);
            for (int j = 0; j < NODES; j++)
                any |= i != j && wire_step(i, j);
        }
    }
}

static inline void tick(struct node *n, int64_t now_ms)
{
    n->c.loop.now_ms = now_ms;
    wheel_run(&n->c.loop.wheel, now_ms, 1000);
    while (cluster_step(n)) /* in each turn notes are read first */
        ;
    if (now_ms % 100 == 0)
        arrivals_tick(&n->c);
    if (now_ms % BEAT_MS == 0) {
        n->c.members.answered_ms = now_ms;
        directory_beat(n->c.directory);
    }
    for (int i = 0; i < NODES; i++)
        n->peers[i].heard_ms = now_ms;
}

/* So much time; nothing arrives by itself. */
static inline void clock_step(int64_t ms)
{
    for (int64_t until = w.now_ms + ms; w.now_ms < until;) {
        w.now_ms += 10;
        fake.now_ms = w.now_ms;
        for (int i = 0; i < NODES; i++)
            tick(&w.node[i], w.now_ms);
    }
}

static inline void pass(int64_t ms)
{
    for (int64_t until = w.now_ms + ms; w.now_ms < until;) {
        clock_step(10);
        settle();
    }
}
