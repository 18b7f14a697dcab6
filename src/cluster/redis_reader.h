/*
 * redis_reader - replies out of a stream of bytes, bounded: hiredis' reader, and an arena for what
 *                it finds, so that a reply costs no allocation of its own.
 *
 * Owner:   the link that embeds it.      Thread: its owner's.
 * Bound:   one reply: 64 MiB of text and a little, 1,048,576 elements, 7 levels (hiredis').
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

struct redisReader;
struct redisReply;

enum { REDIS_REPLY_BYTES = 65 * 1024 * 1024, REDIS_REPLY_ELEMENTS = 1024 * 1024 };

struct redis_reader {
    /* private to redis_reader.c */
    struct redisReader *reader;
    struct arena arena;
    size_t bytes, elements; /* of the reply in the arena, whole or not */
    bool given;             /* it is whole and was given out */
};

void redis_reader_init(struct redis_reader *r);
void redis_reader_fini(struct redis_reader *r);

/* From the beginning, for a new connection. */
void redis_reader_reset(struct redis_reader *r);

/* ERR_BAD: not the protocol, or past a bound; only reset helps. */
MUST_USE enum err redis_reader_feed(struct redis_reader *r, const char *at, size_t len);

/* ERR_AGAIN: no whole reply is there. A reply is good until the next call of this reader. */
MUST_USE enum err redis_reader_next(struct redis_reader *r, const struct redisReply **out);
