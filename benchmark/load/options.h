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

struct options {
    const char *scenario;
    const struct target *target;
    struct usage server;
    uint16_t port, http_port;
    uint32_t clients, window, connections, lanes;
    uint32_t matches; /* fanout: clients that are sent to, the first ones; 0: all */
    uint32_t text_bytes;
    double rate; /* messages per second; 0: closed loop */
    double seconds, warmup;
    enum mode mode;
    bool quiet, spin;
};

void options_read(struct options *o, int argc, char **argv);
const char *mode_name(enum mode m);
