/*
 * elsewhere - clients that are connected to two nodes: the one they came to later serves them, and
 *             the other leaves its socket out until that one has lost them.
 *
 *   B, with the older socket                             C, with the newer one
 *      <----- MOVED ------  it is with me now             its put found B's entry
 *      ------ WHOSE ----->  is it? say when not           notes that B waits
 *      <----- MOVED ------  it is
 *                            ...                          its last socket closes:
 *      <----- LEFT -------  it is yours                   writes B's name over its own first
 *
 * Who is asked WHOSE and has no such client hands its entry over in the same way, if there is one.
 * Streams are in order, so what a node says of itself is newer than what it said before, while
 * Redis may have been started with an older truth: it is asked only when the other node has lost
 * the client or has gone, and then by a command that changes the entry only if it is as expected.
 *
 * Owner:   cluster.c.      Thread: the cluster thread.
 * Bound:   clients of this process, and for each of them the other nodes that wait for it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct envelope;
struct peer;

void elsewhere_open(struct cluster *c);
void elsewhere_close(struct cluster *c);

/* Connected here, and to another node later. */
bool elsewhere_has(const struct cluster *c, uint64_t hash);

/* A client of ours is with that peer now. */
void elsewhere_go(struct cluster *c, uint64_t hash, uint32_t peer);

/* An arrival of ours is let in: the newest. */
void elsewhere_end(struct cluster *c, uint64_t hash);

/* Its last socket here has closed; its shard had heard so many notes. True: its entry is not ours
   to remove. */
bool elsewhere_left(struct cluster *c, uint64_t hash, uint32_t heard);

/* It is ours, and the directory says that this peer has it. */
void elsewhere_contest(void *cluster, uint64_t hash, struct peer *p);

void elsewhere_take_whose(struct cluster *c, struct peer *p, const struct envelope *e);
void elsewhere_take_left(struct cluster *c, struct peer *p, const struct envelope *e);
void elsewhere_on_gone(struct cluster *c, const struct peer *p);
