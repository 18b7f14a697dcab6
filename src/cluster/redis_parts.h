/*
 * redis_parts - what redis is made of; only for its own parts.
 *
 *   redis          commands in, events out, judges whether all is well
 *   redis_node     a server: its links
 *   redis_finder   asks Sentinels, or the nodes of a Redis Cluster, where the masters are
 *   redis_slots    Redis Cluster: which master has which slot; commands that were sent elsewhere
 *   redis_channels what is subscribed, and where
 *
 * Owner:   redis.      Thread: the cluster thread.
 * Order:   links tell what happened at any time; what follows from it for others (on_up, on_master,
 *          on_subscribed, links made and freed for channels) is done in redis_write.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/hash.h"
#include "base/log.h"
#include "base/vec.h"
#include "cluster/redis.h"
#include "cluster/redis_link.h"
#include "cluster/redis_slot.h"
#include "flow/loop.h"
#include "flow/wheel.h"

enum { REDIS_TAG_TEXT = 8, REDIS_NO_MASTER = UINT32_MAX, REDIS_NODES = 2048 };

struct redis_node {
    struct redis *redis;
    struct redis_address at;
    struct redis_link *commands;
    struct redis_link *channels; /* null: nothing is subscribed here */
    uint32_t index;              /* among the masters; REDIS_NO_MASTER: has no keys */
    uint32_t slots;              /* how many */
    uint64_t print, old_print;   /* which */
    int64_t named_ms;            /* a server told us of it */
    bool changed;                /* on_master is due */
    char tag[REDIS_TAG_TEXT];    /* "": none yet */
};

struct redis_failed {
    redis_done *done;
    void *context;
};

struct redis {
    struct redis_world world;
    const struct redis_settings *set;
    struct redis_events events;
    enum redis_shape shape;
    struct vec nodes;            /* struct redis_node, owned */
    struct vec masters;          /* those of them with keys, by index */
    struct vec channels;         /* struct redis_channel, owned */
    struct redis_finder *finder; /* null: single */
    struct redis_slots *slots;   /* null: no Redis Cluster */
    struct redis_failed *failed; /* commands that end with null in redis_write */
    uint32_t failed_len, failed_cap;
    struct timer timer; /* so that redis_write comes */
    struct hash_key key;
    uint64_t last_number;
    bool up, subscribed; /* as told */
    bool look;           /* something has changed that others may have to know */
    bool resubscribe, closing;
};

/* ---- redis.c ---- */

/* redis_write comes in so many ms, or before. */
void redis_soon(struct redis *r, int64_t in_ms);

/* The end of a command that was given: now, or in redis_write. */
void redis_end(const struct redis_ask *ask, const struct redisReply *reply);
void redis_fail_later(struct redis *r, const struct redis_ask *ask);

/* Errors that say nothing of the command, but of who was asked. */
enum redis_refusal {
    REDIS_NOT_REFUSED,
    REDIS_MOVED,
    REDIS_ASK,
    REDIS_LATER,    /* TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN */
    REDIS_READONLY, /* it is no master any more */
};
enum redis_refusal redis_refusal_of(const struct redisReply *reply);

/* Redis answers, but not as it should, and nothing that is done here mends it: says so, as often as
   the command's limit allows. */
void redis_say_refused(const struct redis *r, const char *command, struct log_limit *limit,
                       const struct redisReply *reply);

/* Of MOVED and ASK, told by the server at `from`. */
bool redis_refusal_read(const struct redisReply *reply, const struct redis_address *from,
                        uint16_t *slot, struct redis_address *to);

/* ---- redis_node.c ---- */

struct redis_node *redis_node_find(const struct redis *r, const struct redis_address *at);

/* Found or new; null: there are REDIS_NODES. */
struct redis_node *redis_node_named(struct redis *r, const struct redis_address *at);

/* Nobody knows it any more; then its commands end with null. */
void redis_node_free(struct redis *r, struct redis_node *n, bool quiet);

/* The one master of a single Redis, or behind Sentinels, is here. */
void redis_node_only(struct redis *r, const struct redis_address *at);
