/*
 * config_value - the text of one key to its place in the settings, or a sentence about it.
 *
 * Owner:   texts go to the arena; the secret to memory of its own, which the caller wipes.
 * Errors:  ERR_BAD; why never quotes a secret.
 */
#pragma once
#include "app/config_schema.h"
#include "base/arena.h"
#include "base/err.h"
#include "hub/settings.h"

struct config_target {
    struct settings *settings;
    struct arena *arena;
    char **secret; /* takes what secret-key held before */
};

/* Empties a secret of len bytes and frees it; null is fine. */
void config_wipe(char *secret, size_t len);

/* A text without zero bytes; of a list: entries between commas. */
MUST_USE enum err config_value_read(const struct config_key *key, const char *text,
                                    const struct config_target *target, struct problem *why);
