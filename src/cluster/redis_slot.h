/*
 * redis_slot - to which of a Redis Cluster's 16,384 slots a key belongs.
 *
 * Standard: Redis Cluster specification: CRC-16/XMODEM of the key, or of what is in its first
 *           {braces}, if that is not empty.
 * Owner:    nobody.      Thread: any.
 */
#pragma once
#include <stdint.h>
#include "base/bytes.h"

enum { REDIS_SLOTS = 16384 };

uint16_t redis_slot(struct bytes key);
