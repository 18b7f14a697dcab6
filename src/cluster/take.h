/*
 * take - what another node says: items become notes to the shards, and answers.
 *
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

struct cluster;
struct envelope;
struct notification;
struct peer;

void take(struct cluster *c, struct peer *p, struct bytes item);

/* The notification an item stands for, without what acknowledged ones have besides. */
struct notification *take_notification(struct cluster *c, const struct envelope *e);

/* Whose ask an acknowledged one is, if it was passed on for another node: then *peer becomes that
   one's number, 0: ours. False: that node has gone. */
bool take_asker(const struct cluster *c, const struct envelope *e, uint32_t *peer);

/* A shard that has ended left notes: what others need of them is passed on. */
void take_over(struct cluster *c);
