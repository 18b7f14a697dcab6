/*
 * life - a server from start_run to its end, with its threads and signals.
 *
 * Owner:   the process it happens in.
 */
#pragma once
#include <stdint.h>

struct outcome;
struct plan;

/* redis_port: 0, or of the Redis of its cluster, in which it is alone. */
void life_run(uint16_t redis_port, const struct plan *plan, struct outcome *out);
