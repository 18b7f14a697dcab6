/*
 * scenario - what Pushca can do, one function each.
 *
 * Each works with peers of its own and may be done again after it went wrong: `attempt` makes its
 * names and command ids new. Between them stand the bystanders, who are served all the time.
 */
#pragma once
#include <stdbool.h>

struct feature {
    const char *name; /* null ends the list */
    bool (*run)(int attempt);
    bool only_plain; /* TLS has its own way there */
};
extern const struct feature features[];

/* Those who joined first and must stay; rejoins whoever the fault was allowed to hit. */
bool bystanders_join(void);
bool bystanders_hear(int attempt);
