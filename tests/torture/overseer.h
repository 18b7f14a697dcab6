/*
 * overseer - who starts the server in scenes life and node, and set NOTIFY_SOCKET: hears what it
 *            says of itself, as systemd does.
 *
 * Owner:   the run; one a process.      Thread: its own one hears; the others are asked by main.
 */
#pragma once
#include <stdint.h>

/* Before the server's process is there: it inherits the environment. */
void overseer_open(void);

/* After that, in the other one. */
void overseer_listen(void);

/* How often the watchdog was fed. */
uint32_t overseer_beats(void);

/* Ends. What was said in its order, a letter each: "rlrs" is ready, reloading, ready, stopping. */
const char *overseer_close(void);
