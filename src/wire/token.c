#include "wire/token.h"

#include <jwt.h>
#include <limits.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/mem.h"

enum {
    TOKEN_MAX = 8192,    /* two and a half times the longest of ours under the default limits */
    SIGNATURE_TEXT = 43, /* 32 bytes in base64url */
    JTI_BYTES = 16,
};

static const unsigned char *secret_of(const struct token_key *key)
{
    CHECK(key->secret.len >= TOKEN_SECRET_MIN && key->secret.len <= INT_MAX);
    return (const unsigned char *)key->secret.at;
}

static void write_jti(struct rand *r, char out[2 * JTI_BYTES + 1])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[JTI_BYTES];

    rand_fill(r, raw, sizeof(raw));
    for (size_t i = 0; i < sizeof(raw); i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }
    out[sizeof(raw) * 2] = 0;
}

/* libjwt answers 0 or an errno. */
static int add_dimensions(jwt_t *jwt, const struct identity *client)
{
    int failed = 0;

    for (int d = 0; d < DIMENSIONS && !failed; d++) {
        char *value = mem_copy(client->dim[d]);

        failed = jwt_add_grant(jwt, dimension_name((enum dimension)d), value);
        mem_free(value);
    }
    return failed;
}

static int add_claims(jwt_t *jwt, const struct identity *client, int64_t now_s, int64_t life_s,
                      struct rand *r)
{
    char jti[2 * JTI_BYTES + 1];
    int failed = add_dimensions(jwt, client);

    write_jti(r, jti);
    if (!failed)
        failed = jwt_add_grant(jwt, "jti", jti);
    if (!failed)
        failed = jwt_add_grant_int(jwt, "iat", now_s);
    if (!failed)
        failed = jwt_add_grant_int(jwt, "exp", now_s + life_s);
    return failed;
}

enum err token_issue(const struct token_key *key, const struct identity *client, int64_t now_s,
                     int64_t life_s, struct rand *r, struct buf *out)
{
    const unsigned char *secret = secret_of(key);
    jwt_t *jwt = NULL;
    char *text = NULL;
    int failed = jwt_new(&jwt);

    if (!failed)
        failed = add_claims(jwt, client, now_s, life_s, r);
    if (!failed)
        failed = jwt_set_alg(jwt, JWT_ALG_HS256, secret, (int)key->secret.len);
    if (!failed)
        text = jwt_encode_str(jwt);
    if (text)
        buf_add(out, bytes_text(text));
    free(text);
    jwt_free(jwt);
    return text ? ERR_OK : ERR_BAD;
}

/* Three runs of base64url with dots between them, the last of a SHA-256's length. */
static bool has_form(struct bytes token)
{
    size_t run = 0, dots = 0;

    if (token.len > TOKEN_MAX)
        return false;
    for (size_t i = 0; i < token.len; i++) {
        char c = token.at[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (letter || (c >= '0' && c <= '9') || c == '-' || c == '_') {
            run++;
        } else if (c == '.' && run) {
            dots++;
            run = 0;
        } else {
            return false;
        }
    }
    return dots == 2 && run == SIGNATURE_TEXT;
}

/* Exactly the header we write: that algorithm in that spelling, and no extension that must be
   understood (RFC 7515, section 4.1.11). */
static bool has_our_header(jwt_t *jwt)
{
    const char *alg = jwt_get_header(jwt, "alg");
    char *crit = jwt_get_headers_json(jwt, "crit");

    free(crit);
    return !crit && alg && strcmp(alg, "HS256") == 0 && jwt_get_alg(jwt) == JWT_ALG_HS256;
}

/* libjwt's own way to a number takes any other type for 0: the claim's JSON tells them apart. */
static bool read_number(jwt_t *jwt, const char *name, int64_t *out)
{
    char *json = jwt_get_grants_json(jwt, name), *end;
    bool whole;

    if (!json)
        return false;
    *out = strtoll(json, &end, 10); /* an integer of jansson's always fits */
    whole = end != json && !*end;
    free(json);
    return whole;
}

static bool read_dimension(jwt_t *jwt, const char *name, size_t most, struct arena *arena,
                           struct bytes *out)
{
    const char *text = jwt_get_grant(jwt, name);
    struct bytes value;

    if (!text)
        return false;
    value = bytes_text(text);
    if (value.len == 0 || value.len > most || !dimension_is_plain(value))
        return false;
    *out = arena_copy(arena, value);
    return true;
}

/* Absent, or a whole number no later than now_s. */
static bool is_past(jwt_t *jwt, const char *name, int64_t now_s)
{
    char *json = jwt_get_grants_json(jwt, name);
    int64_t when;

    if (!json)
        return true;
    free(json);
    return read_number(jwt, name, &when) && when <= now_s;
}

/* exp is required; nbf is obeyed where given (RFC 7519, section 4.1.5); iat and jti are for people.
 */
static enum err read_claims(jwt_t *jwt, int64_t now_s, size_t most, struct arena *arena,
                            struct identity *out)
{
    int64_t expires;

    for (int d = 0; d < DIMENSIONS; d++) {
        if (!read_dimension(jwt, dimension_name((enum dimension)d), most, arena, &out->dim[d]))
            return ERR_BAD;
    }
    if (!read_number(jwt, "exp", &expires) || !is_past(jwt, "nbf", now_s))
        return ERR_BAD;
    return now_s >= expires ? ERR_TIMEOUT : ERR_OK;
}

enum err token_check(const struct token_key *key, struct bytes token, int64_t now_s,
                     size_t dimension_bytes, struct arena *arena, struct identity *out)
{
    const unsigned char *secret = secret_of(key);
    jwt_t *jwt = NULL;
    char *text;
    enum err e = ERR_BAD;

    if (!has_form(token))
        return ERR_BAD;
    text = arena_alloc(arena, token.len + 1);
    memcpy(text, token.at, token.len);
    text[token.len] = 0;
    if (jwt_decode(&jwt, text, secret, (int)key->secret.len))
        return ERR_BAD;
    if (has_our_header(jwt))
        e = read_claims(jwt, now_s, dimension_bytes, arena, out);
    jwt_free(jwt);
    return e;
}
