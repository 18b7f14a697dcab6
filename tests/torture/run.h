/*
 * run - one run of a scene with one fault, and what came of it.
 *
 * Owner:   the process it happens in: a scene runs once in one.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "faults.h"

enum scene {
    SCENE_WORLD,   /* all features, on a clock of our own, call by call the same in every run */
    SCENE_SECURE,  /* the same, and every connection speaks TLS */
    SCENE_LIFE,    /* from start_run to its end: threads, signals, the log */
    SCENE_PAIR,    /* as world, beside another server in a cluster: what is between the two */
    SCENE_SHARDED, /* the same, and their Redis is a Redis Cluster */
    SCENE_NODE,    /* as life, in a cluster */
    SCENES,
};
extern const char *const scene_names[SCENES];

struct outcome {
    uint64_t counts[CALLS];
    bool fired, not_started;
    uint32_t refused; /* steps that were done again because the fault was felt */
    uint32_t lost;    /* connections that ended by the fault, and were allowed to */
    char where[64];   /* the feature */
    char why[600];    /* empty: survived */
};

/* redis_port: for the scenes that need one. */
bool run_needs_redis(enum scene scene);
bool run_is_sharded(enum scene scene);
void run(enum scene scene, const struct plan *plan, uint16_t redis_port, struct outcome *out);
