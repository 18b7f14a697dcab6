/*
 * scenario - the runs there are; each connects, loads, measures, prints its JSON object and
 * returns.
 *
 * Thread: one, and everything in it.
 */
#pragma once
#include "load/link.h"
#include "load/options.h"

void pairs_run(const struct options *o); /* crowd too: pairs among a crowd */
void http_run(const struct options *o);
void fanout_run(const struct options *o);
void idle_run(const struct options *o);
void storm_run(const struct options *o);

/* What they share. Makes n links with a ring of random partners: each sends to one and hears one.
   (Several servers: where the partner is, options.partner says.) */
void ring_make(struct pump *p, uint32_t n);

/* Connects links first..first+n, some hundred at a time, and waits until all are open. */
void connect_all(struct pump *p, uint32_t first, uint32_t n);

/* Text to the link's partner, as its form has it. */
void send_next(struct link *l, uint64_t at_ns);

/* Turns until nothing sent is missing, for two seconds at most. */
void drain(struct pump *p);
