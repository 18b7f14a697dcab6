/*
 * options - the command line of pushca.
 *
 * Owner:   texts are argv's; the list of sets is owned.      Thread: main.
 * Errors:  ERR_BAD with a sentence in why: the caller exits with status 2.
 */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"

enum command { COMMAND_SERVE, COMMAND_TOKEN_VERIFY };

struct options {
    enum command command;
    const char *config;     /* null: not given */
    const char *secret_hex; /* the same; of COMMAND_TOKEN_VERIFY */
    const char **sets;
    int set_count;
    bool check_config, version, help, help_config;
};

MUST_USE enum err options_read(int argc, char *const argv[], struct options *out,
                               struct problem *why);
void options_fini(struct options *o);

/* Appends the text of --help. */
void options_help(struct buf *out);
