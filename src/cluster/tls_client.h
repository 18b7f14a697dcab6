/*
 * tls_client - TLS from a client's side, on a socket that does not block.
 *
 * Owner:   the context: whoever opened it; a connection: its link or question.
 * Thread:  the cluster thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"
#include "base/err.h"

struct ssl_ctx_st;
struct ssl_st;

/* Verifies nothing: that is the caller's to set. Null: no memory. */
struct ssl_ctx_st *tls_client_open(void);
void tls_client_close(struct ssl_ctx_st *c);

/* host is named to the server, and has to be in its certificate unless any_host or nothing is
   verified. ERR_FULL: no memory. */
MUST_USE enum err tls_client_new(struct ssl_ctx_st *c, int fd, const char *host, bool any_host,
                                 struct ssl_st **out);
void tls_client_free(struct ssl_st *s);

/* ERR_AGAIN: call again when the socket is readable, or writable if *wants_write. ERR_GONE,
   ERR_BAD: over. */
MUST_USE enum err tls_client_shake(struct ssl_st *s, bool *wants_write);
MUST_USE enum err tls_client_read(struct ssl_st *s, void *at, size_t len, size_t *got,
                                  bool *wants_write);
MUST_USE enum err tls_client_write(struct ssl_st *s, struct bytes b, size_t *sent,
                                   bool *wants_write);

/* Read off the socket, but not yet given out: no poll will tell of it. */
bool tls_client_has_more(const struct ssl_st *s);

/* Why the handshake failed, in few words: static text. */
const char *tls_client_why(const struct ssl_st *s);
