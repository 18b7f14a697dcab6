/*
 * config_schema - every configuration key there is: names, type, range, default, meaning, place.
 *
 * Owner:   static tables.      Thread: any.
 * Names:   a variable of the environment means a key by its own name, dots included, by that of
 *          the base specification, if it has one, or by one of two that are derived:
 *          SERVER_TOMCAT_THREADS_MIN_SPARE and, as Spring has it, SERVER_TOMCAT_THREADS_MINSPARE.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

enum config_type {
    CONFIG_INTEGER,
    CONFIG_MS,      /* milliseconds: 500, 500ms, 10s, 5m, 1h */
    CONFIG_SECONDS, /* seconds: 1800, 1800s, 30m, 1h */
    CONFIG_SIZE,    /* bytes: 65536, 64KB, 8MiB; KB is 1024 */
    CONFIG_CHOICE,  /* stored as the number of the word in choices */
    CONFIG_ONE_OF,  /* stored as that word, in the letters of choices */
    CONFIG_ADDRESS, /* IPv4 or IPv6 literal */
    CONFIG_WS_URL,  /* stored with a '/' at its end */
    CONFIG_HTTP_URL,
    CONFIG_ORIGINS,  /* list */
    CONFIG_NODES,    /* list of host:port */
    CONFIG_NETWORKS, /* list of addresses, perhaps with a prefix length */
    CONFIG_ID,
    CONFIG_SECRET,
    CONFIG_PASSWORD, /* a text that is never shown, and wiped in the end */
    CONFIG_WORDS,    /* list, stored as one text with commas */
    CONFIG_TEXT,
    CONFIG_ANY, /* a whole section: name ends with ".*" */
};

/* In the order in which the table reads best.
 * NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct config_key {
    const char *name;
    const char *environment; /* of the base specification, or null */
    enum config_type type;
    int64_t min, max;     /* of a number; bytes of a text */
    const char *fallback; /* as it would be written; in parentheses: computed; null: none */
    const char *meaning;
    size_t offset, width; /* in struct settings; width 0: stored nowhere */
    const char *choices;  /* of CONFIG_CHOICE and CONFIG_ONE_OF: words between '|' */
    bool is_ignored;      /* accepted whatever it holds, and said once to have no meaning */
};

extern const struct config_key config_keys[];
extern const int config_key_count;

/* Longest key and environment name looked at. */
enum { CONFIG_NAME_MAX = 255 };

/* Which key a dotted name means, sections included; -1: none. */
int config_key_find(const char *name);

/* Which key an environment variable means; -1: none. */
int config_key_by_environment(const char *variable);

/* Is name a section: "pushca", "pushca.pusher"? */
bool config_name_is_section(const char *name);

/* The key that name lies below, as if that key were a section; -1: none. */
int config_key_above(const char *name);

/* The name shown for the environment: documented, else derived; "-" for a section. */
void config_key_environment(const struct config_key *key, struct buf *out);

/* Appends "a whole number from 1 to 64". */
void config_key_expected(const struct config_key *key, struct buf *out);

/* Is read at start only, so that SIGHUP does not change it. */
bool config_key_needs_restart(const struct config_key *key);

/* Has a meaning only in `pushca.pusher.deploy-mode: cluster`. */
bool config_key_is_for_clusters(const struct config_key *key);

/* May it be written as a list? */
bool config_type_is_list(enum config_type type);

bool config_key_default_is_computed(const struct config_key *key);

/* Appends the nearest known name, if one is near enough to be meant; false: none is. */
bool config_suggest_key(const char *name, struct buf *out);
bool config_suggest_variable(const char *variable, struct buf *out);
