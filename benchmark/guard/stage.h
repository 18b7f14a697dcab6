/*
 * stage - the real hub, api and protocols on the fake kernel of the sim tests, and what talks to
 *         them: peers that send ready bytes and compare what comes back.
 *
 * Owner:   one stage a process; a peer's buffers are the scenario's.      Thread:  one.
 * Cost:    the peers work outside of the server's turns, so their instructions are not counted.
 * Errors:  every one ends the run with a line (sim_fail).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "wire/identity.h"

struct peer {
    struct buf says;    /* what it sends, as it goes over the wire */
    size_t message_at;  /* where the WebSocket payload begins in says */
    struct bytes hears; /* what must have come back at the end of a round; borrows */
    size_t any_at, any; /* bytes of hears that may be anything: from where, how many */
    char came[48];      /* the first of those bytes, as they came */
    int fd;
    bool learns; /* the next that comes, a success of HTTP, is what it hears from then on */
};

/* settings: "KEY=VALUE", the last one null. */
void stage_open(const char *const *settings);

/* One of a workspace and an application that all clients share; its strings are never freed. */
struct identity stage_identity(int account, int device);

/* The request that opens a WebSocket, with a fresh token. */
void stage_write_hello(struct buf *out, const struct identity *who);

/* Connects to the WebSocket door of a shard and sends says; does not wait. */
void stage_knock(struct peer *p, uint32_t shard);

/* A WebSocket, open. */
void stage_connect(struct peer *p, const struct identity *who, uint32_t shard);

/* A connection to the REST door of a shard, and a POST request that it will send. */
void stage_call(struct peer *p, uint32_t shard);
void stage_write_post(struct buf *out, const char *path, struct bytes body);

/* Makes says one masked text frame. */
void stage_set_text(struct peer *p, struct bytes text);

/* Changes bytes of that text in place. */
void stage_change_text(struct peer *p, size_t at, struct bytes part);

/* An unmasked frame as the server sends it. */
void stage_write_frame(struct buf *out, struct bytes first, struct bytes second);

void stage_say(struct peer *p);

/* What has come and was not yet looked at. Pings in front of it are answered and dropped. */
struct bytes stage_heard(struct peer *p);
void stage_forget(struct peer *p);
uint64_t stage_pings(void); /* answered so far */

/* Turns of all shards, one each, until every one of the peers has heard as many bytes as it must;
   compares and forgets them. A millisecond passes. */
void stage_run(struct peer *peers, int count);

/* The peers end their connections; turns until the server has closed them all. */
void stage_hang_up(struct peer *peers, int count);

/* One turn of each shard. */
void stage_turn(void);
uint64_t stage_turns(void);
