/*
 * shed - the last step of the memory budget: who holds most is closed, until enough is free again.
 *
 *   IDLE --over HUB_NO_READERS, seen here or told by NOTE_SHED--> SHEDDING (rounds, by a timer)
 *     ^------------------------- a part of it is free again -------------------/
 *
 * Every shard closes its own heaviest; which of them the others have, none knows.
 *
 * Owner:   embedded in the shard.      Thread: its own.
 * Bound:   SHED_SLOTS connections looked at and HEAVY_MOST closed in one turn.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/log.h"
#include "flow/wheel.h"
#include "net/heavy.h"

struct note;
struct shard;

struct shed {
    struct timer timer; /* runs while shedding */
    struct heavy heavy;
    int64_t looked_ms;
    struct log_limit told;
    uint32_t closed; /* of whom no line has told yet */
    bool on;
};

void shed_init(struct shed *d);
void shed_fini(struct shed *d);

/* Once a turn, before POST: is it time to begin? Asks the memory itself at most every 10 ms. */
void shed_look(struct shard *s);

/* NOTE_SHED */
void shed_on_note(struct shard *s, struct note *n);
