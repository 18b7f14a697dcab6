/*
 * cluster - one node's part in a cluster: the thread between this process' shards and the other
 *           nodes. It forwards what needs another node, takes what comes from them, and says
 *           by hub->bus whether that works.
 *
 * Owner:   main makes it after the hub and frees it after its thread has ended.
 * Thread:  cluster_run is the thread's body, cluster_turn stands in for it where there is none; the
 *          rest from main.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct cluster;
struct hub;

/* How others reach this node; null: they do not. */
struct cluster_urls {
    const char *external, *internal, *browser, *cluster;
};

/* Joins the hub to it (hub_join): before the shards' threads run. ERR_BAD: TLS files that cannot
   be used (logged); ERR_FULL, ERR_IO: the system refused descriptors or memory. What stands in *out
   then is still to be closed. */
MUST_USE enum err cluster_open(struct cluster **out, struct hub *h,
                               const struct cluster_urls *urls);
void cluster_close(struct cluster *c); /* null is fine */

void cluster_run(void *cluster);

/* For the torture: one turn; false: that was the last. */
bool cluster_turn(struct cluster *c, int64_t max_wait_ms);

/* From now on clients reach it by these; `cluster` stays what it is. */
void cluster_advertise(struct cluster *c, const struct cluster_urls *urls);

/* The end has begun: no new clients here; what is there is served on. */
void cluster_leave(struct cluster *c);

/* The shards' threads have ended: what is under way is passed on or confirmed, for limit_ms at
   most; then cluster_run returns. */
void cluster_end(struct cluster *c, int64_t limit_ms);
