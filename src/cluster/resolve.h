/*
 * resolve - the addresses behind a host name, without ever blocking the thread that asks.
 *
 * Literals are answered at once; for a name a helper thread calls getaddrinfo, and the asker looks
 * now and then whether it is done (a timer of 10 ms does).
 * Owner:   whoever started it, until resolve_drop.      Thread: its owner's.
 * Bound:   RESOLVE_ADDRESSES of each; RESOLVE_THREADS helpers in the process, dropped ones that the
 *          name server keeps waiting included: past them a start fails.
 * State:   one count of the process, of the helpers.
 */
#pragma once
#include <stdint.h>
#include <sys/socket.h>
#include "base/err.h"

struct resolve;

enum { RESOLVE_ADDRESSES = 8, RESOLVE_THREADS = 16 };

/* host: a name, or a literal without brackets. Never null; what fails is told by resolve_poll. */
struct resolve *resolve_start(const char *host, uint16_t port);

/* ERR_AGAIN: not yet. ERR_OK: *to is the address number `nth`, round and round, so that each next
   attempt tries another one. Any other: there is none; what is asked once more says the same. */
MUST_USE enum err resolve_poll(struct resolve *r, uint32_t nth, struct sockaddr_storage *to,
                               socklen_t *len);

/* How many addresses there are; 0 while it is not known, or failed. */
uint32_t resolve_count(const struct resolve *r);

/* Null is fine. */
void resolve_drop(struct resolve *r);
