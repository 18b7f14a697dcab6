/*
 * directory_state - what the directory's files share; private to directory*.c.
 *
 *   directory.c        entries: put, remove, and repeating what failed
 *   directory_hands.c  entries that become ours, or another node's, if they are as expected
 *   directory_part.c   our part on each master: marks, and writing all clients again
 *   directory_look.c   questions, and the order of their answers
 *   directory_sweep.c  removing what ended lives left behind; which lives have ended
 *
 * Owner:   the directory.      Thread: the cluster thread.
 */
#pragma once
#include <stddef.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/vec.h"
#include "cluster/directory.h"
#include "cluster/directory_cache.h"
#include "cluster/directory_part.h"
#include "cluster/record.h"
#include "cluster/redis.h"
#include "flow/wheel.h"

enum {
    DIRECTORY_RETRY_MS = 1000,
    DIRECTORY_STRANGER_MS = 10000, /* a life nobody has heard of for so long has ended */
    DIRECTORY_LIVES_MAX = 1024,
    DIRECTORY_SETTLE_MAX = 65536,
};

/* One command under way; freed by whoever takes its reply, or at the end. */
struct op {
    struct list link;
    struct directory *d;
    uint64_t hash;
    uint32_t master, round; /* of the part it was given for */
    bool superseded;        /* a later write of the same entry is under way */
    bool put;               /* of the writes: put or put again, else remove */
    bool wanted;            /* of put again: as in struct again */
    directory_put_done *done;
    directory_done *did;
    void *context;
    uint64_t token;
    struct question *question;
    struct proof *proof;
};

struct directory {
    struct loop *loop;
    struct redis *redis;
    const struct membership *members;
    struct directory_settings set;
    struct directory_events events;
    struct rand rand;
    struct buf owner;  /* our value */
    struct buf left;   /* and what stands there for a while when a client of ours has left */
    struct buf key;    /* scratch */
    struct list ops;   /* under way */
    struct map writes; /* hash -> the last write under way */
    struct map settle; /* hash -> a write that failed */
    struct directory_cache cache;
    bool withdrawn;
    /* directory_part */
    struct part *parts;
    uint32_t part_count;
    int64_t still_ms; /* until then the masters have to stand still */
    bool listing;
    struct again *queue;
    size_t queue_head, queue_len, queue_cap, under_way;
    struct vec later; /* struct again, owned: looked at again with a coming beat */
    /* directory_look */
    struct list asks; /* in their order */
    struct map questions;
    struct list all_questions;
    struct list proofs;
    bool answering;
    /* directory_sweep */
    struct map lives;
    struct list lives_oldest_first;
    struct sweep {
        bool active, again, failed, saw_stranger;
        bool all;    /* this pass: every master, not only those that are suspect */
        bool urgent; /* somebody waits for it: no routine */
        bool scanning;
        bool begun; /* the master at hand: its first keys have been asked for */
        bool own;   /* and entries of ours are looked at, too */
        uint32_t master, next;
        char cursor[24];
        size_t outstanding;
        int64_t begun_ms, due_ms;
        int64_t rest_ms; /* then there is a pause */
        struct timer timer;
    } sweep;
};

/* ---- directory.c ---- */
struct op *directory_op(struct directory *d, uint64_t hash);
void directory_op_free(struct op *op);
bool directory_same(const void *item, const void *key); /* of maps whose key is the hash */
struct bytes directory_client_key(struct directory *d, uint64_t hash); /* until the next */
uint32_t directory_master_of(struct directory *d, uint64_t hash);
struct bytes directory_text(const struct redisReply *r);
bool directory_is_string(const struct redisReply *r);
struct op *directory_write_op(struct directory *d, uint64_t hash, bool put); /* now the last */
void directory_write_done(struct op *op);
void directory_settle(struct directory *d, uint64_t hash, bool put);
void directory_settled(struct directory *d, uint64_t hash);
void directory_settle_wanted(struct directory *d); /* the failed puts, for a list */
bool directory_is_wanted(const struct directory *d, uint64_t hash); /* is it one of them? */
bool directory_is_here(const struct directory *d, uint64_t hash);

/* ---- directory_hands.c ---- */
void directory_replace(struct op *op, struct bytes old, struct bytes value, redis_done *done);

/* ---- directory_look.c ---- */
void directory_look_init(struct directory *d);
void directory_look_fini(struct directory *d);
void directory_look_forget(struct directory *d, uint64_t hash);
