/*
 * redis_answer - commands in words, and what came back.
 *
 * Owner:   the test.      Thread: its main thread.
 */
#pragma once
#include "unit/cluster/redis_site.h"

struct answer {
    int count; /* of calls */
    int type;  /* 0: null */
    long long integer;
    size_t len;
    char text[SITE_TEXT];
};

static inline void answer_done(void *context, const struct redisReply *reply)
{
    struct answer *a = context;

    a->count++;
    a->type = reply ? reply->type : 0;
    a->integer = reply ? reply->integer : 0;
    a->len = reply ? reply->len : 0;
    a->text[0] = 0;
    if (reply && reply->str)
        snprintf(a->text, sizeof(a->text), "%s", reply->str);
}

/* Words apart by blanks; the key is the second one. */
__attribute__((format(printf, 3, 4))) static inline void site_give(struct site *s, struct answer *a,
                                                                   const char *format, ...)
{
    char line[SITE_TEXT], *save = NULL;
    struct bytes argv[16];
    int argc = 0;
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = bytes_text(word);
    redis_command(s->redis, argv, argc, argc > 1 ? 1 : -1, a ? answer_done : NULL, a);
}

/* The same, and its answer. */
#define SITE_ASK(s, a, ...)                                                                        \
    do {                                                                                           \
        *(a) = (struct answer){0};                                                                 \
        site_give((s), (a), __VA_ARGS__);                                                          \
        SITE_AWAIT((s), (a)->count);                                                               \
    } while (0)
