/*
 * sim - the server under test and the script that drives it.
 *
 * Thread:  one.      State: one sim a process.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "hub/shard.h"

struct config;

enum {
    SIM_SHARDS_MAX = 16,
    SIM_STEP_MS = 10, /* of the clock, as long as a wheel's */
};

struct sim {
    struct hub hub;
    struct config *config;
    const char *sets[64];
    int set_count;
    bool started;
    bool never_parks; /* set before the start: all that is measured is what the server does */
    int rest_fd[SIM_SHARDS_MAX], ws_fd[SIM_SHARDS_MAX];
};

extern struct sim sim;

_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A configuration from sim.sets. */
struct config *sim_load(void);

/* The server with the settings of sim.sets; and its end, after all shards have stopped. */
void sim_start(void);
void sim_close(void);

/* Runs the shards until nothing moves; starts the server when that has not happened. */
void sim_settle(void);
void sim_advance(int64_t ms);
