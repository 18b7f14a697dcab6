/*
 * token - issue and check connection tokens: who may open a socket as whom, until when.
 *
 * Standard: JWT (RFC 7519) in compact JWS (RFC 7515) with HS256 (RFC 2104), and nothing else: the
 *           algorithm is ours, never the token's (RFC 8725, section 3.1). Claims: the four
 *           dimensions by their protocol names, iat and exp in seconds, jti random. Checked: the
 *           signature first, then the header, the dimensions, exp, and nbf where given.
 * Owner:    the key's bytes are the configuration's; a struct tokens is its thread's.
 * Thread:   one per struct tokens.
 * Errors:   check: ERR_BAD not a token of ours (form, signature, algorithm, claims), ERR_TIMEOUT
 *           expired. Never says more to a peer than that.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "wire/identity.h"

enum { TOKEN_SECRET_MIN = 32 };

struct token_key {
    struct bytes secret; /* at least TOKEN_SECRET_MIN bytes */
};

struct tokens; /* the key made ready, a JSON reader, scratch memory */

struct tokens *tokens_new(const struct token_key *key);
void tokens_free(struct tokens *t);

/* False: libcrypto does not serve, and never will for these. */
bool tokens_work(const struct tokens *t);

/* Appends the token: base64url characters and two dots. client is a checked identity. ERR_BAD:
   libcrypto does not serve. */
MUST_USE enum err token_issue(struct tokens *t, const struct identity *client, int64_t now_s,
                              int64_t life_s, struct rand *r, struct buf *out);

/* The identity is a view into t, until the next check. dimension_bytes as in body_limits. ERR_BAD,
   ERR_TIMEOUT (expired), or ERR_FULL: no memory to find out. */
MUST_USE enum err token_check(struct tokens *t, struct bytes token, int64_t now_s,
                              size_t dimension_bytes, struct identity *out);
