/*
 * membership - which nodes there are: each renews a lease in Redis and reads the others'.
 *
 * Redis:   hash <prefix>:{nodes}, field: instance id, value: end of its lease in Redis' own time
 * and its record (cluster/record.h); field "!" + id: a life that is over. One script renews,
 *          buries, drops what is long over, and returns all. No clock of ours is compared.
 * Death:   a peer is suspected when two answers in a row show its lease ended (or a whole lease of
 *          answers does not know it: after FLUSHALL it writes itself again) and the bus brought
 *          nothing of it for half a lease. Redis then looks once more and buries that life, for all
 *          nodes: whoever sees the grave lets go of the peer. After a pause in the answers of half
 *          a lease nobody is suspected for a lease: Redis was away, and the others have to
 *          come back first. While it refuses to write (full) nobody dies either.
 *          A buried node that still lives (it was cut off or frozen) learns it with its next beat.
 * Owner:   the cluster thread.      Thread: that one's.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "base/vec.h"
#include "cluster/peer.h"
#include "flow/wheel.h"

struct loop;
struct redis;

enum { MEMBERSHIP_PEERS_MAX = 1023, MEMBERSHIP_ENDED = 256 };

struct membership_settings {
    const char *prefix; /* pushca.storage.redis.prefix, default "pushca"; no braces */
    const char *id;     /* this node's instance id */
    uint64_t life;      /* random, not 0 */
    const char *external_url, *internal_url, *browser_url, *cluster_url; /* null: none */
    int64_t lease_ms;    /* pushca.cluster.lease-ms, default 3000 */
    int64_t beat_ms;     /* pushca.cluster.beat-ms, default 500 */
    size_t window_bytes; /* of each peer's stream */
};

enum gone {
    GONE_BYE,   /* it said so, and what it had read by then */
    GONE_DIED,  /* it was buried */
    GONE_ANEW,  /* it ended without a word and is listed again, in another life */
    GONE_TO_US, /* it lives: it is our own life that is over (membership_begin) */
};

/* None of them may close the membership. Null: of no interest. */
struct membership_events {
    void *context;
    void (*on_peer)(void *context, struct peer *p);                /* is new */
    void (*on_gone)(void *context, struct peer *p, enum gone how); /* from the peers; freed after */
    void (*on_change)(void *context); /* after those of one beat: URLs, leaving, who there is */
    /* Somebody else with our id is listed. newer: it came after us, and we are not listed any more;
       with every beat. Else we have taken its place: it may be our own predecessor, just killed. */
    void (*on_twin)(void *context, bool newer);
    /* The others have buried this life: membership_begin another, or nobody knows us. With every
       beat until then. */
    void (*on_buried)(void *context);
};

struct membership {
    struct membership_settings set;
    struct membership_events events;
    struct redis *redis;
    struct loop *loop;
    struct timer timer;
    struct vec peers; /* struct peer, owned */
    uint32_t last_number;
    bool asked;          /* a beat is under way */
    bool leaving, deaf;  /* either is said with each beat: clients are better off elsewhere */
    bool silent;         /* no beats: our lease is to run out */
    bool unsure;         /* we were silent, and have not been told since whether we are buried */
    bool listed;         /* we have been, in this life */
    int64_t answered_ms; /* the last beat that was answered by a list; 0: none yet */
    bool refused;        /* Redis does not let us write (full) */

    /* private to membership.c */
    bool again, changed, withdrawn;
    uint64_t asked_life;
    int64_t steady_ms; /* answers have come without a pause since */
    char sha[41];      /* empty: not known yet */
    struct buf key, record;
    struct ended {
        uint64_t life;
        bool died;
        uint32_t epoch;        /* of its stream to us, */
        uint64_t read;         /* of which we have read the items below this number, */
        uint64_t skip;         /* and would have skipped so many more */
    } ended[MEMBERSHIP_ENDED]; /* a ring: lives that are over */
    uint32_t ended_next;
    struct vec zombies; /* struct zombie: buried, and listed all the same */
    void (*withdraw_done)(void *context);
    void *withdraw_context;
};

/* The first beat is sent by the timer, at once. */
void membership_open(struct membership *m, struct loop *loop, struct redis *redis,
                     const struct membership_settings *set, const struct membership_events *events);

/* Forgets all peers, quietly. The redis has been closed before, quietly: nothing is under way. */
void membership_close(struct membership *m);

void membership_beat(struct membership *m);  /* now, instead of when it is due */
void membership_leave(struct membership *m); /* listed as leaving from the next beat on, sent now */
void membership_deafen(struct membership *m, bool deaf); /* the same for as long as it is deaf, */
void membership_hush(struct membership *m,
                     bool silent); /* and no beats for as long as it is silent */

/* Another life of this node: all peers are gone to us, and new again with the next beat. */
void membership_begin(struct membership *m, uint64_t life);

/* Takes our record out, and beats no more; done is called when Redis has answered or cannot. */
void membership_withdraw(struct membership *m, void (*done)(void *context), void *context);

struct peer *membership_find(const struct membership *m, struct bytes id, uint64_t life);
struct peer *membership_numbered(const struct membership *m, uint32_t number);
void membership_bye(struct membership *m, struct peer *p); /* it has ended: gone, freed */

/* Was a peer, and will not be one again. Not so those that membership_begin let go. */
bool membership_has_ended(const struct membership *m, uint64_t life);

/* Of a life's stream: how many of the items from number `first` on need not be read again. */
uint64_t membership_has_read(const struct membership *m, uint64_t life, uint32_t epoch,
                             uint64_t first);

/* Of all nodes that are not leaving and that Redis gives messages to, ours too, the one that hash
   belongs to (rendezvous); null: ours. If there is none: of those that are not leaving; of all. */
struct peer *membership_home(const struct membership *m, uint64_t hash);

/* Of those nodes ours has the smallest id: it does what one of all has to do. */
bool membership_is_first(const struct membership *m);
