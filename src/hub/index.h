/*
 * index - a shard's clients, found by identity or by any of their dimensions.
 *
 * Every distinct value of a dimension is kept once, with the set of clients that have it; a client
 * points to its four values, so matching compares pointers, not strings.
 *
 * Owner:   the shard.      Thread: its own.
 * Cost:    find O(1); add and remove O(1) amortised. Select: the matches, and besides them a walk
 *          of the smallest set among the given dimensions, if that is under 256 clients or 1/256
 *          of all; if it is larger and one of several, 1.7 ns for every 512 clients (overlap.h).
 *          All wildcards: O(clients).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "hub/overlap.h"
#include "wire/identity.h"

struct value_counts;
struct value; /* one distinct value of one dimension */

struct client {
    uint64_t hash; /* of the identity, seeded per process: also names its home */
    struct value *value[DIMENSIONS];
    int64_t since_ms;     /* it is here: its first session opened, or it came back from elsewhere */
    struct list sessions; /* its open WebSockets, next to serve first */
    uint32_t session_count;
    uint32_t deliveries : 31; /* open acknowledged messages */
    bool elsewhere : 1;       /* in a cluster: it is connected to another node, later than here */
    /* private to index.c */
    uint32_t at[DIMENSIONS], at_all; /* places in the sets it is a member of */
    uint64_t skip;                   /* the select that excludes it */
};

/* Connected, and served by this node? */
static inline bool client_is_here(const struct client *c)
{
    return c->session_count > 0 && !c->elsewhere;
}

struct index {
    /* private to index.c */
    const struct hash_key *key;
    struct value_counts *counts; /* in a cluster: told of every value that comes and goes */
    struct map values[DIMENSIONS];
    struct map clients;
    struct vec all;
    struct overlap overlap;
    uint64_t skip;
};

void index_init(struct index *x, const struct hash_key *key);
void index_fini(struct index *x); /* must be empty */

/* Same on every shard of a process. Filters that differ only in the order of their exclude lists
   hash alike. */
uint64_t identity_hash(const struct hash_key *key, const struct identity *who);
uint64_t filter_hash(const struct hash_key *key, const struct filter *f);

struct client *index_find(const struct index *x, const struct identity *who, uint64_t hash);

/* By the hash alone, which outsiders cannot choose. */
struct client *index_find_hash(const struct index *x, uint64_t hash);

/* The client of that identity, made if there is none yet. */
struct client *index_get(struct index *x, const struct identity *who, uint64_t hash);

/* The client must have no session and no delivery; it is freed. */
void index_remove(struct index *x, struct client *c);

uint32_t index_count(const struct index *x);

/* Views into the index, valid while the client lives. */
struct identity client_identity(const struct client *c);

/* Appends to out every client that f matches and does not exclude, those with no session too.
   find_any is ignored. The order is the same for equal filters while nobody comes or goes. */
void index_select(struct index *x, const struct filter *f, struct vec *out);

/* The same question asked of one identity: the definition that index_select must agree with. */
bool filter_matches(const struct filter *f, const struct identity *who);
