/*
 * signals - what the operator says by kill: end (SIGINT, SIGTERM), read the configuration again
 *           (SIGHUP).
 *
 * Owner:   one descriptor, the caller's.      Thread: main; the others block every signal.
 */
#pragma once
#include <stdint.h>

/* Blocks those three, so that they are only read here, and ignores SIGPIPE. */
int signals_open(void);
void signals_close(int fd);

/* The number of the next one; 0: none came within wait_ms (-1: for ever). */
int signals_wait(int fd, int64_t wait_ms);
