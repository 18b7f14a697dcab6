/*
 * token - issue and check connection tokens: who may open a socket as whom, until when.
 *
 * Standard: JWT (RFC 7519) in compact JWS (RFC 7515) with HS256, and nothing else: the algorithm is
 *           ours, never the token's (RFC 8725, section 3.1). Claims: the four dimensions by their
 *           protocol names, iat and exp in seconds, jti random. Checked: the dimensions, exp, and
 * nbf where given. Through libjwt. Owner:    the key's bytes are the configuration's.      Thread:
 * any. Errors:   check: ERR_BAD not a token of ours (form, signature, algorithm, claims),
 *           ERR_TIMEOUT expired. Never says more to a peer than that.
 */
#pragma once
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "wire/identity.h"

enum { TOKEN_SECRET_MIN = 32 };

struct token_key {
    struct bytes secret; /* at least TOKEN_SECRET_MIN bytes */
};

/* Appends the token: base64url characters and two dots. ERR_BAD: client is no checked identity. */
MUST_USE enum err token_issue(const struct token_key *key, const struct identity *client,
                              int64_t now_s, int64_t life_s, struct rand *r, struct buf *out);

/* The identity's strings go to the arena. dimension_bytes as in body_limits. */
MUST_USE enum err token_check(const struct token_key *key, struct bytes token, int64_t now_s,
                              size_t dimension_bytes, struct arena *arena, struct identity *out);
