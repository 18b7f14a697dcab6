/*
 * arrivals - clients of ours in the directory.
 *
 * New ones wait here, with their socket, until the others can find them, at most register_ms; those
 * who turned out to be connected elsewhere are looked after.
 *
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct note;

void arrivals_open(struct cluster *c);
void arrivals_close(struct cluster *c);

void arrivals_on_register(struct cluster *c, struct note *n);
void arrivals_on_unregister(struct cluster *c, const struct note *n);

/* It is connected here, or comes: its entry is ours. */
bool arrivals_is_here(void *cluster, uint64_t hash);
void arrivals_on_moved(void *cluster, uint64_t hash);
void arrivals_on_confirmed(struct cluster *c); /* some peer has confirmed something */
void arrivals_tick(struct cluster *c);
void arrivals_list(struct cluster *c);      /* from now on all of ours are listed again */
void arrivals_list_some(struct cluster *c); /* a slice of that */
void arrivals_elsewhere(struct cluster *c, uint64_t hash); /* ours, it is said: is it? */
void arrivals_are_elsewhere(void *cluster, uint64_t hash); /* surely */
