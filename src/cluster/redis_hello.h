/*
 * redis_hello - what is said first on a new connection, and whether the answers are good.
 *
 *   AUTH (if a password is set)  CLIENT SETNAME  SELECT  ROLE  PING
 *
 * Owner:   the link that embeds it; {0} is a valid one.      Thread: its owner's.
 * Never:   the password, or what Redis says to AUTH, in a reason.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "hub/cluster_settings.h"

struct redisReply;

enum redis_hello_step {
    REDIS_HELLO_AUTH,
    REDIS_HELLO_NAME,
    REDIS_HELLO_SELECT,
    REDIS_HELLO_ROLE,
    REDIS_HELLO_PING,
    REDIS_HELLO_STEPS,
};

enum { REDIS_WHY_TEXT = 160 };

struct redis_hello {
    struct buf out; /* to be sent */
    /* private to redis_hello.c */
    uint8_t steps[REDIS_HELLO_STEPS];
    uint8_t count, at;
};

struct redis_hello_wish {
    const char *username, *password; /* null: none */
    const char *name;                /* how Redis lists this connection */
    uint32_t database;               /* 0: nothing to select */
    bool master;                     /* a replica will not do */
};

void redis_hello_begin(struct redis_hello *h, const struct redis_hello_wish *wish);

/* False: why says what is wrong. */
bool redis_hello_take(struct redis_hello *h, const struct redisReply *reply,
                      char why[REDIS_WHY_TEXT]);
bool redis_hello_is_done(const struct redis_hello *h);

/* Wipes what was to be sent. */
void redis_hello_sent(struct redis_hello *h);
