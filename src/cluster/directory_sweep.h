/*
 * directory_sweep - removing what ended lives left behind, and entries of ours whose client is not
 *                   here; which lives have ended. Private to directory*.c.
 *
 * Owner:   the directory.      Thread: the cluster thread.
 * Bound:   one slice of keys under way; the lives last heard of.
 */
#pragma once
#include <stdint.h>
#include "base/bytes.h"
#include "cluster/directory_state.h"

/* LEFT: nobody's any more. STRANGER: a life not known, or not yet. JUNK: no owner's record. */
enum owner { OWNER_US, OWNER_PEER, OWNER_LEFT, OWNER_ENDED, OWNER_STRANGER, OWNER_JUNK };

/* *peer: if it is a PEER. */
enum owner directory_owner_of(struct directory *d, struct bytes value, struct peer **peer);

/* Entries of ours may stand there whose client has left: they are looked for soon. */
void directory_suspect(struct directory *d, uint32_t master);

/* A new link to it: is it the process it was? If not, it is suspect. */
void directory_sweep_on_master(struct directory *d, uint32_t master);

void directory_life_ended(struct directory *d, uint64_t life);

void directory_sweep_init(struct directory *d);
void directory_sweep_fini(struct directory *d);
void directory_sweep_beat(struct directory *d);
