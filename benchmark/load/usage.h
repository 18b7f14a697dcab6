/*
 * usage - what processes have used so far: CPU time and memory, as the kernel counts them.
 *
 * Thread: any.      Errors: a process that has gone ends the program.
 */
#pragma once

enum { USAGE_PIDS = 64 };

struct usage {
    int pid[USAGE_PIDS];
    int pids;
};

/* Seconds of CPU time of all threads, user and system, to the nanosecond. */
double usage_cpu_s(const struct usage *u);

/* Bytes that are theirs in memory, not those of files; a page shared by several counts for each its
   part. */
double usage_memory(const struct usage *u);
