/*
 * start - from a configuration to a serving process and back to its end.
 *
 * Owner:   config and tls are the caller's, and replaced at a reload.      Thread: main.
 * Result:  the process's exit status: 0 after SIGTERM or SIGINT, 1 when it cannot start (one clear
 *          line on standard error).
 */
#pragma once
#include <stdbool.h>

struct config;
struct config_sources;
struct tls_context;

/* greet: print to standard output what a newcomer may try. from: where the configuration came from,
   to read it again; *config and *tls are then others. *tls: null when nothing speaks it. */
int start_run(struct config **config, const struct config_sources *from, struct tls_context **tls,
              bool greet);
