/*
 * find - findAny over the whole cluster.
 *
 * One node, the filter's home, keeps the turn. It asks the others how many match, remembers that
 * for COUNTS_KEPT_MS, and lets one of its shards count what is here and choose; a choice among the
 * others' clients comes back as NOTE_PICK and goes to that node as a rank. Messages wait for the
 * answers; only who is gone, or cannot hear, is left out.
 *
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct envelope;
struct note;
struct notification;
struct peer;
struct receipt;

/* r: who waits until it cannot be overtaken any more; null: nobody. */
void find_start(struct cluster *c, struct notification *n, uint32_t attempts, struct receipt *r);
void find_on_pick(struct cluster *c, const struct note *n);
void find_on_counted(struct cluster *c, const struct note *n);
void find_take_count(struct cluster *c, struct peer *p, const struct envelope *e);
void find_take_counted(struct cluster *c, struct peer *p, const struct envelope *e);
void find_take_pick(struct cluster *c, struct peer *p, const struct envelope *e);
void find_tick(struct cluster *c);
void find_end(struct cluster *c); /* our shards have ended: other nodes choose what waits */
void find_forget_all(struct cluster *c);
