/*
 * directory - which node a client is on: in Redis for all, and what of it was looked up lately.
 *
 * Redis:   <prefix>:client:<identity hash, 16 hex digits>  ->  "<instance id> <life, 16 hex>"
 *          "~" in front of that for left_ms: the client has left, and caches may not know it yet
 *          <prefix>:whole:{tag}:<instance id>  ->  "<life> <random>": this node's clients are all
 *          in that master since it chose that random number; "-<random>" until they are. Runs out
 *          after four beats.
 *          No identity is stored, only a hash keyed by the cluster's secret.
 * Trust:   "no such client" counts only if every living node's mark stands in that master before
 *          and after the entry was missed, unchanged: after FLUSHALL, a restart, a failover or a
 *          full memory it does not, until each node has written its clients again. Until then the
 *          answer is UNSURE: ask everybody. So it is for an entry of a life nobody knows (yet).
 * Strays:  a Redis process that is not the one before may know an older truth (it was started from
 *          what it had saved, or took over from a master it lagged behind): then each node looks
 *          for entries of its own whose client is not here, and removes them.
 * Owner:   the cluster thread.      Thread: that one's.
 * Bound:   cache_entries; the oldest answer is forgotten first. Lookups under way share one
 *          question. Writing again: 4,096 commands under way, the rest as hashes.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"
#include "cluster/peer.h"

struct directory;
struct loop;
struct membership;
struct redis;

struct directory_settings {
    const char *prefix, *id; /* the prefix without braces */
    uint64_t life;
    int64_t cache_ms;       /* pushca.coordinator.cache.search.ttl-ms, default 5000; 0: no cache */
    uint32_t cache_entries; /* pushca.cluster.cache-entries, default 262144 */
    int64_t left_ms;        /* so long others may remember who has left, or be about to */
};

/* All but on_list and on_contest may be null; without is_here all that are listed are here. */
struct directory_events {
    void *context;
    /* Clients of ours have to be written again. The owner lists them all by directory_put_again,
       now or bit by bit, and ends with directory_listed. */
    void (*on_list)(void *context);
    /* The entry was another node's before (of whatever life): everybody's cache must know. */
    void (*on_moved)(void *context, uint64_t hash);
    /* Put again, and the entry is this living peer's. Said once a beat, until is_here says no or
       the entry is not theirs any more. */
    void (*on_contest)(void *context, uint64_t hash, struct peer *peer);
    /* Is it still a client of this process, or about to be one? Asked right before it is written
       again, and before an entry of ours is removed as a stray. */
    bool (*is_here)(void *context, uint64_t hash);
};

enum directory_answer {
    DIRECTORY_FOUND,  /* at this peer */
    DIRECTORY_HERE,   /* it names us */
    DIRECTORY_NOBODY, /* nowhere, surely */
    DIRECTORY_UNSURE, /* the directory is not whole, or its answer makes no sense */
    DIRECTORY_FAILED, /* Redis did not answer */
};

typedef void directory_found(void *context, uint64_t token, enum directory_answer answer,
                             struct peer *peer);

enum directory_put {
    DIRECTORY_WRITTEN,
    DIRECTORY_MOVED, /* written, and another node had it before */
    DIRECTORY_UNWRITTEN,
};

typedef void directory_put_done(void *context, uint64_t hash, uint64_t token,
                                enum directory_put put);

MUST_USE struct directory *directory_open(struct loop *loop, struct redis *redis,
                                          const struct membership *members,
                                          const struct directory_settings *set,
                                          const struct directory_events *events);

/* The redis has been closed before, quietly: nobody is called any more. Before the membership. */
void directory_close(struct directory *d);

/* True: answered from the cache (FOUND only). */
bool directory_cached(struct directory *d, uint64_t hash, struct peer **peer);

/* found is called later, in the order asked over all hashes. */
void directory_look_up(struct directory *d, uint64_t hash, directory_found *found, void *context,
                       uint64_t token);

/* Asks Redis who has it now, never the cache nor a question that is under way. In the same order.
 */
void directory_verify(struct directory *d, uint64_t hash, directory_found *found, void *context,
                      uint64_t token);

/* A client of ours is here. done: when Redis has said so, or could not: then the node's mark is
   taken back, and the writing repeated until it succeeds or the client is removed. done may be
   null. Others may take "nobody" for an answer while directory_may_mislead. */
void directory_put(struct directory *d, uint64_t hash, directory_put_done *done, void *context,
                   uint64_t token);
void directory_remove(struct directory *d, uint64_t hash); /* if the entry is ours; repeated, too */

/* It is another node's: a put that failed is not repeated. */
void directory_give_up(struct directory *d, uint64_t hash);

/* did: whether it is so now; false also if Redis has not answered. */
typedef void directory_done(void *context, uint64_t hash, uint64_t token, bool did);

/* A client of ours is back: put, unless a living node has the entry. What Redis refuses to write is
   done all the same, and repeated as a put that failed. */
void directory_take(struct directory *d, uint64_t hash, directory_done *done, void *context,
                    uint64_t token);

/* A client of ours has left, and that peer has an older socket of it: if the entry is ours, it
   becomes theirs; what fails is repeated as a remove. */
void directory_hand_over(struct directory *d, uint64_t hash, const struct peer *to,
                         directory_done *done, void *context, uint64_t token);

void directory_put_again(struct directory *d, uint64_t hash); /* between on_list and listed */
void directory_listed(struct directory *d);

/* Another node said so, or it became clear: what the cache says of it is not used any more. */
void directory_forget(struct directory *d, uint64_t hash);
void directory_forget_peer(struct directory *d, const struct peer *p);

/* A life has ended: if this node is the first of the living ones, all entries of ended lives are
   removed, a slice at a time. From on_gone, on every node; nothing for a life that membership
   has not seen end. */
void directory_sweep(struct directory *d, const char *id, uint64_t life);

/* From the owner of redis' events, and once each beat: do our marks still stand? */
void directory_on_master(struct directory *d, uint32_t master);
void directory_beat(struct directory *d);

/* This node lives anew: all its clients are written again under that life. */
void directory_begin(struct directory *d, uint64_t life);

bool directory_is_whole(const struct directory *d); /* our part, on every master */

/* A put has failed, and a mark of ours may still stand, for directory_mark_ms at most: whoever
   misses that client is told that it is nowhere. */
bool directory_may_mislead(const struct directory *d);
bool directory_is_sweeping(const struct directory *d);
int64_t directory_mark_ms(const struct directory *d); /* how long a mark stands by itself */

/* At the end: takes back all marks. Entries of ours have been removed one by one, or are swept. */
void directory_withdraw(struct directory *d);
