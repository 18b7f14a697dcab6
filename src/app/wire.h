/*
 * wire - who acts on what: note kinds to their handlers, ready descriptors to listeners and
 * sockets.
 *
 * Thread:  main, once, before hub_open; the sim tests wire their hub the same way.
 */
#pragma once
#include "hub/shard.h"

void wire(struct hub *h);
