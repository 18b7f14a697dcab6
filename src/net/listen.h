/*
 * listen - accepts connections of one port on one shard.
 *
 * Owner:   embedded in the api room's per-shard part.      Thread: the shard's.
 * Bound:   at most 16 accepts a turn. Out of descriptors: a spare one is given up for a moment to
 *          accept and turn away (turn_away.h), so that the peer is told instead of hanging. When
 *          that one is lost to another thread, accepting rests for a moment.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "net/conn.h"

struct listener {
    struct net *net;
    int fd, spare_fd;
    uint64_t tag;
    bool is_secure; /* what it accepts speaks TLS: nothing is accepted while handshakes wait */
    struct timer rested;
    void *user;
    void (*on_accept)(struct listener *l, int fd); /* takes fd */
};

/* Takes fd, a listening socket. index: 0 to 3, distinct within the net. */
MUST_USE enum err listener_open(struct listener *l, struct net *n, int fd, uint32_t index,
                                void (*on_accept)(struct listener *, int), void *user);
void listener_close(struct listener *l); /* twice is fine */

/* The loop's READ: whose descriptor is it, and what to do. */
bool listener_owns(uint64_t tag, uint32_t index);
bool listener_on_ready(struct listener *l); /* true: there may be more */

/* Accepts everybody who has connected already, then closes: nobody who waits is reset. */
void listener_finish(struct listener *l);
