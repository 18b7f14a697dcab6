/*
 * config - from command line, environment and YAML file to one settings snapshot.
 *
 * Order:    --set wins over the environment, the environment over the file, the file over defaults;
 *           only the value that wins is checked.
 * Owner:    the config owns every string its settings point to.
 * Thread:   main, before the others.
 * Errors:   config_load prints nothing: it fills an error text of one or more lines, each with
 *           file, line, key and what was expected.
 */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"
#include "hub/settings.h"

struct config; /* owns strings and secrets; wiped on free */

struct config_sources {
    const char *file;        /* --config, or null: then spring.config.location, or none */
    const char *const *sets; /* "key=value", set_count of them */
    int set_count;
    char *const *environment; /* as environ */
};

/* Raises the file limit of the process as far as permitted: the default of the sockets is what it
   allows. ERR_BAD: errors says why, and *out is null. */
MUST_USE enum err config_load(const struct config_sources *from, struct config **out,
                              struct buf *errors);
void config_free(struct config *c);

/* For a reload: what needs a restart is taken over from before, and every key that was written
   anew is told: one that needs a restart counts as changed only when somebody wrote it. */
typedef void config_change(void *context, const char *key, bool needs_restart);
void config_inherit(struct config *c, const struct config *before, config_change *on_change,
                    void *context);

const struct settings *config_settings(const struct config *c);

/* Did anybody write this key? It is one of ours. */
bool config_is_given(const struct config *c, const char *key);

/* The file that was read; null: none was named. */
const char *config_file(const struct config *c);

/* What was accepted but has no meaning here, and warnings; one line each, for the log at start. */
int config_note_count(const struct config *c);
const char *config_note(const struct config *c, int i);

/* One line per key, a row of a Markdown table: name, environment name, default, what is expected,
   meaning. For --help-config and docs/configuration.md, which a test compares. */
void config_describe(struct buf *out);
