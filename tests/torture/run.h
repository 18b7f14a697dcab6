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
    SCENE_WORLD,  /* all features, on a clock of our own, call by call the same in every run */
    SCENE_SECURE, /* the same, and every connection speaks TLS */
    SCENE_LIFE,   /* from start_run to its end: threads, signals, the log */
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

void run(enum scene scene, const struct plan *plan, struct outcome *out);
