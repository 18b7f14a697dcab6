/*
 * redis_finder - asks where the masters are: a Sentinel, or any node of a Redis Cluster; another
 *                one when that fails.
 *
 * Sentinel:      SENTINEL get-master-addr-by-name, every second.
 * Redis Cluster: CLUSTER INFO and CLUSTER SLOTS, every second while something is amiss, every five
 *                otherwise. An older epoch than what is known is not believed for 10 s.
 * Owner:   redis; none for a single Redis.      Thread: the cluster thread.
 */
#pragma once
#include "base/err.h"
#include "cluster/redis_asks.h"

struct redis;
struct redisReply;

/* ERR_BAD: an address that is none (logged). */
MUST_USE enum err redis_finder_open(struct redis *r);
void redis_finder_close(struct redis *r);

/* Something is amiss: asks soon. */
void redis_finder_hurry(struct redis *r);

/* A slot has moved, and is known: while many do, the map is taken once a second. What follows from
   it, for all who keep something there, is much. */
void redis_finder_on_moved(struct redis *r);

/* Of its link. */
void redis_finder_on_ready(struct redis *r);
void redis_finder_on_lost(struct redis *r);
void redis_finder_on_reply(struct redis *r, const struct redis_ask *ask,
                           const struct redisReply *reply);
