/*
 * everybody - a message for one client, of whom nobody is sure where it is: every node is asked to
 *             deliver it, and says whether it had the client. So one that has gone is known to have
 *             been the last hope, or not: its copy goes on only if nobody else had the client.
 *
 * Owner:   the cluster.      Thread: the cluster thread.
 * Bound:   its messages count among those that wait (pushca.cluster.waiting-bytes); one ends with
 * the first that had the client.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "hub/bus.h"

struct cluster;
struct envelope;
struct notification;
struct peer;
struct receipt;

void everybody_open(struct cluster *c);
void everybody_close(struct cluster *c);

/* e is n's, and r of who waits until all have it, or null; how often it may be passed on and what
   is needed for the answers are filled in. Without peers it matched nobody. */
void everybody_ask(struct cluster *c, struct notification *n, enum forward_kind kind,
                   struct envelope *e, struct receipt *r);

/* What that peer says is such a copy, and our client, or not. */
void everybody_answer(struct cluster *c, struct peer *p, const struct envelope *e, bool has);
void everybody_take_had(struct cluster *c, struct peer *p, const struct envelope *e);

/* That peer has gone: first each copy that it never confirmed, then all that it owes an answer.
   is_lost: it may have read it. */
void everybody_take_back(struct cluster *c, uint32_t peer, const struct envelope *e, bool is_lost);
void everybody_on_gone(struct cluster *c, const struct peer *p);
