/*
 * fake_commands - the commands a Redis in memory knows.
 *
 * Owner:   the one test that includes it.      Thread: the test's.
 */
#pragma once
#include "unit/cluster/fake_store.h"

static inline redisReply *fake_do_set(const struct fake_command *c)
{
    bool nx = false, xx = false, get = false;
    int64_t px = 0;
    const char *old = fake_get(c->argv[1]);
    redisReply *r;

    for (int i = 3; i < c->argc; i++) {
        nx |= strcmp(c->argv[i], "NX") == 0;
        xx |= strcmp(c->argv[i], "XX") == 0;
        get |= strcmp(c->argv[i], "GET") == 0;
        if (strcmp(c->argv[i], "PX") == 0)
            px = strtol(c->argv[++i], NULL, 10);
    }
    if (fake.full)
        return fake_oom();
    r = get ? fake_string(old) : fake_text(REDIS_REPLY_STATUS, "OK");
    if ((!nx || !old) && (!xx || old))
        fake_set(c->argv[1], c->argv[2], px);
    return r;
}

/* The directory's scripts: remove, with or without a trace, or replace, if it is this value. */
static inline redisReply *fake_do_eval(const struct fake_command *c)
{
    const char *old = fake_get(c->argv[3]);

    if (!old || strcmp(old, c->argv[4]) != 0)
        return fake_number(0);
    if (c->argc == 7) {
        if (fake.full)
            fake_del(c->argv[3]);
        else
            fake_set(c->argv[3], c->argv[5], strtol(c->argv[6], NULL, 10));
    } else if (c->argc == 6) {
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

    fake.scans++;
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

static inline redisReply *fake_do_info(void)
{
    char text[80];

    snprintf(text, sizeof(text), "# Server\r\nrun_id:%040d\r\ntcp_port:1\r\n", fake.run);
    return fake_string(text);
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
    if (strcmp(verb, "INFO") == 0)
        return fake_do_info();
    if (fake.script)
        return fake.script(c);
    if (strcmp(verb, "EVAL") == 0)
        return fake_do_eval(c);
    return fake_text(REDIS_REPLY_ERROR, "ERR unknown command");
}
