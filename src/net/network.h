/*
 * network - an IP address, and all addresses that begin alike.
 *
 * Form:    IPv4 is kept as IPv6 has it, ::ffff:192.0.2.1, so that a listener of both is no special
 *          case.      Thread: any. Pure.
 */
#pragma once
#include <stdbool.h>
#include "base/bytes.h"

struct address {
    unsigned char at[16];
};

struct network {
    struct address first;
    unsigned bits; /* of them, from the left, all its addresses share; 0 to 128 */
};

/* "192.0.2.1", "10.0.0.0/8", "2001:db8::/32"; false: none, or bits are set behind its length. */
bool network_read(struct bytes text, struct network *out);

bool network_has(const struct network *n, const struct address *a);
