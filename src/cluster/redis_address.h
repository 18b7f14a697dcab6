/*
 * redis_address - a host, by name or literal, and a port.
 *
 * Owner:   a plain value.      Thread: any.
 * Bound:   253 printable characters of host.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

enum { REDIS_HOST_TEXT = 254, REDIS_ADDRESS_TEXT = REDIS_HOST_TEXT + 8 };

struct redis_address {
    char host[REDIS_HOST_TEXT]; /* without brackets */
    uint16_t port;
};

/* False: no host, too long, or not made of printable characters; or no such port. */
bool redis_address_set(struct redis_address *a, struct bytes host, uint64_t port);

bool redis_address_parse(struct redis_address *a, struct bytes text); /* "host:port" */
bool redis_address_equal(const struct redis_address *a, const struct redis_address *b);
void redis_address_write(const struct redis_address *a, char out[REDIS_ADDRESS_TEXT]);
