/*
 * arrivals - clients of ours that come and go, and the directory.
 *
 * New ones wait here, with their socket, until the others can find them, at most register_ms. Then
 * they are known here until their shard has them.
 *
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct envelope;
struct note;
struct peer;

void arrivals_open(struct cluster *c);
void arrivals_close(struct cluster *c);

void arrivals_on_register(struct cluster *c, struct note *n);
void arrivals_on_unregister(struct cluster *c, const struct note *n);

/* Served here: its shard has it, or finds it in front of what is posted now. */
bool arrivals_is_here(const struct cluster *c, uint64_t hash);

/* That, or it waits here: its entry is ours. */
bool arrivals_is_ours(void *cluster, uint64_t hash);

/* It has a socket here, and will be served here soon, or is elsewhere. */
bool arrivals_may_come(const struct cluster *c, uint64_t hash);

/* ADOPT or ELSEWHERE, to its shard; the number it has there. */
uint32_t arrivals_tell(struct cluster *c, uint64_t hash, struct note *n);

void arrivals_on_way(struct cluster *c, uint64_t hash); /* its shard was just told to serve it */
void arrivals_on_moved(void *cluster, uint64_t hash);   /* its entry was another node's */
void arrivals_take_moved(struct cluster *c, struct peer *peer, const struct envelope *e);
void arrivals_on_confirmed(struct cluster *c); /* some peer has confirmed something */
void arrivals_tick(struct cluster *c);
void arrivals_list(struct cluster *c);      /* from now on all of ours are listed again */
void arrivals_list_some(struct cluster *c); /* a slice of that */
