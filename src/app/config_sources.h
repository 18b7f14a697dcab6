/*
 * config_sources - the three places values come from, as properties by key name.
 *
 * Owner:   the properties are the caller's.      Thread: main.
 * Errors:  one line each in errors; the result says how many.
 */
#pragma once
#include "app/properties.h"
#include "base/buf.h"

enum { CONFIG_FILE_MAX = 1048576 };

/* The file spring.config.location names, without "file:"; null: none. Borrowed from environment. */
const char *config_location(char *const *environment);

int config_read_file(const char *file, struct properties *out, struct buf *errors);

/* Variables with an empty value count as not given. Those that begin like ours but are none of ours
   come out in strange, by their own name. */
int config_read_environment(char *const *environment, struct properties *out,
                            struct properties *strange, struct buf *errors);

/* "key=value"; of the same key the last one counts. */
int config_read_sets(const char *const *sets, int count, struct properties *out,
                     struct buf *errors);
