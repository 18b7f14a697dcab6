/*
 * redis - the Redis behind a cluster of pushers, whatever its shape: one server, a master found
 *         through Sentinels, or a Redis Cluster. Commands go to the right master, subscriptions
 * stay.
 *
 * Protocol: RESP2, read by hiredis' redisReader; written here. Redis 7.0.2 or newer.
 * Owner:    the cluster thread.      Thread: that one's; nothing here blocks.
 * Loop:     descriptors are polled in the loop's poll under tags REDIS_TAG | n; timers on its
 * wheel. Order:    commands with equal keys are carried out in the order they were given, while
 * their link holds. Nothing is sent twice: what was under way when a link broke fails. Limits:
 * redis_settings; output waiting for a link: 64 MiB, then commands fail at once.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"
#include "hub/cluster_settings.h"

struct loop;
struct redis;
struct redisReply; /* hiredis */

#define REDIS_TAG (UINT64_C(1) << 56)

enum redis_shape { REDIS_SINGLE, REDIS_SENTINEL, REDIS_CLUSTER };

/* The reply to one command; null: it was not carried out, or nobody knows (link lost, timed out).
   Errors of Redis come as REDIS_REPLY_ERROR; MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, READONLY
   never do: they are followed, or end in null. May give further commands. */
typedef void redis_done(void *context, const struct redisReply *reply);

struct redis_events {
    void *context;
    /* Every master this shape needs has a working command link, or no longer. */
    void (*on_up)(void *context, bool up, const char *why);
    /* A new link to a master stands (also the first), or its part of the keys has changed:
       what we keep there may be gone. master: 0 .. redis_masters() - 1. */
    void (*on_master)(void *context, uint32_t master);
    /* All subscribed channels are confirmed, or no longer. */
    void (*on_subscribed)(void *context, bool all);
    void (*on_message)(void *context, struct bytes channel, struct bytes payload);
};

/* Nothing has been asked yet on return; ERR_BAD: TLS files that cannot be used (logged). */
MUST_USE enum err redis_open(struct redis **out, struct loop *loop,
                             const struct redis_settings *set, const struct redis_events *events);

/* Every command under way ends with null, unless the context must not be called: quiet. */
void redis_close(struct redis *r, bool quiet);

bool redis_is_up(const struct redis *r);

/* argv[key] is the key that chooses the master; key < 0: the first master. Copies what it needs.
   done may be null; it is never called from inside this call. */
void redis_command(struct redis *r, const struct bytes *argv, int argc, int key, redis_done *done,
                   void *context);

/* The same on one master, whatever the keys. */
void redis_command_on(struct redis *r, uint32_t master, const struct bytes *argv, int argc,
                      redis_done *done, void *context);

uint32_t redis_masters(const struct redis *r);

/* A text that, as the {tag} of a key, puts it on that master. Good until its on_master. Null: there
   is no such master (yet). */
const char *redis_tag_of(const struct redis *r, uint32_t master);

/* Which master commands with this key go to now: 0 .. redis_masters() - 1. With one master: 0.
   Uses the same {tag} rule as redis_command. While the topology is unknown: 0. */
uint32_t redis_master_of(const struct redis *r, struct bytes key);

/* SPUBLISH. The reply: how many subscribers it reached. An error is logged. */
void redis_publish(struct redis *r, struct bytes channel, struct bytes payload, redis_done *done,
                   void *context);

/* SSUBSCRIBE, for good: renewed on every new link. force: drop the subscribing links first. */
void redis_subscribe(struct redis *r, struct bytes channel);
void redis_resubscribe(struct redis *r);

/* From the loop's hooks: a descriptor is ready; once in each WRITE phase. */
void redis_on_ready(struct redis *r, uint64_t tag, uint32_t events);
void redis_write(struct redis *r);
