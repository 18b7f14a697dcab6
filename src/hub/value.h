/*
 * value - one distinct value of one dimension, and the set of clients that have it.
 *
 * Owner:   the index.      Thread: the shard's.
 * Cost:    add and remove O(1). A set of one needs no memory of its own: accounts and devices
 * mostly have one client.
 */
#pragma once
#include <stdint.h>
#include "base/bytes.h"
#include "wire/identity.h"

struct client;

struct value {
    uint64_t hash;
    uint32_t len, count; /* of text; clients in the set */
    uint32_t cap;        /* private to value.[ch] */
    uint32_t bitmap;     /* private to overlap.c; 0: it has none */
    union {
        struct client *one; /* cap 1 */
        struct client **many;
    } set; /* private to value.[ch] */
    char text[];
};

struct value *value_new(uint64_t hash, struct bytes text); /* nobody has it yet */
void value_free(struct value *v);

void value_add(struct value *v, enum dimension d, struct client *c);

/* c must be in the set. */
void value_remove(struct value *v, enum dimension d, const struct client *c);

static inline struct bytes value_bytes(const struct value *v)
{
    return bytes_of(v->text, v->len);
}

/* All in the set, until the next add or remove. */
static inline struct client *const *value_members(const struct value *v)
{
    return v->cap == 1 ? &v->set.one : v->set.many;
}
