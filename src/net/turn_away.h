/*
 * turn_away - connections there is no room for: told so in one short HTTP answer, and closed.
 *
 * The answer is HTTP without TLS whatever the port speaks, and nothing of the request is waited
 * for.
 *
 * Owner:   the caller of what it counts.      Thread: the net's.
 * Bound:   TURNED_AWAY_MAX connections that linger, by the caller's count; more are cut.
 */
#pragma once
#include <stdint.h>
#include "net/conn.h"

enum { TURNED_AWAY_MAX = 64 };

/* Takes fd; 503, and its end is awaited for a moment so that no reset overtakes the answer.
 *lingering counts those that linger and outlives them. */
void turn_away(struct net *n, int fd, uint32_t *lingering);

/* Takes fd, at once: there is no descriptor to spare for lingering. What the peer has said already
   is read into the net's buffer first, or closing would be a reset. */
void turn_away_now(struct net *n, int fd);
