/*
 * session - one WebSocket of one client. A client may have several (a pool): each message goes to
 *           exactly one of them.
 *
 * Owner:   made at adoption, freed when its socket has closed.      Thread: the client's home
 * shard.
 */
#pragma once
#include <stdint.h>
#include "base/list.h"
#include "net/ws_conn.h"
#include "wire/identity.h"

struct client;
struct shard;

struct session {
    struct ws_conn ws;
    struct client *client;
    struct list link; /* in client->sessions */
    uint64_t number;  /* distinct on its shard; order keys choose by it */
};

/* Adds the client to the index if needed. The ws of s is opened by the caller afterwards. */
struct session *session_new(struct shard *s, const struct identity *who, uint64_t hash);

/* Takes it out of the client, and the client out of the index when it was the last thing it had. */
void session_free(struct shard *s, struct session *session);

/* Gives f to one session of the client: the next in rotation that keeps up, or, with an order_key,
   always the same while the pool stays as it is. ERR_GONE: nobody took it (counted). */
MUST_USE enum err client_push(struct client *c, struct frame *f, uint64_t order_key);

/* For loops over many clients, whose records are in no cache: asks the memory for what client_push
   will need, the nearer to its turn the more. steps: how many clients are before it, from
   CLIENT_AHEAD down to 1. */
enum { CLIENT_AHEAD = 6 };
void client_prefetch(const struct client *c, int steps);

/* Has a session whose queue is moving. */
bool client_keeps_up(const struct client *c);

static inline struct session *session_of(struct ws_conn *w)
{
    return container_of(w, struct session, ws);
}
