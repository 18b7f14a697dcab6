/*
 * limits - what the system grants this process: descriptors, cores, memory.
 *
 * Thread:  main, before the others.
 * Root:    "" reads the real /proc and /sys; tests give a directory that imitates them.
 */
#pragma once
#include <stdint.h>

enum { LIMITS_FILES_MAX = 1048576, LIMITS_CORES_MAX = 64 };

/* Raises the file limit as far as permitted (as root up to fs.nr_open), never above
   LIMITS_FILES_MAX; never lowers it. Returns what it is now, at most LIMITS_FILES_MAX. */
uint32_t limits_raise_files(void);

/* From now on threads that this one starts, and it itself, do not interrupt others when they wake
   (SCHED_BATCH, sched(7)). Nothing if somebody has chosen another policy for this process. */
void limits_wake_gently(void);

/* Bytes a core file may have; -1: any, 0: none is written. */
int64_t limits_core_bytes(void);

/* Cores this process may run on, at most the cgroup's quota rounded up; 1 to LIMITS_CORES_MAX. */
uint32_t limits_cores(const char *root);

/* The least of the machine's memory and the cgroup's limits; 0: unknown. */
int64_t limits_memory_bytes(const char *root);
