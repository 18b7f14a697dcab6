/*
 * fake_redis - redis.h in memory: commands wait until the test has them carried out; they can be
 *              refused (full), lost (cut) or answered with anything.
 *
 * Owner:   the one test that includes it; it defines redis_*().      Thread: the test's.
 */
/* long: all the commands that are used */
#pragma once
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "base/check.h"
#include "base/mem.h"
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
    int carried_out;
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

static inline redisReply *fake_do_set(const struct fake_command *c)
{
    bool nx = false, get = false;
    int64_t px = 0;
    const char *old = fake_get(c->argv[1]);
    redisReply *r;

    for (int i = 3; i < c->argc; i++) {
        nx |= strcmp(c->argv[i], "NX") == 0;
        get |= strcmp(c->argv[i], "GET") == 0;
        if (strcmp(c->argv[i], "PX") == 0)
            px = strtol(c->argv[++i], NULL, 10);
    }
    if (fake.full)
        return fake_oom();
    r = get ? fake_string(old) : fake_text(REDIS_REPLY_STATUS, "OK");
    if (!nx || !old)
        fake_set(c->argv[1], c->argv[2], px);
    return r;
}

/* The directory's scripts: remove, or replace, if it is this value. */
static inline redisReply *fake_do_eval(const struct fake_command *c)
{
    const char *old = fake_get(c->argv[3]);

    if (!old || strcmp(old, c->argv[4]) != 0)
        return fake_number(0);
    if (c->argc == 6) {
        if (fake.full)
            return fake_oom();
        fake_set(c->argv[3], c->argv[5], 0);
    } else {
        fake_del(c->argv[3]);
    }
    return fake_number(1);
}

static inline redisReply *fake_do_mget(const struct fake_command *c)
{
    redisReply *r = fake_array((size_t)c->argc - 1);

    for (int i = 1; i < c->argc; i++)
        r->element[i - 1] = fake_string(fake_get(c->argv[i]));
    return r;
}

/* Three keys at a time, from the end: fake_del moves the last key down, which was shown before. */
static inline redisReply *fake_do_scan(const struct fake_command *c)
{
    long below = strtol(c->argv[1], NULL, 10), from;
    redisReply *r = fake_array(2);
    char cursor[24];

    if (!below || below > fake.keys)
        below = fake.keys;
    from = below > 3 ? below - 3 : 0;
    snprintf(cursor, sizeof(cursor), "%ld", from);
    r->element[0] = fake_string(cursor);
    r->element[1] = fake_array((size_t)(below - from));
    for (long i = from; i < below; i++)
        r->element[1]->element[i - from] = fake_string(fake.at[i].key);
    return r;
}

static inline redisReply *fake_do(const struct fake_command *c)
{
    const char *verb = c->argv[0];

    if (fake.instead) {
        redisReply *r = fake.instead(c);

        if (r)
            return r;
    }
    if (strcmp(verb, "SET") == 0)
        return fake_do_set(c);
    if (strcmp(verb, "GET") == 0 || strcmp(verb, "GETEX") == 0) {
        redisReply *r = fake_string(fake_get(c->argv[1]));

        if (c->argc == 4 && r->str)
            fake.at[fake_find(c->argv[1])].until_ms = fake.now_ms + strtol(c->argv[3], NULL, 10);
        return r;
    }
    if (strcmp(verb, "MGET") == 0)
        return fake_do_mget(c);
    if (strcmp(verb, "DEL") == 0) {
        fake_del(c->argv[1]);
        return fake_number(1);
    }
    if (strcmp(verb, "SCAN") == 0)
        return fake_do_scan(c);
    if (fake.script)
        return fake.script(c);
    if (strcmp(verb, "EVAL") == 0)
        return fake_do_eval(c);
    return fake_text(REDIS_REPLY_ERROR, "ERR unknown command");
}

/* Carries out the next n commands; false: there were fewer. */
static inline bool fake_answer(int n)
{
    for (; n > 0; n--) {
        struct fake_command c;
        redisReply *r;

        if (fake.first == fake.last)
            return false;
        c = fake.waiting[fake.first++];
        if (fake.first == fake.last)
            fake.first = fake.last = 0;
        fake.carried_out++;
        r = c.from->cut ? NULL : fake_do(&c);
        if (c.done)
            c.done(c.context, r);
        if (r)
            freeReplyObject(r);
        for (int i = 0; i < c.argc; i++)
            free(c.argv[i]);
    }
    return true;
}

static inline void fake_answer_all(void)
{
    while (fake_answer(1))
        ;
}

static inline void fake_close(void)
{
    while (fake.first < fake.last) {
        struct fake_command *c = &fake.waiting[fake.first++];

        for (int i = 0; i < c->argc; i++)
            free(c->argv[i]);
    }
    fake_flush();
    memset(&fake, 0, sizeof(fake));
    fake.masters = 1;
}

/* ---- redis.h ---- */

void redis_command_on(struct redis *r, uint32_t master, const struct bytes *argv, int argc,
                      redis_done *done, void *context)
{
    struct fake_command *c = &fake.waiting[fake.last++];

    (void)master;
    CHECK(fake.last < FAKE_COMMANDS && argc <= FAKE_ARGS);
    *c = (struct fake_command){.from = r, .argc = argc, .done = done, .context = context};
    for (int i = 0; i < argc; i++)
        c->argv[i] = strndup(argv[i].at ? argv[i].at : "", argv[i].len);
}

void redis_command(struct redis *r, const struct bytes *argv, int argc, int key, redis_done *done,
                   void *context)
{
    CHECK(key < argc);
    redis_command_on(r, 0, argv, argc, done, context);
}

uint32_t redis_masters(const struct redis *r)
{
    (void)r;
    return fake.masters;
}

const char *redis_tag_of(const struct redis *r, uint32_t master)
{
    static const char *const tags[] = {"t0", "t1", "t2"};

    (void)r;
    return master < fake.masters ? tags[master] : NULL;
}

/* By its last digit. */
uint32_t redis_master_of(const struct redis *r, struct bytes key)
{
    (void)r;
    return key.len && fake.masters ? (uint32_t)(unsigned char)key.at[key.len - 1] % fake.masters
                                   : 0;
}
