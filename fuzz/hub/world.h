/*
 * world - the real hub, api and protocols on the fake kernel and clock of the sim tests.
 *
 * Owner:   one run: world_open to world_close.      Thread: one.
 */
#pragma once
#include <stdint.h>
#include "wire/identity.h"

/* Values under which the edges are near. */
enum {
    WORLD_SHARDS_MAX = 3,
    WORLD_SOCKETS = 9,     /* pushca.pusher.socket-pool-size */
    WORLD_DELIVERIES = 4,  /* pushca.limits.open-deliveries */
    WORLD_QUEUE = 1 << 18, /* pushca.limits.queue-bytes */
    WORLD_ACK_MS = 1000,   /* pushca.acknowledge-timeout.ms */
};

/* seed: of everything random. */
void world_open(uint32_t shards, uint64_t seed);

/* Drains, and looks whether anything is left: a socket, a byte, a count. */
void world_close(void);

/* A peer connects to a door of one shard; the descriptor is its own end as well. */
int world_connect_rest(uint32_t shard);
int world_connect_ws(uint32_t shard);

/* Turns of all shards until nothing moves. attend: what peers do by themselves meanwhile. */
void world_settle(void (*attend)(void));
void world_advance(int64_t ms, void (*attend)(void));

/* Milliseconds since world_open. */
int64_t world_now(void);

/* A connection token, zero-terminated; valid until the next call. */
const char *world_token(const struct identity *who);
