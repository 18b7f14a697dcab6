#include "wire/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "base/check.h"
#include "base/mem.h"
#include "wire/base64url.h"
#include "wire/json.h"
#include "wire/json_write.h"

enum {
    TOKEN_BYTES = 8192, /* any token may have */
    SUM_BYTES = 32,     /* of SHA-256 */
    BLOCK_BYTES = 64,
    SIGNATURE_TEXT = 43, /* SUM_BYTES in base64url */
    JTI_BYTES = 16,
    DEPTH = 64, /* of claims nobody reads */
};

/* {"alg":"HS256","typ":"JWT"} */
static const struct bytes our_header = {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", 36};

struct tokens {
    /* SHA-256 that has read the inner and the outer pad, and one that works; null: libcrypto does
       not serve */
    EVP_MD_CTX *inner, *outer, *work;
    struct json *json;
    struct buf text; /* claims on their way in or out */
};

/* ---- HMAC-SHA-256 (RFC 2104) ---- */

static bool sum(struct bytes of, unsigned char out[SUM_BYTES])
{
    unsigned len = 0;

    return EVP_Digest(of.at, of.len, out, &len, EVP_sha256(), NULL) && len == SUM_BYTES;
}

static EVP_MD_CTX *padded(const unsigned char key[BLOCK_BYTES], unsigned char pad)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned char block[BLOCK_BYTES];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = key[i] ^ pad;
    if (!c || !EVP_DigestInit_ex(c, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(c, block, sizeof(block))) {
        EVP_MD_CTX_free(c);
        c = NULL;
    }
    OPENSSL_cleanse(block, sizeof(block));
    return c;
}

static void prepare(struct tokens *t, struct bytes secret)
{
    unsigned char key[BLOCK_BYTES] = {0};
    bool is_ready = true;

    if (secret.len <= sizeof(key))
        memcpy(key, secret.at, secret.len);
    else
        is_ready = sum(secret, key);
    if (is_ready) {
        t->inner = padded(key, 0x36);
        t->outer = padded(key, 0x5c);
        t->work = EVP_MD_CTX_new();
    }
    OPENSSL_cleanse(key, sizeof(key));
}

static bool sign_half(struct tokens *t, const EVP_MD_CTX *from, struct bytes text,
                      unsigned char out[SUM_BYTES])
{
    return from && t->work && EVP_MD_CTX_copy_ex(t->work, from) &&
           EVP_DigestUpdate(t->work, text.at, text.len) && EVP_DigestFinal_ex(t->work, out, NULL);
}

/* The signature as it stands in a token; false: libcrypto does not serve. */
static bool sign(struct tokens *t, struct bytes text, char out[SIGNATURE_TEXT])
{
    unsigned char inner[SUM_BYTES], mac[SUM_BYTES];

    if (!sign_half(t, t->inner, text, inner) ||
        !sign_half(t, t->outer, bytes_of((const char *)inner, sizeof(inner)), mac))
        return false;
    base64url_write(out, mac, sizeof(mac));
    return true;
}

struct tokens *tokens_new(const struct token_key *key)
{
    struct tokens *t = mem_new(struct tokens);

    CHECK(key->secret.len >= TOKEN_SECRET_MIN);
    t->json = json_new(DEPTH);
    prepare(t, key->secret);
    return t;
}

bool tokens_work(const struct tokens *t)
{
    return t->inner && t->outer && t->work;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    EVP_MD_CTX_free(t->inner);
    EVP_MD_CTX_free(t->outer);
    EVP_MD_CTX_free(t->work);
    json_free(t->json);
    buf_fini(&t->text);
    mem_free(t);
}

/* ---- issue ---- */

static void write_jti(struct json_writer *w, struct rand *r)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[JTI_BYTES];
    char text[2 * JTI_BYTES];

    rand_fill(r, raw, sizeof(raw));
    for (size_t i = 0; i < sizeof(raw); i++) {
        text[2 * i] = hex[raw[i] >> 4];
        text[2 * i + 1] = hex[raw[i] & 15];
    }
    json_member(w, "jti", bytes_of(text, sizeof(text)));
}

static void write_claims(struct buf *out, const struct identity *client, int64_t now_s,
                         int64_t life_s, struct rand *r)
{
    struct json_writer w = json_writer(out);

    w.keep_at = true; /* base64 hides it */
    json_open_object(&w);
    for (int d = 0; d < DIMENSIONS; d++)
        json_member(&w, dimension_name((enum dimension)d), client->dim[d]);
    json_key(&w, "iat");
    json_number(&w, now_s);
    json_key(&w, "exp");
    json_number(&w, now_s + life_s);
    write_jti(&w, r);
    json_close_object(&w);
}

enum err token_issue(struct tokens *t, const struct identity *client, int64_t now_s, int64_t life_s,
                     struct rand *r, struct buf *out)
{
    size_t signed_len;
    char *at;

