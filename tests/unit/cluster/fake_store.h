/*
 * fake_store - what a Redis in memory holds, and the replies it makes.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
#pragma once
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "cluster/redis.h"

enum { FAKE_KEYS = 4096, FAKE_COMMANDS = 16384, FAKE_ARGS = 64 };

/* One node's handle; what is in it all share. */
struct redis {
    bool cut; /* its commands end with null */
};

struct fake_command {
    struct redis *from;
    char *argv[FAKE_ARGS];
    int argc;
    redis_done *done;
    void *context;
};

static struct fake {
    struct {
        char *key, *value;
        int64_t until_ms;
    } at[FAKE_KEYS];
    int keys;
    struct fake_command waiting[FAKE_COMMANDS];
    int first, last;
    int64_t now_ms;
    uint32_t masters;
    bool full;
    int run; /* which process it is */
    int carried_out, scans;
    redisReply *(*script)(const struct fake_command *c);  /* answers EVALSHA; null: NOSCRIPT */
    redisReply *(*instead)(const struct fake_command *c); /* not null: what it answers counts */
} fake;

static inline redisReply *fake_reply(int type)
{
    redisReply *r = calloc(1, sizeof(*r));

    CHECK(r);
    r->type = type;
    return r;
}

static inline redisReply *fake_text(int type, const char *text)
{
    redisReply *r = fake_reply(type);

    r->str = strdup(text);
    r->len = strlen(text);
    return r;
}

static inline redisReply *fake_string(const char *text)
{
    return text ? fake_text(REDIS_REPLY_STRING, text) : fake_reply(REDIS_REPLY_NIL);
}

static inline redisReply *fake_number(long long n)
{
    redisReply *r = fake_reply(REDIS_REPLY_INTEGER);

    r->integer = n;
    return r;
}

static inline redisReply *fake_array(size_t n)
{
    redisReply *r = fake_reply(REDIS_REPLY_ARRAY);

    r->elements = n;
    r->element = calloc(n + 1, sizeof(redisReply *));
    return r;
}

static inline redisReply *fake_oom(void)
{
    return fake_text(REDIS_REPLY_ERROR, "OOM command not allowed when used memory > 'maxmemory'.");
}

static inline int fake_find(const char *key)
{
    for (int i = 0; i < fake.keys; i++) {
        if (strcmp(fake.at[i].key, key) != 0)
            continue;
        if (fake.at[i].until_ms && fake.at[i].until_ms <= fake.now_ms)
            return -1;
        return i;
    }
    return -1;
}

static inline const char *fake_get(const char *key)
{
    int i = fake_find(key);

    return i < 0 ? NULL : fake.at[i].value;
}

static inline void fake_del(const char *key)
{
    for (int i = 0; i < fake.keys; i++)
        if (strcmp(fake.at[i].key, key) == 0) {
            free(fake.at[i].key);
            free(fake.at[i].value);
            fake.at[i] = fake.at[--fake.keys];
            return;
        }
}

static inline void fake_set(const char *key, const char *value, int64_t px)
{
    fake_del(key);
    CHECK(fake.keys < FAKE_KEYS);
    fake.at[fake.keys].key = strdup(key);
    fake.at[fake.keys].value = strdup(value);
    fake.at[fake.keys++].until_ms = px ? fake.now_ms + px : 0;
}

static inline void fake_flush(void)
{
    while (fake.keys)
        fake_del(fake.at[0].key);
}
