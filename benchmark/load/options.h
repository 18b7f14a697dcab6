/*
 * options - what the command line asked for.
 *
 * Owner: main.      Errors: a wrong option ends the program with a line that says what is right.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "load/usage.h"

enum mode { MODE_PLAIN, MODE_ACKED, MODE_V2 };

/* Where the partner of a client is, when there are several servers. */
enum partner { PARTNER_FAR, PARTNER_NEAR, PARTNER_MIXED };

enum { PORTS_MAX = 16, OTHERS_MAX = 4, OTHER_NAME_MAX = 15 };

/* One for each server; a client has a place among them. */
struct ports {
    uint16_t at[PORTS_MAX];
    uint32_t count;
};

/* What works for the servers and is measured apart from them. */
struct other {
    char name[OTHER_NAME_MAX + 1];
    struct usage usage;
};

struct options {
    const char *scenario;
    const struct target *target;
    struct usage server;
    struct other others[OTHERS_MAX];
    uint32_t other_count;
    struct ports port, http_port;
    enum partner partner;
    uint32_t clients, window, connections, lanes;
    uint32_t matches; /* fanout: clients that are sent to, the first ones; 0: all */
    uint32_t text_bytes;
    double rate; /* messages per second; 0: closed loop */
    double seconds, warmup;
    enum mode mode;
    bool quiet, spin, verify;
};

void options_read(struct options *o, int argc, char **argv);
const char *mode_name(enum mode m);

uint16_t port_of(const struct ports *p, uint32_t place);
