/*
 * directory_sweep - removing what ended lives left behind, and which lives have ended; private to
 *                   directory*.c.
 *
 * Owner:   the directory.      Thread: the cluster thread.
 * Bound:   one slice of keys under way; the lives last heard of, and 65,536 strays.
 */
#pragma once
#include <stdint.h>
#include "base/bytes.h"
#include "cluster/directory_state.h"

/* STRANGER: a life not known, or not yet. JUNK: no owner's record. */
enum owner { OWNER_US, OWNER_PEER, OWNER_ENDED, OWNER_STRANGER, OWNER_JUNK };

/* *peer: if it is a PEER. */
enum owner directory_owner_of(struct directory *d, struct bytes value, struct peer **peer);

void directory_life_ended(struct directory *d, uint64_t life);

void directory_sweep_init(struct directory *d);
void directory_sweep_fini(struct directory *d);
void directory_sweep_beat(struct directory *d);
