/*
 * scenario - what Pushca can do, one function each.
 *
 * Each works with peers of its own and may be done again after it went wrong: `attempt` makes its
 * names and command ids new.
 */
#pragma once
#include <stdbool.h>

struct feature {
    const char *name; /* null ends the list */
    bool (*run)(int attempt);
    bool only_plain; /* TLS has its own way there */
};
extern const struct feature features[];      /* of one server */
extern const struct feature pair_features[]; /* of one beside another: pair.c */

/* Both reach each other, or do so again within the time that takes. */
bool pair_is_well(void);
