/*
 * open_answer - the connection strings of a client: URL and fresh token, as JSON.
 *
 * Words:   protocol.md A.1, A.2: OpenConnectionResponse; no URL is ever null.
 * Thread:  the shard's.
 */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"
#include "hub/bus.h"
#include "wire/body.h"

struct shard;

/* The node whose sockets they are: the one asked for if it lives and takes clients; else this one,
   unless it takes none now or has no room and another one takes clients. The token is good on all.
   Borrowed until the caller returns. False: it is this one, and *why says what stands against it;
   counted. */
bool open_choose(struct shard *s, struct bytes wanted, struct member *node, const char **why);

/* Replaces what out holds; pooled: the form with `addresses`. ERR_*: no token could be made. */
MUST_USE enum err open_answer_write(struct shard *s, const struct member *node,
                                    const struct open_body *b, bool pooled, struct buf *out);
