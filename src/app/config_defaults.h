/*
 * config_defaults - what is not given comes from the machine; and do the values go together?
 *
 * Thread:  main.      Pure but for the random bytes.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "hub/settings.h"

struct config_machine {
    uint32_t files; /* descriptors this process may open */
    uint32_t cores;
    int64_t memory_bytes; /* 0: unknown */
};

/* Replaces zeros in shards, sockets, http_conns, handshakes, memory_bytes and soft_queue_bytes, and
   a null instance_id. */
void config_defaults_fill(struct settings *s, const struct config_machine *m, struct arena *arena);

/* Descriptors that are neither client sockets nor HTTP connections nor handshakes. */
uint32_t config_own_files(const struct settings *s);

/* Is called with each key whose value contradicts another's, and what was expected of it. */
typedef void config_complain(void *context, const char *key, const char *what);
void config_relations_check(const struct settings *s, config_complain *complain, void *context);

/* Is called with each doubt about values that may still be meant so. */
typedef void config_doubt(void *context, const char *what);
void config_doubts_check(const struct settings *s, const struct config_machine *m,
                         config_doubt *doubt, void *context);
