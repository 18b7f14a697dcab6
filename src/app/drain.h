/*
 * drain - the end of a shard: no new work, sockets closed politely, then the loop stops.
 *
 * Thread:  the shard's.      Bound: settings.drain_ms; what is still open then is cut.
 */
#pragma once
#include "hub/shard.h"

/* NOTE_DRAIN; a second one cuts at once. */
void drain_on_note(struct shard *s, struct note *n);
