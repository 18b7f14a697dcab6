/*
 * courier - batches, out and in: what streams hold becomes publishes, what is heard goes through
 * streams.
 *
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

struct cluster;
struct peer;

void courier_write(struct cluster *c);
void courier_on_message(void *cluster, struct bytes channel, struct bytes payload);
void courier_confirm(struct cluster *c, struct peer *p); /* now, what came from it */
void courier_doubt(struct cluster *c, struct peer *p);   /* before what it had not is forgotten */
void courier_tick(struct cluster *c);
void courier_beat(struct cluster *c, bool to_all); /* to us, and to every peer */
bool courier_is_done(const struct cluster *c);     /* everything is confirmed */
void courier_forget_all(struct cluster *c);        /* Redis has been closed */
