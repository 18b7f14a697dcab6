/*
 * redis_tls - TLS towards Redis: a client's side of it, on a socket that does not block.
 *
 * Verifies: the chain always; the host's name too, unless ssl.verify is "ca".
 * Owner:   the context: redis; a connection: its link.      Thread: the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"
#include "base/err.h"
#include "hub/cluster_settings.h"

struct ssl_ctx_st;
struct ssl_st;

/* *out is null when TLS is off. ERR_BAD: why is one sentence, with key and file. Blocks on files.
 */
MUST_USE enum err redis_tls_open(const struct redis_settings *set, struct ssl_ctx_st **out,
                                 struct problem *why);
void redis_tls_close(struct ssl_ctx_st *c);

/* ERR_FULL: no memory. */
MUST_USE enum err redis_tls_new(struct ssl_ctx_st *c, int fd, const char *host, bool any_host,
                                struct ssl_st **out);
void redis_tls_free(struct ssl_st *s);

/* ERR_AGAIN: call again when the socket is readable, or writable if *wants_write. ERR_GONE,
   ERR_BAD: over. */
MUST_USE enum err redis_tls_shake(struct ssl_st *s, bool *wants_write);
MUST_USE enum err redis_tls_read(struct ssl_st *s, void *at, size_t len, size_t *got,
                                 bool *wants_write);
MUST_USE enum err redis_tls_write(struct ssl_st *s, struct bytes b, size_t *sent,
                                  bool *wants_write);

/* Read off the socket, but not yet given out: no poll will tell of it. */
bool redis_tls_has_more(const struct ssl_st *s);

/* Why the handshake failed, in few words: static text. */
const char *redis_tls_why(const struct ssl_st *s);
