#include "cluster/redis_hello.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include "cluster/redis_encode.h"

static void add(struct redis_hello *h, enum redis_hello_step step, const struct bytes *argv,
                int argc)
{
    h->steps[h->count++] = (uint8_t)step;
    redis_encode(&h->out, argv, argc);
}

static void add_auth(struct redis_hello *h, const struct redis_hello_wish *wish)
{
    struct bytes argv[3] = {BYTES("AUTH")};
    int argc = 1;

    if (!wish->password)
        return;
    if (wish->username)
        argv[argc++] = bytes_text(wish->username);
    argv[argc++] = bytes_text(wish->password);
    add(h, REDIS_HELLO_AUTH, argv, argc);
}

void redis_hello_begin(struct redis_hello *h, const struct redis_hello_wish *wish)
{
    char database[16];

    redis_hello_sent(h);
    h->count = h->at = 0;
    add_auth(h, wish);
    add(h, REDIS_HELLO_NAME,
        (struct bytes[]){BYTES("CLIENT"), BYTES("SETNAME"), bytes_text(wish->name)}, 3);
    if (wish->database) {
        snprintf(database, sizeof(database), "%u", (unsigned)wish->database);
        add(h, REDIS_HELLO_SELECT, (struct bytes[]){BYTES("SELECT"), bytes_text(database)}, 2);
    }
    if (wish->master)
        add(h, REDIS_HELLO_ROLE, (struct bytes[]){BYTES("ROLE")}, 1);
    add(h, REDIS_HELLO_PING, (struct bytes[]){BYTES("PING")}, 1);
}

/* Who may not ask for the role is believed. */
static bool is_master(const struct redisReply *reply)
{
    return reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
           reply->element[0]->type != REDIS_REPLY_STRING ||
           strcmp(reply->element[0]->str, "master") == 0;
}

/* The code an error begins with is all that is shown of an answer to AUTH: a server that does not
   know the command repeats its arguments. */
static void say_code(const struct redisReply *reply, char why[REDIS_WHY_TEXT])
{
    int len = 0;

    while (len < 16 && reply->str[len] >= 'A' && reply->str[len] <= 'Z')
        len++;
    snprintf(why, REDIS_WHY_TEXT, "user or password refused: %.*s", len, reply->str);
}

bool redis_hello_take(struct redis_hello *h, const struct redisReply *reply,
                      char why[REDIS_WHY_TEXT])
{
    bool is_error = reply->type == REDIS_REPLY_ERROR;

    if (h->at == h->count) {
        snprintf(why, REDIS_WHY_TEXT, "unasked reply");
        return false;
    }
    switch ((enum redis_hello_step)h->steps[h->at++]) {
    case REDIS_HELLO_AUTH:
        if (is_error)
            say_code(reply, why);
        return !is_error;
    case REDIS_HELLO_SELECT:
    case REDIS_HELLO_PING:
        if (is_error)
            snprintf(why, REDIS_WHY_TEXT, "%.100s", reply->str);
        return !is_error;
    case REDIS_HELLO_ROLE:
        snprintf(why, REDIS_WHY_TEXT, "is a replica, not a master");
        return is_master(reply);
    case REDIS_HELLO_NAME: /* a wish */
    case REDIS_HELLO_STEPS:
        break;
    }
    return true;
}

bool redis_hello_is_done(const struct redis_hello *h)
{
    return h->at == h->count;
}

void redis_hello_sent(struct redis_hello *h)
{
    if (h->out.at)
        explicit_bzero(h->out.at, h->out.cap);
    buf_fini(&h->out);
}
