#include "cluster/redis_reader.h"

#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <string.h>
#include "base/check.h"

/* Status, error and number are one line each; hiredis looks for its end again with every feed. */
enum { LINE_BYTES = 64 * 1024, LENGTH_BYTES = 32 };

enum { KEEP_BYTES = 16 * 1024 }; /* an empty buffer larger than this is given back */

/* ---- what hiredis calls; null: it gives up, and so do we ---- */

static redisReply *make(const redisReadTask *task, size_t bytes, size_t elements)
{
    struct redis_reader *r = task->privdata;
    redisReply *reply;

    r->bytes += bytes;
    r->elements += elements + 1;
    if (r->bytes > REDIS_REPLY_BYTES || r->elements > REDIS_REPLY_ELEMENTS)
        return NULL;
    reply = arena_alloc(&r->arena, sizeof(*reply));
    *reply = (redisReply){.type = task->type};
    if (task->parent) {
        redisReply *parent = task->parent->obj;

        parent->element[task->idx] = reply;
    }
    return reply;
}

static void *make_string(const redisReadTask *task, char *at, size_t len)
{
    struct redis_reader *r = task->privdata;
    redisReply *reply = make(task, len, 0);

    if (!reply)
        return NULL;
    reply->str = arena_alloc(&r->arena, len + 1);
    memcpy(reply->str, at, len);
    reply->str[len] = 0;
    reply->len = len;
    return reply;
}

static void *make_array(const redisReadTask *task, int elements)
{
    struct redis_reader *r = task->privdata;
    redisReply *reply;

    if (elements < 0 || elements > REDIS_REPLY_ELEMENTS)
        return NULL;
    reply = make(task, 0, (size_t)elements);
    if (!reply || elements == 0)
        return reply;
    reply->elements = (size_t)elements;
    reply->element = arena_alloc(&r->arena, reply->elements * sizeof(void *));
    memset(reply->element, 0, reply->elements * sizeof(void *));
    return reply;
}

static void *make_integer(const redisReadTask *task, long long value)
{
    redisReply *reply = make(task, 0, 0);

    if (reply)
        reply->integer = value;
    return reply;
}

static void *make_nil(const redisReadTask *task)
{
    redisReply *reply = make(task, 0, 0);

    if (reply)
        reply->type = REDIS_REPLY_NIL; /* the task's is that of what there is none of */
    return reply;
}

static void leave_to_arena(void *reply)
{
    (void)reply;
}

/* hiredis' type wants it writable; it never writes there. */
static redisReplyObjectFunctions functions = {
    .createString = make_string,
    .createArray = make_array,
    .createInteger = make_integer,
    .createNil = make_nil,
    .freeObject = leave_to_arena,
};

/* ---- the reader ---- */

void redis_reader_init(struct redis_reader *r)
{
    *r = (struct redis_reader){0};
    arena_init(&r->arena);
}

void redis_reader_fini(struct redis_reader *r)
{
    if (r->reader)
        redisReaderFree(r->reader);
    arena_fini(&r->arena);
    *r = (struct redis_reader){0};
}

/* Null: no memory. hiredis is kept from giving back a buffer by itself: it asserts that there is
   memory for the next one. */
static redisReader *new_reader(struct redis_reader *r)
{
    redisReader *reader = redisReaderCreateWithFunctions(&functions);

    if (!reader)
        return NULL;
    reader->privdata = r;
    reader->maxbuf = 0;
    return reader;
}

void redis_reader_reset(struct redis_reader *r)
{
    redis_reader_fini(r);
    redis_reader_init(r);
    r->reader = new_reader(r);
}

/* Between two replies; without memory for another one it stays. */
static void give_back(struct redis_reader *r)
{
    redisReader *old = r->reader, *reader;

    if (old->ridx >= 0 || old->len > old->pos || sdsalloc(old->buf) <= KEEP_BYTES)
        return;
    reader = new_reader(r);
    if (!reader)
        return;
    redisReaderFree(old);
    r->reader = reader;
}

enum err redis_reader_feed(struct redis_reader *r, const char *at, size_t len)
{
    size_t left;

    if (r->reader)
        give_back(r);
    if (!r->reader || redisReaderFeed(r->reader, at, len) != REDIS_OK)
        return ERR_BAD;
    left = r->reader->len - r->reader->pos;
    return left > REDIS_REPLY_BYTES + len ? ERR_BAD : ERR_OK;
}

/* What is left begins behind the type, and is not whole. */
static bool is_endless(const redisReader *reader)
{
    size_t left = reader->len - reader->pos;
    bool is_text = reader->ridx >= 0 && reader->rstack[reader->ridx].type == REDIS_REPLY_STRING;

    if (left <= LINE_BYTES)
        return false;
    return !is_text || !memchr(reader->buf + reader->pos, '\n', LENGTH_BYTES);
}

enum err redis_reader_next(struct redis_reader *r, const struct redisReply **out)
{
    void *reply = NULL;

    if (r->given) {
        arena_reset(&r->arena);
        r->bytes = r->elements = 0;
        r->given = false;
    }
    if (!r->reader || redisReaderGetReply(r->reader, &reply) != REDIS_OK)
        return ERR_BAD;
    if (!reply)
        return is_endless(r->reader) ? ERR_BAD : ERR_AGAIN;
    r->given = true;
    *out = reply;
    return ERR_OK;
}
