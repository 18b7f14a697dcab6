/*
 * heavy - the connections of a net that hold most memory: what waits for a peer that does not read,
 *         and what has arrived of a request or message.
 *
 * A round looks at every slot, some in one call, and keeps the few heaviest; then they are closed
 * one by one, the heaviest first, as long as the caller asks. Frames count for each receiver they
 * wait for.
 *
 * Owner:   whoever sheds memory.      Thread: the net's.
 * Bound:   the slots of one call; HEAVY_MOST connections of one round.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net/conn.h"

/* Who holds less is no cause of want. */
enum { HEAVY_LEAST_BYTES = 1024, HEAVY_MOST = 32 };

struct heavy {
    uint32_t next_slot, len;
    struct {
        struct conn_id id;
        size_t bytes;
    } of[HEAVY_MOST]; /* the heaviest last */
};

/* A new round. */
void heavy_init(struct heavy *h);

/* Looks at so many more slots. True: that was the last of them. */
bool heavy_look(struct heavy *h, struct net *n, uint32_t slots);

/* Closes the heaviest of those left: a WebSocket by 1013. How much it held; 0: none is
   left. */
size_t heavy_close(struct heavy *h, struct net *n);
