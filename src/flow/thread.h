/*
 * thread - start and join named threads; and the question whether one is at home.
 *
 * Owner:   the caller of thread_start joins.      Thread: see each.
 * State:   one thread-local pointer, the thread's home, and what threads begin and end with;
 * design.md allows both.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "base/err.h"

/* Each thread that is started from now on calls these two, first and last. Once, before any is. */
void thread_around(void (*first)(void), void (*last)(void));

/* Starts run(context) on a new thread with all signals blocked; name up to 15 characters. */
MUST_USE enum err thread_start(pthread_t *out, const char *name, void (*run)(void *),
                               void *context);
void thread_join(pthread_t thread);

/* From now on the calling thread's home is this object (a shard); null: none. */
void thread_settle(const void *home);

/* DCHECK(thread_at_home(shard)) opens the public functions of net and hub. */
bool thread_at_home(const void *home);
