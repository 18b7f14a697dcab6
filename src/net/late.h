/*
 * late - who of a net's sockets is heard after the others, and where it waits.
 *
 * Late are those from which nothing was read yet as what they are, those that have much to say, and
 * those that are nearly always ready. Many of them are parked: moved to the loop's other poll,
 * which is looked at when their time has come, so that they are not told in every turn.
 *
 * Owner:   the net whose socket it is.      Thread: the net's.
 * Bound:   a few words in each conn.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "net/conn.h"

enum {
    LATE_BUSY = 64,         /* load over it: some two thousand reads or four MiB a second */
    LATE_READ_BYTES = 1024, /* of one read count as much as one more read */
};

/* It is ready once more: is it late? */
bool late_look(struct conn *c);

/* Of what was found last: it has much to say, or is nearly always ready. */
bool late_is_busy(const struct conn *c);

void late_add_load(struct conn *c, size_t more);

/* To where late ones wait, and back; without memory for that it stays where it is. Who comes back
   is late again when it is ready once more in a crowd. */
void late_park(struct conn *c);
void late_unpark(struct conn *c);

/* A dead one, told of by the poll it was parked in, is told of no more. */
void late_forget(struct conn *c);

/* The poll that watches it now. */
struct poll *late_poll(const struct conn *c);
