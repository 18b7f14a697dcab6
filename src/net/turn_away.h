/*
 * turn_away - connections there is no room for: told so in one short HTTP answer, and closed.
 *
 * Nothing of the request is waited for. Who comes to speak TLS is closed without a word: it would
 * take an answer in plain HTTP for broken TLS, and a handshake is what there is no room for.
 *
 * Owner:   the caller of what it counts.      Thread: the listener's.
 * Bound:   turned_away.most connections that linger; more are cut.
 */
#pragma once
#include <stdint.h>

struct listener;

enum { TURNED_AWAY_MAX = 64 }; /* of all threads; each has its share */

struct turned_away {
    uint32_t lingering, most;
};

/* Takes fd; 503, and its end is awaited for a moment so that no reset overtakes the answer. *t
   outlives those that linger. */
void turn_away(const struct listener *l, int fd, struct turned_away *t);

/* Takes fd, at once: there is no descriptor to spare for lingering. What the peer has said already
   is read into the net's buffer first, or closing would be a reset. */
void turn_away_now(const struct listener *l, int fd);
