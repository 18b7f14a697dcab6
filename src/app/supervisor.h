/*
 * supervisor - what systemd, or another who set NOTIFY_SOCKET, wants to hear: ready, reloading,
 *              stopping, and by WATCHDOG_USEC that every shard still turns.
 *
 *   beat:  NOTE_ALIVE to every shard --each shard answers in its turn--> WATCHDOG=1, and again
 *
 * Owner:   main's.      Thread: main; supervisor_on_note on the shards.
 * Errors:  nobody to tell is normal. A supervisor that is too busy is waited for, a second at most,
 *          but with a beat: the next one comes soon.
 */
#pragma once
#include <stdint.h>
#include <sys/un.h>
#include "hub/shard.h"

struct supervisor {
    /* private to supervisor.c */
    int fd; /* -1: nobody asked */
    struct sockaddr_un to;
    uint32_t to_bytes;
    int64_t every_ms; /* between two beats; 0: no watchdog */
    int64_t next_ms;
    uint32_t round;  /* how often the shards were asked */
    bool complained; /* about this round */
};

void supervisor_open(struct supervisor *v);
void supervisor_close(struct supervisor *v);

/* One or more lines of "NAME=value". Blocks the main thread while they are not taken. */
void supervisor_say(const struct supervisor *v, const char *lines);
void supervisor_say_ready(const struct supervisor *v);
void supervisor_say_reloading(const struct supervisor *v);

/* most_ms: how long the end may take. */
void supervisor_say_stopping(const struct supervisor *v, int64_t most_ms);

/* Tells the watchdog that all shards have answered, and asks them again, when it is time. Returns
   the milliseconds until the next call is due; -1: never. */
int64_t supervisor_beat(struct supervisor *v, struct hub *h, int64_t now_ms);

/* NOTE_ALIVE. */
void supervisor_on_note(struct shard *s, struct note *n);
