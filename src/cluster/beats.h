/*
 * beats - does this node hear, and is it heard?
 *
 * Each beat goes through the bus to every peer and back to ourselves. No echo, or silence of all
 * the others: the bus is away, and hub->bus says so. If others are well meanwhile it is this node
 * that is deaf, and its clients are better off there.
 *
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cluster;

void beats_on_echo(struct cluster *c);
void beats_judge(struct cluster *c); /* away? joined? deaf? */
void beats_tick(struct cluster *c);
