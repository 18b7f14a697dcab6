/*
 * redis_aside - asks a server something on a connection of its own, and waits for it.
 *
 * Owner:   nobody.      Thread: the test's.
 */
#pragma once
#include "unit/cluster/redis_server.h"

static inline bool server_is_installed(void)
{
    return system("redis-server --version >/dev/null 2>&1") == 0;
}

/* In a test that needs one: says so, and skips it. */
static inline void server_needed(void)
{
    if (server_is_installed())
        return;
    print_message("redis-server is not installed: SKIPPED\n");
    skip();
}

/* One command from aside; true: it begins with what is expected (null: anything but an error). */
static inline bool server_says(const struct server *s, const char *expected, const char *format,
                               ...)
{
    redisContext *c = server_dial(s);
    redisReply *reply;
    va_list args;
    bool good;

    if (!c)
        return false;
    va_start(args, format);
    reply = redisvCommand(c, format, args);
    va_end(args);
    good = reply && reply->type != REDIS_REPLY_ERROR &&
           (!expected || (reply->str && strncmp(reply->str, expected, strlen(expected)) == 0));
    if (!good && expected && reply && reply->str)
        print_message("%s: %s\n", format, reply->str);
    if (reply)
        freeReplyObject(reply);
    redisFree(c);
    return good;
}

static inline long long server_number(const struct server *s, const char *format, ...)
{
    redisContext *c = server_dial(s);
    redisReply *reply;
    va_list args;
    long long n = -1;

    if (!c)
        return n;
    va_start(args, format);
    reply = redisvCommand(c, format, args);
    va_end(args);
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        n = reply->integer;
    if (reply)
        freeReplyObject(reply);
    redisFree(c);
    return n;
}
