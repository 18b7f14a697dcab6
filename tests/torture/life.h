/*
 * life - a server from start_run to its end, with its threads and signals.
 *
 * Owner:   the process it happens in.
 */
#pragma once

struct outcome;

void life_run(struct outcome *out);
