/*
 * redis_slots - Redis Cluster: which master has which slot; and commands that were sent to the
 *               wrong one, or too early, on their way to be tried again.
 *
 * Order:   commands with equal keys keep it: nothing of a slot is sent to its new master while
 *          something is under way at the old one or waits; one that was overtaken all the same
 *          ends with null.
 * Owner:   redis.      Thread: the cluster thread.
 * Bound:   64 MiB of commands that wait; each for answer_ms at most.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cluster/redis_asks.h"

struct redis;
struct redis_node;
struct redis_address;
struct redisReply;

void redis_slots_open(struct redis *r);
void redis_slots_close(struct redis *r, bool quiet); /* after the nodes */

struct redis_node *redis_slots_owner(const struct redis *r, uint16_t slot);
bool redis_slots_covered(const struct redis *r); /* every slot has a master */

/* ask: done, context, number. */
void redis_slots_command(struct redis *r, const struct bytes *argv, int argc, int key,
                         const struct redis_ask *ask);
void redis_slots_on_reply(struct redis *r, struct redis_node *n, const struct redis_ask *ask,
                          struct bytes command, const struct redisReply *reply);

/* From redis_write: what waits and may go now, goes. */
void redis_slots_flush(struct redis *r);

/* A server has said so. */
void redis_slots_moved(struct redis *r, uint16_t slot, const struct redis_address *to);

/* The whole map: masters[of[slot]] has the slot; UINT16_MAX: nobody. */
void redis_slots_apply(struct redis *r, const uint16_t *of, const struct redis_address *masters,
                       uint32_t count);
