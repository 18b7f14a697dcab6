/* token - anything may be said to token_check; what was issued comes back, once any bit of it is
 * turned it does not, and of what others sign with the key only proper claims count. */
#include "wire/token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "input.h"
#include "wire/base64url.h"
#include "wire/utf8.h"

enum { DIMENSION_BYTES = 20, NOW_S = 1700000000, LIFE_S = 100 };

static const struct token_key key = {{"0123456789abcdef0123456789abcdef", 32}};
static struct tokens *tokens;

/* What is let in has four proper dimensions. */
static enum err check(struct bytes token, int64_t now_s, struct identity *out)
{
    char *piece = piece_new(token, 0);
    enum err e = token_check(tokens, bytes_of(piece, token.len), now_s, DIMENSION_BYTES, out);

    MUST(e == ERR_OK || e == ERR_BAD || e == ERR_TIMEOUT);
    for (int d = 0; !e && d < DIMENSIONS; d++) {
        MUST(out->dim[d].len > 0 && out->dim[d].len <= DIMENSION_BYTES);
        MUST(utf8_valid(out->dim[d]) && dimension_is_plain(out->dim[d]));
    }
    piece_free(piece);
    return e;
}

/* ---- issued by us ---- */

/* Takes bytes that may stand in a dimension; anything else becomes a letter. */
static struct bytes some_dimension(struct input *in, char room[DIMENSION_BYTES])
{
    struct bytes b = input_bytes(in, 1 + input_below(in, DIMENSION_BYTES));

    if (b.len && utf8_valid(b) && dimension_is_plain(b))
        return b;
    for (size_t i = 0; i < b.len; i++)
        room[i] = (char)('a' + (unsigned char)b.at[i] % 26);
    return b.len ? bytes_of(room, b.len) : BYTES("x");
}

static void issue_then_check(struct input in)
{
    unsigned place = input_u16(&in), bit = input_below(&in, 8);
    char room[DIMENSIONS][DIMENSION_BYTES];
    struct identity who, again;
    struct buf token = {0};
    struct rand r;

    for (int d = 0; d < DIMENSIONS; d++)
        who.dim[d] = some_dimension(&in, room[d]);
    rand_init(&r);
    MUST(token_issue(tokens, &who, NOW_S, LIFE_S, &r, &token) == ERR_OK);
    MUST(check(buf_bytes(&token), NOW_S + LIFE_S, &again) == ERR_TIMEOUT);
    MUST(check(buf_bytes(&token), NOW_S + LIFE_S - 1, &again) == ERR_OK);
    MUST(identity_equal(&who, &again));
    token.at[place % token.len] ^= (char)(1 << bit);
    MUST(check(buf_bytes(&token), NOW_S, &again) == ERR_BAD);
    buf_fini(&token);
}

/* ---- signed by somebody else who has the key ---- */

static void add_part(struct buf *out, struct bytes part)
{
    char *at = buf_reserve(out, base64url_len(part.len));

    base64url_write(at, part.at, part.len);
    out->len += base64url_len(part.len);
}

/* text: a header, a new line, claims. */
static void sign_then_check(struct bytes text)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    struct bytes header, claims;
    struct buf token = {0};
    struct identity who;
    unsigned len = 0;
    enum err e;

    if (!bytes_cut(text, BYTES("\n"), &header, &claims))
        return;
    add_part(&token, header);
    buf_add_char(&token, '.');
    add_part(&token, claims);
    MUST(HMAC(EVP_sha256(), key.secret.at, (int)key.secret.len, (unsigned char *)token.at,
              token.len, sum, &len));
    buf_add_char(&token, '.');
    add_part(&token, bytes_of((const char *)sum, len));
    e = check(buf_bytes(&token), NOW_S, &who);
    if (!e) { /* nobody who says nothing of these */
        MUST(memmem(header.at, header.len, "alg", 3) || memchr(header.at, '\\', header.len));
        MUST(memmem(claims.at, claims.len, "exp", 3) || memchr(claims.at, '\\', claims.len));
    }
    buf_fini(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of((const char *)data, size);
    struct identity who;

    if (!tokens)
        tokens = tokens_new(&key);
    (void)check(text, NOW_S, &who);
    issue_then_check((struct input){data, size});
    sign_then_check(text);
    return 0;
}
