/*
 * start - from a configuration to a serving process and back to its end.
 *
 * Owner:   the config is borrowed.      Thread: main.
 * Result:  the process's exit status: 0 after SIGTERM or SIGINT, 1 when it cannot start (one clear
 *          line on standard error).
 */
#pragma once
#include <stdbool.h>

struct config;

/* greet: print to standard output what a newcomer may try. */
int start_run(const struct config *config, bool greet);
