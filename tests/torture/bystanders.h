/*
 * bystanders - those who joined first, at every door, and are served after every feature.
 *
 * Thread:  one.      State: one set a process.
 */
#pragma once
#include <stdbool.h>

/* Rejoins whoever has gone: the fault was allowed to hit it. */
bool bystanders_join(void);
bool bystanders_hear(int attempt);

/* Those at the doors from this one on, as many as a server has, are going to be sent away. */
void bystanders_leave(int first_door);
