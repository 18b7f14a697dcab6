/*
 * presence - which clients, and which values of dimensions, this process has: asked by every thread
 *            of a cluster node, without a lock.
 *
 * Clients: one table of identity hashes a shard, written by that shard alone. Open addressing;
 *          removal shifts back, so what is there may move to a lower slot while somebody looks: who
 *          did not find it looks again unless the table's version stood still.
 * Values:  counters by hash, so that a filter for values nobody here has is known at once; it may
 *          say yes for a value that only shares its counter.
 * Owner:   the hub, in a cluster only.      Bound: fixed at start from the socket limit; a table
 *          that is full all the same says yes to everything, and its shard knows better.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/hash.h"
#include "wire/identity.h"

struct presence {
    /* private to presence.c */
    _Atomic uint64_t *slots; /* 0: free */
    uint32_t mask, size;     /* of the hash; with the overflow behind it */
    uint32_t used;
    _Atomic uint32_t version; /* odd while something moves */
    _Atomic bool is_full;
};

enum { PRESENCE_VALUES = 1 << 18 };

struct value_counts {
    _Atomic uint32_t at[PRESENCE_VALUES];
};

/* most: how many clients it is made for. */
void presence_open(struct presence *p, uint32_t most);
void presence_close(struct presence *p);

/* By the shard; add: it is not in; remove: it may be in. */
void presence_add(struct presence *p, uint64_t hash);
void presence_remove(struct presence *p, uint64_t hash);

bool presence_has(const struct presence *p, uint64_t hash); /* any thread */

/* Any thread, from *cursor = UINT32_MAX down to 0, when all have been given: at most `most` hashes.
   Whoever is in all the time is given, perhaps twice. */
uint32_t presence_list(const struct presence *p, uint32_t *cursor, uint64_t *out, uint32_t most);

void value_counts_add(struct value_counts *v, int dimension, uint64_t hash, int n);

/* Might a client of this process match f? */
bool value_counts_may_match(const struct value_counts *v, const struct hash_key *key,
                            const struct filter *f);
