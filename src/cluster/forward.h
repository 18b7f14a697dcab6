/*
 * forward - all that leaves this node, in one order: each message waits until it is known whereto.
 *
 * The directory is asked while others wait behind; what is remembered costs no question. What
 * cannot be asked waits for Redis; an acknowledged one is refused, for its asker may still say so.
 *
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdint.h>
#include "cluster/membership.h"
#include "hub/bus.h"

struct cluster;
struct envelope;
struct notification;
struct peer;
struct piece;
struct receipt;

/* NOTE_FORWARD, and what came astray. Takes a count of its own. */
void forward(struct cluster *c, struct notification *n, enum forward_kind kind, uint32_t attempts);

/* Once more, for who waits already; null: nobody. */
void forward_again(struct cluster *c, struct notification *n, enum forward_kind kind,
                   uint32_t attempts, struct receipt *waits);
void forward_release(struct cluster *c); /* what is ready and first in line */
void forward_retry(struct cluster *c);   /* asks again what Redis could not answer */
void forward_to(struct cluster *c, struct peer *p, const struct envelope *e);
void forward_to_all(struct cluster *c, const struct envelope *e);
void forward_piece(struct cluster *c, struct peer *p, struct piece *piece); /* takes its count;
                                                                               p null: to all */
void forward_forget_all(struct cluster *c);

/* What a peer never confirmed, now that it has gone. */
void forward_take_back(struct cluster *c, struct peer *p, enum gone how);

/* What a former life of ours had for this peer goes on; and what nobody takes on is lost, or goes
   elsewhere. */
void forward_adopt(struct cluster *c, struct peer *p);
void forward_settle(struct cluster *c);
