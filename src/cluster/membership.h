/*
 * membership - which nodes there are: each renews a lease in Redis and reads the others'.
 *
 * Redis:   hash <prefix>:{nodes}, field: instance id, value: the node's record with the end of its
 *          lease in Redis' own time. One script renews, drops what is long over, and returns
 *          all. No clock of ours is compared with anybody's.
 * Death:   a peer is gone when two beats in a row, half a lease apart or more, did not list it and
 *          it was not heard over the bus meanwhile; or when another life of its id is listed; or
 *          when it said BYE. While beats are not answered (or Redis refuses to write) nobody dies.
 * Owner:   the cluster thread.      Thread: that one's.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/vec.h"
#include "cluster/peer.h"
#include "flow/wheel.h"

struct loop;
struct redis;

struct membership_settings {
    const char *prefix; /* pushca.storage.redis.prefix, default "pushca" */
    const char *id;     /* this node's instance id */
    uint64_t life;      /* random, not 0 */
    const char *external_url, *internal_url, *browser_url, *cluster_url; /* null: none */
    int64_t lease_ms;    /* pushca.cluster.lease-ms, default 3000 */
    int64_t beat_ms;     /* pushca.cluster.beat-ms, default 500 */
    size_t window_bytes; /* of each peer's stream */
};

struct membership_events {
    void *context;
    void (*on_peer)(void *context, struct peer *p); /* is new */
    /* Is gone; freed after. died: its lease ended, else it said BYE or lives anew. */
    void (*on_gone)(void *context, struct peer *p, bool died);
    void (*on_change)(void *context); /* after those of one beat: URLs, leaving, who there is */
    /* Somebody else with our id lives: theirs is the newer life if `newer`. */
    void (*on_twin)(void *context, bool newer);
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
    bool leaving;        /* said with each beat */
    bool listed;         /* we have been, in this life */
    int64_t answered_ms; /* the last beat that was answered; 0: none yet */
    bool refused;        /* Redis does not let us write (full) */
};

void membership_open(struct membership *m, struct loop *loop, struct redis *redis,
                     const struct membership_settings *set, const struct membership_events *events);
void membership_close(struct membership *m); /* forgets all peers, quietly */

void membership_beat(struct membership *m);  /* now, instead of when it is due */
void membership_leave(struct membership *m); /* listed as leaving from the next beat on, sent now */

/* Takes our record out; done is called when Redis has answered or cannot. */
void membership_withdraw(struct membership *m, void (*done)(void *context), void *context);

struct peer *membership_find(const struct membership *m, struct bytes id, uint64_t life);
struct peer *membership_numbered(const struct membership *m, uint32_t number);
void membership_bye(struct membership *m, struct peer *p); /* it has ended: gone, freed */

/* Of all living nodes, ours too, the one that hash belongs to (rendezvous); null: ours. */
struct peer *membership_home(const struct membership *m, uint64_t hash);

/* Of the living nodes ours has the smallest id: it does what one of all has to do. */
bool membership_is_first(const struct membership *m);
