/*
 * redis_channels - what is subscribed, for good: on which master, and whether it has confirmed it.
 *
 * Owner:   redis.      Thread: the cluster thread.
 * Bound:   the caller's: a channel is never given up.
 */
#pragma once
#include <stdbool.h>
#include "base/bytes.h"

struct redis;
struct redis_node;
struct redis_link;
struct redisReply;

void redis_channels_add(struct redis *r, struct bytes name);
void redis_channels_free(struct redis *r);
bool redis_channels_all(const struct redis *r); /* confirmed */

/* Of a node's link of channels. */
void redis_channels_on_ready(struct redis *r);
void redis_channels_on_lost(struct redis *r, const struct redis_node *n);
void redis_channels_on_push(struct redis *r, struct redis_node *n, const struct redisReply *reply);

/* The node is about to go; null: nothing. */
void redis_channels_leave(struct redis *r, const struct redis_node *n);

/* From redis_write: subscribes what is not, where it has to be; makes and frees links. */
void redis_channels_look(struct redis *r);
void redis_channels_drop(struct redis *r); /* all links of channels, to be made again */
