/*
 * config_compare - what two settings say of one key: is it the same, and taking it over.
 *
 * Owner:   texts that are taken over are copied to the arena.      Thread: main.
 */
#pragma once
#include <stdbool.h>
#include "app/config_schema.h"
#include "base/arena.h"
#include "hub/settings.h"

/* Of a key that is stored (width not 0). */
bool config_value_same(const struct config_key *key, const struct settings *a,
                       const struct settings *b);

/* Of a number, a word or a text; no lists, no secrets. */
void config_value_copy(const struct config_key *key, struct settings *to,
                       const struct settings *from, struct arena *arena);
