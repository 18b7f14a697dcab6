/*
 * redis_asks - the commands under way on one link, oldest first: a ring.
 *
 * Owner:   the link that embeds it; {0} is a valid empty one.      Thread: its owner's.
 * Bound:   the link's.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cluster/redis.h"

#define REDIS_NO_SLOT UINT16_MAX

enum redis_ask_kind {
    REDIS_ASK_USER,
    REDIS_ASK_PUBLISH, /* the same; an error is logged */
    REDIS_ASK_FIND,    /* of redis' own: where the masters are */
    REDIS_ASK_NOTHING, /* its reply is of no use */
};

/* One command under way. */
struct redis_ask {
    redis_done *done;
    void *context;
    uint64_t number; /* in the order given, over all links */
    uint64_t key;    /* its hash; only in a Redis Cluster */
    int64_t until_ms;
    uint32_t len;  /* of its text, set by the link */
    uint16_t slot; /* REDIS_NO_SLOT: of one master, whatever the keys */
    uint8_t kind, tries;
    bool counted; /* among its slot's */
};

struct redis_asks {
    /* private to redis_asks.c, but len */
    struct redis_ask *at;
    uint32_t head, len, cap; /* cap: a power of two, or 0 */
};

void redis_asks_push(struct redis_asks *q, const struct redis_ask *ask);
struct redis_ask redis_asks_pop(struct redis_asks *q); /* of one that is not empty */
