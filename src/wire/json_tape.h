/*
 * json_tape - words of the tape described in json_dom.h. Private to the JSON reader.
 *
 * Thread:  any.      Owner: see json_dom.h; all views are into it.
 */
#pragma once
#include "wire/json_dom.h"

enum tape_type {
    TAPE_OBJECT = '{',
    TAPE_OBJECT_END = '}',
    TAPE_ARRAY = '[',
    TAPE_ARRAY_END = ']',
    TAPE_STRING = '"',
    TAPE_INT = 'l',
    TAPE_UINT = 'u',
    TAPE_DOUBLE = 'd',
    TAPE_TRUE = 't',
    TAPE_FALSE = 'f',
    TAPE_NULL = 'n',
};

/* What the tape's count of members says when it is not exact. */
enum { TAPE_MANY = 0xffffff };

static inline enum tape_type tape_type(const struct json_doc *d, size_t at)
{
    return (enum tape_type)(d->tape[at] >> 56);
}

static inline uint64_t tape_payload(const struct json_doc *d, size_t at)
{
    return d->tape[at] & (UINT64_MAX >> 8);
}

/* Of a container: index behind its end. */
static inline size_t tape_behind(const struct json_doc *d, size_t at)
{
    return (uint32_t)d->tape[at];
}

static inline size_t tape_count(const struct json_doc *d, size_t at)
{
    return d->tape[at] >> 32 & TAPE_MANY;
}

static inline bool tape_is_number(enum tape_type t)
{
    return t == TAPE_INT || t == TAPE_UINT || t == TAPE_DOUBLE;
}

/* Index behind the whole value at that index. */
static inline size_t tape_skip(const struct json_doc *d, size_t at)
{
    enum tape_type t = tape_type(d, at);

    if (t == TAPE_OBJECT || t == TAPE_ARRAY)
        return tape_behind(d, at);
    return at + (tape_is_number(t) ? 2 : 1);
}

static inline struct bytes tape_string(const struct json_doc *d, size_t at)
{
    const unsigned char *p = d->strings + tape_payload(d, at);
    uint32_t len;

    memcpy(&len, p, sizeof(len));
    return bytes_of((const char *)p + sizeof(len), len);
}
