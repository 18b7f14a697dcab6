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
    COUNTS_KEPT_MS = 250, /* findAny: how long another node's count is good */
    BATCH_BYTES = 256 * 1024,
    /* Under way to one peer. All peers may send to it at once, and Redis cuts a subscriber off for
       which 32 MB wait (client-output-buffer-limit). */
    FLIGHT_BYTES = 16 * 1024 * 1024,
    FLIGHT_LEAST = 512 * 1024,
    FLIGHT_MOST = 4 * 1024 * 1024,
};

/* A message on its way out: it waits until it is known whereto. */
struct waiting {
    struct notification *notification; /* a count */
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
    int64_t renewed_ms;       /* subscriptions were made anew */
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
    size_t inbox_bytes; /* of a shard: over it nothing is read for it */
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
    struct map arrivals; /* token -> struct pending_arrival */
    struct list arrivals_oldest, arrivals_moving;
    uint64_t moved;       /* hash: the put that is answered next was a move */
    struct map tallies;   /* filter hash -> struct tally */
    struct map queries;   /* name -> struct query */
    struct vec elsewhere; /* struct absent: ours, but connected to another node later */
    uint64_t last_name;
    uint32_t list_shard, list_cursor; /* our clients, being listed again */
    bool listing;
    bool ending, gone; /* the shards have ended; BYE is said */
    bool withdrawn;    /* and our record is being taken out */
    int64_t end_ms;    /* when we stop at the latest */
    struct cluster_urls urls;
    int64_t unconfirmed, queued; /* as metered */
};

static inline int64_t cluster_now(const struct cluster *c)
{
    return c->loop.now_ms;
}

/* A note to a shard, staged. */
struct note *cluster_note(enum note_kind kind, const struct cluster *c);
void cluster_post(struct cluster *c, uint32_t shard, struct note *n, size_t weight);

/* ---- forward.c ---- */

/* NOTE_FORWARD, and what came astray. Takes a count of its own. */
void forward(struct cluster *c, struct notification *n, enum forward_kind kind, uint32_t attempts);
void forward_release(struct cluster *c); /* what is ready and first in line */
void forward_retry(struct cluster *c);   /* Redis is back: asks again */
void forward_to(struct cluster *c, struct peer *p, const struct envelope *e);
void forward_to_all(struct cluster *c, const struct envelope *e);
void forward_forget_all(struct cluster *c);

/* What a peer never confirmed, now that it has gone. */
void forward_take_back(struct cluster *c, struct peer *p, bool died);

/* ---- take.c ---- */

void take(struct cluster *c, struct peer *p, struct bytes item);

/* The notification an item stands for, without what acknowledged ones have besides. */
struct notification *take_notification(struct cluster *c, const struct envelope *e);

/* A shard that has ended left notes: what others need of them is passed on. */
void take_over(struct cluster *c);

/* ---- find.c ---- */

void find_start(struct cluster *c, struct notification *n, uint32_t attempts);
void find_on_pick(struct cluster *c, const struct note *n);
void find_on_counted(struct cluster *c, const struct note *n);
void find_take_count(struct cluster *c, const struct peer *p, const struct envelope *e);
void find_take_counted(struct cluster *c, const struct peer *p, const struct envelope *e);
void find_take_pick(struct cluster *c, const struct envelope *e);
void find_tick(struct cluster *c);
void find_forget_all(struct cluster *c);

/* ---- arrivals.c ---- */

void arrivals_on_register(struct cluster *c, struct note *n);
void arrivals_on_put(void *cluster, uint64_t token, bool written);
bool arrivals_is_here(void *cluster, uint64_t hash);
void arrivals_on_moved(void *cluster, uint64_t hash);
void arrivals_on_confirmed(struct cluster *c); /* some peer has confirmed something */
void arrivals_tick(struct cluster *c);
void arrivals_forget_all(struct cluster *c);
void arrivals_list(struct cluster *c);      /* from now on all of ours are listed again */
void arrivals_list_some(struct cluster *c); /* a slice of that */
void arrivals_elsewhere(struct cluster *c, uint64_t hash); /* ours, it is said: is it? */
void arrivals_are_elsewhere(void *cluster, uint64_t hash); /* surely */

/* ---- courier.c ---- */

void courier_write(struct cluster *c);
void courier_on_message(void *cluster, struct bytes channel, struct bytes payload);
void courier_confirm(struct cluster *c, struct peer *p); /* now, what came from it */
void courier_tick(struct cluster *c);
void courier_beat(struct cluster *c);          /* to us and to every peer */
bool courier_is_done(const struct cluster *c); /* everything is confirmed */

/* ---- beats.c ---- */

void beats_on_echo(struct cluster *c);
void beats_judge(struct cluster *c); /* away? joined? deaf? */
void beats_tick(struct cluster *c);
