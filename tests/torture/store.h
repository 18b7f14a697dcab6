/*
 * store - a redis-server of one job's own, on a free port and in a folder of its own: its runs use
 *         it one after the other, each from empty on.
 *
 * Owner:   the driver starts and ends them; they die with it, also when it is killed.
 * Thread:  main.      State: of a run, one connection to its server.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct store {
    pid_t pid; /* 0: not running */
    uint16_t port;
    char folder[32];
};

/* The tortured node's user: so that its connections can be told from all others. */
#define STORE_USER     "tortured"
#define STORE_PASSWORD "secret"

bool store_is_there(void);                       /* redis-server is installed */
void store_start(struct store *s, bool sharded); /* sharded: a Redis Cluster of one */
void store_end(struct store *s);

/* ---- in a run ---- */

/* As if it had just been started. Here and in store_do it is the test that ends when it fails. */
void store_open(uint16_t port, bool sharded);

/* A command, its words ended by a null: its answer is no error, and read. */
void store_do(const char *word, ...) __attribute__((sentinel));

/* Does the tortured node have all its connections there? */
bool store_is_linked(void);

/* On return the answer to whatever was sent before is on its way to whoever waits for it. */
void store_settle(void);
