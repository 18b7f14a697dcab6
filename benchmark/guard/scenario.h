/*
 * scenario - a fixed piece of work, the same at every run: some rounds of it are what is measured.
 *
 * Owner:   the process; its peers live as long as it.      Thread:  one.
 */
#pragma once

struct scenario {
    const char *name, *operation; /* what one operation is */
    const char *const *settings;  /* "KEY=VALUE", the last one null */
    void (*open)(void);           /* clients connect */
    void (*round)(void);          /* `each` operations */
    int each;
    int warm;  /* rounds before the measured ones */
    int usual; /* operations that are measured when the command line gives no number */
};

extern const struct scenario scenario_pairs, scenario_lone, scenario_pairs_v2, scenario_acked,
    scenario_shards;
extern const struct scenario scenario_fanout, scenario_find_any, scenario_filter;
extern const struct scenario scenario_http, scenario_http_acked, scenario_open, scenario_connect;
extern const struct scenario scenario_ping;

/* Not a scenario of the server: what finding clients costs, in processor time. */
int index_main(int entries);