    t->text.len = 0;
    write_claims(&t->text, client, now_s, life_s, r);
    signed_len = our_header.len + 1 + base64url_len(t->text.len);
    at = buf_reserve(out, signed_len + 1 + SIGNATURE_TEXT);
    memcpy(at, our_header.at, our_header.len);
    at[our_header.len] = '.';
    base64url_write(at + our_header.len + 1, t->text.at, t->text.len);
    at[signed_len] = '.';
    if (!sign(t, bytes_of(at, signed_len), at + signed_len + 1))
        return ERR_BAD;
    out->len += signed_len + 1 + SIGNATURE_TEXT;
    return ERR_OK;
}

/* ---- check ---- */

/* Header and claims, when what stands before the last dot carries our signature. */
static enum err check_signature(struct tokens *t, struct bytes token, struct bytes *header,
                                struct bytes *claims)
{
    struct bytes text;
    char ours[SIGNATURE_TEXT];
    const char *theirs;

    if (token.len < SIGNATURE_TEXT + 1)
        return ERR_BAD;
    text = bytes_of(token.at, token.len - SIGNATURE_TEXT - 1);
    theirs = token.at + text.len + 1;
    if (theirs[-1] != '.')
        return ERR_BAD;
    if (!sign(t, text, ours))
        return ERR_FULL;
    /* padding has no place here (RFC 7515, section 2) */
    if (CRYPTO_memcmp(ours, theirs, SIGNATURE_TEXT) != 0 || memchr(text.at, '=', text.len) ||
        !bytes_cut(text, BYTES("."), header, claims))
        return ERR_BAD;
    return ERR_OK;
}

/* The JSON in one part of a token. */
static enum err read_part(struct tokens *t, struct bytes part, struct json_value *out)
{
    struct problem why;
    size_t len;

    t->text.len = 0;
    (void)buf_reserve(&t->text, part.len + JSON_PADDING);
    if (!base64url_read(part, t->text.at, &len))
        return ERR_BAD;
    memset(t->text.at + len, 0, JSON_PADDING);
    return json_parse(t->json, bytes_of(t->text.at, len), out, &why);
}

/* Names our algorithm in its spelling, and no extension that must be understood (RFC 7515, section
   4.1.11). */
static enum err check_header(struct tokens *t, struct bytes header)
{
    static const char *const names[] = {"alg", "typ", "crit"};
    struct json_value root, v[3];
    enum err e;

    if (bytes_equal(header, our_header))
        return ERR_OK;
    e = read_part(t, header, &root);
    if (e)
        return e;
    json_pick(root, names, v, 3);
    if (json_type(v[0]) != JSON_STRING || !bytes_equal(json_string(v[0]), BYTES("HS256")))
        return ERR_BAD;
    if (json_type(v[1]) == JSON_STRING && !bytes_equal_nocase(json_string(v[1]), BYTES("JWT")))
        return ERR_BAD;
    return json_type(v[2]) == JSON_ABSENT ? ERR_OK : ERR_BAD;
}

static bool read_dimension(struct json_value v, size_t most, struct bytes *out)
{
    if (json_type(v) != JSON_STRING)
        return false;
    *out = json_string(v);
    return out->len > 0 && out->len <= most && dimension_is_plain(*out);
}

/* exp is required; nbf is obeyed where given (RFC 7519, section 4.1.5); iat and jti are for people.
 */
static enum err read_claims(struct json_value root, int64_t now_s, size_t most,
                            struct identity *out)
{
    enum { EXP = DIMENSIONS, NBF, NAMES };
    const char *names[NAMES] = {[EXP] = "exp", [NBF] = "nbf"};
    struct json_value v[NAMES];
    int64_t when;

    dimension_names(names);
    json_pick(root, names, v, NAMES);
    for (int d = 0; d < DIMENSIONS; d++) {
        if (!read_dimension(v[d], most, &out->dim[d]))
            return ERR_BAD;
    }
    if (json_type(v[NBF]) != JSON_ABSENT && (!json_int(v[NBF], &when) || when > now_s))
        return ERR_BAD;
    if (!json_int(v[EXP], &when))
        return ERR_BAD;
    return now_s >= when ? ERR_TIMEOUT : ERR_OK;
}

/* Twice what ours can have: JSON at most doubles a dimension, base64 makes four bytes of three, and
   all else in a token takes less than 400. Others that know the key may say more than we do. */
static size_t longest(size_t dimension_bytes)
{
    size_t twice = 2 * ((2 * dimension_bytes * DIMENSIONS + 400) / 3 * 4);

    return twice > TOKEN_BYTES ? twice : TOKEN_BYTES;
}

enum err token_check(struct tokens *t, struct bytes token, int64_t now_s, size_t dimension_bytes,
                     struct identity *out)
{
    struct bytes header, claims;
    struct json_value root;
    enum err e;

    if (token.len > longest(dimension_bytes))
        return ERR_BAD;
    e = check_signature(t, token, &header, &claims);
    if (!e)
        e = check_header(t, header);
    if (!e)
        e = read_part(t, claims, &root);
    return e ? e : read_claims(root, now_s, dimension_bytes, out);
}
