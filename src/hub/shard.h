/*
 * shard - one thread's world: its loop, sockets, clients, and what it has to say to the others.
 * hub   - what all shards share: settings, gates, the list of shards. Immutable but for the
 * atomics.
 *
 * Owner:   main makes the hub and its shards before the threads and frees them after.
 * Thread:  a shard belongs to its thread; from outside only hub_tell.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/vec.h"
#include "flow/inbox.h"
#include "flow/loop.h"
#include "hub/bus.h"
#include "hub/gate.h"
#include "hub/index.h"
#include "hub/note.h"
#include "hub/presence.h"
#include "hub/repeats.h"
#include "hub/settings.h"
#include "hub/shed.h"
#include "net/conn.h"

struct drain;
struct hub;
struct shard;

typedef void note_handler(struct shard *s, struct note *n); /* the caller frees n */

/* The end of a process, summed over its shards by app/drain.c. */
struct drain_sum {
    _Atomic uint32_t begun, empty; /* shards that accept nobody more; that have no socket left */
    _Atomic uint32_t closed, cut;  /* WebSockets told to go; connections that did not end in time */
    _Atomic int64_t dropped_bytes; /* that were queued for those */
};

/* Notes for one thread, to be handed over in POST. */
struct outbox {
    struct inbox_link *first, *last;
    size_t weight;
};

struct hub {
    _Atomic(const struct settings *) settings; /* the newest; good until the handler returns */
    struct shard **shards;
    uint32_t count;
    struct hash_key key; /* of this process */
    struct gate sockets, http_conns, handshakes;
    note_handler *on_note[NOTE_KINDS]; /* filled once, in app/start.c; null: not expected */
    bool (*on_ready)(void *shard, uint64_t tag, uint32_t events); /* READ: conns; as loop_hooks */
    bool (*on_late)(void *shard, uint64_t tag, uint32_t events);  /* LATE: listeners, too */
    void (*on_park)(void *shard, uint64_t tag);                   /* LATE: conns */
    void (*discard)(struct arrival *a); /* for arrivals still in a note at the end */
    _Atomic bool ready, draining;       /* for health */
    struct bus bus;                     /* to the other nodes of a cluster */
    struct drain_sum drain;
    struct tls_context *tls;   /* the newest; borrowed, read at NOTE_RELOAD; null: all is plain */
    _Atomic uint32_t reloaded; /* shards that have the newest settings; app/reload.c */
    int64_t started_wall_ms, started_mono_ms;
    const char *version; /* of the build, for those who ask; null: unknown */
};

struct shard {
    uint32_t number;
    struct hub *hub;
    struct loop loop;
    struct net net;
    struct inbox inbox;
    struct index index;
    struct presence presence; /* in a cluster */
    struct members *members;  /* in a cluster: a count of the newest; null: none known */
    uint32_t evicted;         /* in a cluster: how far NOTE_EVICT has got among the sockets */
    uint32_t hearing;         /* in a cluster: ADOPT and ELSEWHERE from its thread, so far, */
    _Atomic uint32_t heard;   /* and how many of them are done */
    struct repeats repeats;
    struct shed shed;
    struct rand rand;
    struct map asks;       /* ask.name -> struct ask */
    struct map deliveries; /* message id -> struct delivery */
    struct map searches;   /* findAny under way */
    struct map turns;      /* findAny: filter hash -> whose turn */
    struct list turns_oldest;
    _Atomic uint32_t alive; /* answers to NOTE_ALIVE */
    uint64_t last_name;     /* of asks, searches, sessions: never used twice */
    struct vec matches;     /* scratch of fanout */
    void *api;              /* the api room's part: parser, arena, listeners */
    struct drain *drain;    /* app/drain.c: the end under way, nobody is let in; or null */
    struct outbox *staged;  /* one per shard, and one for the cluster thread */
};

/* ERR_FULL, ERR_IO: the system refused a descriptor. */
MUST_USE enum err hub_open(struct hub *h, const struct settings *settings);
void hub_close(struct hub *h);

/* Before the threads run: this process is a node of a cluster, whose thread reads that inbox; key:
   of identity hashes, the same on every node. Until the thread says otherwise the bus is away. */
void hub_join(struct hub *h, struct inbox *cluster, const struct hash_key *key);

/* The shard where everything of this identity lives. */
struct shard *hub_home(struct hub *h, uint64_t identity_hash);

/* What the memory held forbids; each step includes those before it. */
enum hub_step { HUB_NO_CONNECTIONS, HUB_NO_SENDS, HUB_NO_READERS };

/* How much memory may be held before that step is taken: with the next one at the latest. */
int64_t hub_step_bytes(const struct hub *h, enum hub_step step);

/* Over it; the first two also while the system has no memory to give. */
bool hub_is_at(const struct hub *h, enum hub_step step);

static inline int64_t shard_now(const struct shard *s)
{
    return s->loop.now_ms;
}

/* A zeroed note of that kind, from this shard, or by the number of whoever it is from. */
struct note *note_new(const struct shard *s, enum note_kind kind);
struct note *note_from(uint32_t from, enum note_kind kind);

/* Also what it holds. */
void note_free(struct hub *h, struct note *n);

/* Staging and handing over, for whoever has an outbox for each shard and for the cluster thread. */
void outbox_add(struct outbox *o, struct note *n, size_t weight);
void outbox_hand_over(struct hub *h, struct outbox *all);

/* Stages n for shard `to`, which may be this one, or the cluster thread (hub->count); taken. Handed
 * over in POST. */
void shard_post(struct shard *s, uint32_t to, struct note *n, size_t weight);

/* Around ADOPT and ELSEWHERE. The cluster thread knows by the count which of what it said had been
   done when a client left, and, when all is done, that presence shows it. */
void shard_hears(struct shard *s, const struct note *n);
void shard_has_heard(struct shard *s);
bool shard_knows(const struct shard *s, uint32_t number); /* any thread: has it done so many? */

/* From main, at any time: a bare note of that kind to every shard. */
void hub_tell(struct hub *h, enum note_kind kind);

/* One thread's body: turns until its loop stops. */
void shard_run(void *shard);
void shard_turn(struct shard *s, int64_t max_wait_ms); /* for the sim */
