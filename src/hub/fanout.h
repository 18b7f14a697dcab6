/*
 * fanout - a notification to all the clients its filter matches, or to one of them in rotation.
 *
 * Thread:  any shard's own.
 * Order:   messages of one sender that uses one node stay in order to one receiver; who waits as
 *          `struct order` says may use any. A findAny message may be overtaken by a later one of
 *          the same sender that was not.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "hub/note.h"
#include "wire/identity.h"

struct frame;
struct hub;
struct shard;

/* What preserveOrder asks for; all 0: nothing. */
struct order {
    uint64_t key; /* the sender's: sticks to one socket of a receiver's pool */
    uint64_t ask; /* in a cluster: who waits until nothing sent later can overtake the message, from
                     whatever node: then OUTCOME_TAKEN comes */
    bool waits;   /* out: it will come; else nothing can overtake it now */
};

/* How long the answer to preserveOrder may wait; 0: it need not. */
int64_t fanout_order_ms(const struct hub *h);

/* Sends frame to whom f means. Shares the frame, copies what it keeps of f. Receivers on this shard
   have it queued on return, those on others after POST. ERR_BUSY: it needs another node, and the
   bus is away or full; nobody got it. */
MUST_USE enum err fanout_send(struct shard *s, const struct filter *f, struct frame *frame,
                              struct order *o);

/* Is the client that f names on this node? It may come and go at any time. */
bool fanout_is_here(struct shard *s, const struct filter *f);

/* To the client that f names, and to its node, whatever the bus says: of commands that have been
   admitted as a whole. */
void fanout_send_admitted(struct shard *s, const struct filter *f, struct frame *frame);

/* NOTE_DELIVER, NOTE_FIND, NOTE_COUNT, NOTE_COUNTED, NOTE_PICK */
void fanout_on_deliver(struct shard *s, struct note *n);
void fanout_on_find(struct shard *s, struct note *n);
void fanout_on_count(struct shard *s, struct note *n);
void fanout_on_counted(struct shard *s, struct note *n);
void fanout_on_pick(struct shard *s, struct note *n);

/* At the end of the shard: frees searches and turns. */
void fanout_forget_all(struct shard *s);
