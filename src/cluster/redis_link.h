/*
 * redis_link - one connection to one server, made again whenever it is lost; commands in, replies
 *              out, in order.
 *
 *   DOWN -> RESOLVING -> CONNECTING -> (TLS) -> HELLO -> READY
 *     ^_________________________________________________/   after 50 ms, 100 ms .. 1 s
 *
 * Owner:   redis, in its parts.      Thread: the cluster thread.
 * Events:  come from on_ready, the timer and drop, never from give. In one, no link may be freed
 *          that is in the middle of its own.
 * Bound:   64 MiB of commands that wait, 1,048,576 of them under way.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/rand.h"
#include "cluster/redis_address.h"
#include "cluster/redis_asks.h"

struct ssl_ctx_st;

enum { REDIS_WAITING_BYTES = 64 * 1024 * 1024, REDIS_INPUT_BYTES = 32 * 1024 };

enum redis_link_kind {
    REDIS_LINK_COMMANDS,
    REDIS_LINK_CHANNELS, /* its replies are on_push, each and all */
    REDIS_LINK_FINDER,   /* to a Sentinel, or any node of a Redis Cluster */
    REDIS_LINK_KINDS,
};

struct redis_link;

struct redis_link_events {
    void (*on_ready)(void *owner, struct redis_link *l);
    /* Lost, or an attempt failed: then again and again, until free. Before the asks' null. */
    void (*on_lost)(void *owner, struct redis_link *l, const char *why);
    /* command: what was sent, if the world keeps it. reply null: it never came. */
    void (*on_reply)(void *owner, struct redis_link *l, const struct redis_ask *ask,
                     struct bytes command, const struct redisReply *reply);
    void (*on_push)(void *owner, struct redis_link *l, const struct redisReply *reply);
};

/* What all links of one redis have in common. */
struct redis_world {
    struct loop *loop;
    const struct redis_settings *set;
    const struct redis_link_events *events;
    struct ssl_ctx_st *tls; /* null: plain */
    struct rand rand;
    struct list links, dirty;                   /* all; those with output to write */
    struct log_limit said[REDIS_LINK_KINDS][2]; /* lost, up */
    uint64_t last_tag;
    bool keeps; /* commands, until answered */
    bool by_sentinel;
    bool is_cluster;
    char *input; /* REDIS_INPUT_BYTES */
};

struct redis_link *redis_link_new(struct redis_world *w, enum redis_link_kind kind,
                                  const struct redis_address *to, void *owner);

/* quiet: without null for what is under way. */
void redis_link_free(struct redis_link *l, bool quiet);

/* Loses the connection, as if the server had; it is made again. */
void redis_link_drop(struct redis_link *l, const char *why);

bool redis_link_is_ready(const struct redis_link *l);
bool redis_link_has_failed(const struct redis_link *l); /* lately, and is not ready */
const char *redis_link_why(const struct redis_link *l); /* static text */
const struct redis_address *redis_link_to(const struct redis_link *l);
enum redis_link_kind redis_link_kind(const struct redis_link *l);

/* While the first attempt to connect is under way commands wait for it. ERR_GONE: it has failed;
   ERR_FULL: a bound. */
MUST_USE enum err redis_link_give(struct redis_link *l, const struct bytes *argv, int argc,
                                  const struct redis_ask *ask);
MUST_USE enum err redis_link_give_made(struct redis_link *l, struct bytes command,
                                       const struct redis_ask *ask);

void redis_link_write(struct redis_link *l);
void redis_link_write_dirty(struct list *dirty); /* the one linked there */
void redis_link_on_ready(struct redis_link *l, uint32_t events);
struct redis_link *redis_link_tagged(const struct redis_world *w, uint64_t tag);
