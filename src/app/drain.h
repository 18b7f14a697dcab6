/*
 * drain - the end of a shard: no new work, sockets closed politely, then the loop stops.
 *
 *   DOORS --closed on all shards--> WAITING --one look--> CLOSING --no socket anywhere--> stopped
 *      \------------------------time is over------------------> OVERDUE --one look: cut--/
 *
 * Thread:  the shard's.      Bound: settings.drain_ms; what is still open then is cut.
 * Promise: what was accepted before the doors closed is queued before its receiver's Close; who has
 *          something to acknowledge is closed after it did, or when that has expired.
 */
#pragma once
#include "hub/shard.h"

/* NOTE_DRAIN; a second one cuts at once. */
void drain_on_note(struct shard *s, struct note *n);
