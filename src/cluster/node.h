/*
 * node - what the cluster thread has in hand; shared by the files of this room, by nobody else.
 *
 *   notes ----> forward (waits for the directory) ----> streams ----> courier ----> redis
 *   notes <---- take, find, arrivals              <---- streams <---- courier <---- redis
 *
 * Owner:   cluster.c.      Thread: the cluster thread.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/rand.h"
#include "cluster/cluster.h"
#include "cluster/directory.h"
#include "cluster/membership.h"
#include "cluster/peer.h"
#include "cluster/probe.h"
#include "cluster/redis.h"
#include "flow/inbox.h"
#include "flow/loop.h"
#include "hub/shard.h"
#include "wire/envelope.h"

enum {
    HOPS_MAX = 3, /* from node to node */
    EXCLUDES_MAX = 1000000,
    TRIES_MAX = 5,          /* for one that comes or goes at this moment */
    HOPS_IF_HERE = 255,     /* not passed on: everybody was asked */
    TICK_MS = 100,          /* beats, resending and verdicts are looked at so often */
    ACK_AFTER_MS = 20,      /* what came is confirmed so late, if nothing goes there anyway */
    RESEND_AFTER_MS = 1000, /* unconfirmed; twice as long each time it is in vain, up to 8 s */
    RESEND_TWICE_MOST = 3,
    LATE_MOST_MS = 24 * 60 * 60 * 1000, /* what a peer's clock says beyond is nonsense */
    COUNTS_KEPT_MS = 250,               /* findAny: how long another node's count is good */
    BATCH_BYTES = 256 * 1024,
    CONFIRM_BYTES = 256 * 1024, /* taken of one peer: confirmed at once */
    /* Under way to one node, of all its peers together. Redis cuts a subscriber off for which 32 MB
       wait (client-output-buffer-limit): so much fits twice, before a gap and again after it. */
    FLIGHT_BYTES = 12 * 1024 * 1024,
    FLIGHT_MOST = 4 * 1024 * 1024, /* of one peer */
    /* Over the mark of a shard's inbox: more than peers have under way. It is as if the bus had
       lost the rest. */
    FLOOD_BYTES = 2 * FLIGHT_BYTES,
};

/* A message on its way out: it waits until it is known whereto. */
struct waiting {
    struct notification *notification; /* a count */
    struct receipt *receipt;           /* a count; null: nobody waits until others have it */
    enum forward_kind kind;
    uint32_t attempts; /* of FIND */
    uint32_t peer;     /* READY: number, or one of the following */
    enum { WAITING_ASKED, WAITING_RETRY, WAITING_READY } state;
    enum directory_answer answer; /* READY */
    uint8_t tries;                /* it is ours, said the directory, and it was not here */
    int64_t since_ms;
};

/* First in, first out: one order for all that leaves this node. */
struct queue {
    struct waiting *ring; /* of a power of two */
    uint32_t size, count;
    uint64_t first; /* number of the oldest */
    size_t bytes;
};

struct beat {
    int64_t sent_ms, sent_us; /* the last one */
    int64_t echo_ms;          /* the last one that came back; 0: none in this connection */
    int64_t away_ms;          /* since when; 0: not */
    int64_t renewed_ms;       /* subscriptions, or links, were made anew: an echo is due since */
    int64_t listed_ms;        /* we were first seen listed; 0: not yet */
    int64_t probed_ms, evicted_ms;
    bool subscribed;
};

struct cluster {
    struct hub *hub;
    struct arena texts; /* of set, id and urls: a reload of the configuration does not reach them */
    struct cluster_settings own;
    const struct cluster_settings *set; /* own */
    const char *id;
    struct loop loop;
    struct inbox inbox;
    struct outbox *staged;
    size_t inbox_bytes; /* of a shard: over it nothing is confirmed */
    struct redis *redis;
    struct membership members;
    struct directory *directory;
    struct probe *probe;
    struct rand rand;
    struct arena arena;
    struct buf batch, channel;
    struct timer tick;
    struct beat beat;
    struct queue queue;
    struct map rounds; /* number -> struct round */
    struct list rounds_oldest;
    size_t rounds_bytes;
    uint32_t last_round;
    struct list orphans; /* struct orphan, of former lives of ours */
    uint64_t former_life;
    struct list published; /* batches that Redis has not answered */
    struct map arrivals;   /* identity hash -> struct pending_arrival: one or more */
    struct list arrivals_oldest, arrivals_moving, arrivals_on_way;
    uint32_t *told; /* how many notes about clients each shard has been sent */
    struct elsewhere *elsewhere;
    struct map tallies; /* filter hash -> struct tally */
    struct list tallies_idle, tallies_asking;
    size_t parked_bytes; /* of findAny messages that wait for other nodes' counts */
    struct map queries;  /* name -> struct query */
    uint64_t last_name;
    uint32_t list_shard, list_cursor; /* our clients, being listed again */
    bool listing;
    bool ending, gone; /* the shards have ended; BYE is said */
    bool withdrawn;    /* and our record is being taken out */
    int64_t end_ms;    /* when we stop at the latest */
    struct cluster_urls urls;
    struct members *advertised;  /* since a reload: us alone; null: urls */
    int64_t unconfirmed, queued; /* as metered */
};

static inline int64_t cluster_now(const struct cluster *c)
{
    return c->loop.now_ms;
}

/* Another node has our id, and lives. */
void cluster_say_twin(const struct cluster *c);

/* A note to a shard, staged. */
struct note *cluster_note(enum note_kind kind, const struct cluster *c);
void cluster_post(struct cluster *c, uint32_t shard, struct note *n, size_t weight);
