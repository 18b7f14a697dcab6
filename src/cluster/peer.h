/*
 * peer - another node of the cluster, in one of its lives.
 *
 * A restarted node has another life (a random number): it is another peer. Numbers are never used
 * again, so that what was meant for an earlier life finds nobody.
 *
 * Owner:   membership.      Thread: the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "cluster/stream.h"

enum {
    INSTANCE_ID_MAX = 63,
    UNHEARD_MS = 1000, /* without a subscriber: longer than a new link takes */
};

struct peer {
    uint32_t number; /* from 1 */
    uint64_t life;
    char id[INSTANCE_ID_MAX + 1];
    char *external_url, *internal_url, *browser_url, *cluster_url; /* owned; null: none */
    bool leaving;                                                  /* said so: no new clients */
    int64_t listed_ms;   /* when its lease was last seen to hold */
    int64_t heard_ms;    /* when a batch of this life last came over the bus; 0: never */
    uint32_t unlisted;   /* answered beats in a row that did not list it */
    int64_t unlisted_ms; /* since */
    uint64_t id_hash;    /* the same on every node */
    bool lapsed, told;   /* private to membership.c, of one answer */
    size_t taken_bytes;  /* that came since we last confirmed */
    uint32_t resends;    /* in vain, one after the other */
    int64_t unheard_ms;  /* since when what is published for it has no subscriber; 0: it has */
    uint64_t skip;       /* so many of its next items were read when its former life sent them */
    /* Its clock: the least our time has been ahead of its batches', in this and in the last
       interval; and of the batch being read, its time and how far our clock is ahead of that. */
    int64_t ahead_ms[2], ahead_since_ms;
    int64_t batch_ms, clock_ms;
    struct stream stream;
};

/* Redis says that it does not listen, and not only while it makes a new link. */
static inline bool peer_is_unheard(const struct peer *p, int64_t now_ms)
{
    return p->unheard_ms && now_ms - p->unheard_ms >= UNHEARD_MS;
}
