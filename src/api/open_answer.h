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
#include "wire/body.h"

struct shard;

/* May another socket be opened now? False: *why says what stands against it; counted. */
bool open_is_possible(struct shard *s, const char **why);

/* Replaces what out holds; pooled: the form with `addresses`. ERR_*: no token could be made. */
MUST_USE enum err open_answer_write(struct shard *s, const struct open_body *b, bool pooled,
                                    struct buf *out);
