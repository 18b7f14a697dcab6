#include "wire/token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "unit/wire/padded.h"

enum { NOW = 1700000000, LIFE = 1800, DIMENSION = 256 };

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const struct token_key key = {{secret, 32}};
static struct tokens *tokens;
static struct rand dice_of_tokens;

static struct identity bob(void)
{
    return (struct identity){{BYTES("ws"), BYTES("bob@test.ee"), BYTES("phone"), BYTES("app")}};
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void base64url(struct buf *out, const void *at, size_t len)
{
    const unsigned char *p = at;

    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        unsigned word = (unsigned)p[i] << 16 | (n > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                        (n > 2 ? (unsigned)p[i + 2] : 0);

        for (size_t k = 0; k <= n; k++)
            buf_add_char(out, alphabet[word >> (18 - 6 * k) & 63]);
    }
}

static struct bytes sign(struct buf *out, const char *header, const char *claims,
                         const EVP_MD *digest, const struct token_key *with)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    out->len = 0;
    base64url(out, header, strlen(header));
    buf_add_char(out, '.');
    base64url(out, claims, strlen(claims));
    if (digest)
        HMAC(digest, with->secret.at, (int)with->secret.len, (unsigned char *)out->at, out->len,
             mac, &len);
    buf_add_char(out, '.');
    base64url(out, mac, len);
    return buf_bytes(out);
}

static enum err check_at(struct bytes token, int64_t now_s, struct identity *who)
{
    /* a copy without anything behind it: a sanitizer sees whoever reads on */
    char *copy = malloc(token.len ? token.len : 1);
    enum err e;

    assert_non_null(copy);
    if (token.len)
        memcpy(copy, token.at, token.len);
    e = token_check(tokens, bytes_of(copy, token.len), now_s, DIMENSION, who);
    free(copy);
    return e;
}

static enum err check(struct bytes token)
{
    struct identity who;

    return check_at(token, NOW, &who);
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define DIMS                                                                                       \
    "\"workSpaceId\":\"ws\",\"accountId\":\"bob@test.ee\",\"deviceId\":\"phone\","                 \
    "\"applicationId\":\"app\""
#define REST   "\"iat\":1700000000,\"exp\":1700001800,\"jti\":\"00\""
#define CLAIMS "{" DIMS "," REST "}"

static enum err forged(const char *header, const char *claims, const EVP_MD *digest,
                       const struct token_key *with)
{
    struct buf b = {0};
    enum err e = check(sign(&b, header, claims, digest, with));

    buf_fini(&b);
    return e;
}

static enum err claims_are(const char *claims)
{
    return forged(HS256, claims, EVP_sha256(), &key);
}

static struct buf issue(const struct identity *who, int64_t life_s)
{
    struct buf b = {0};

    assert_int_equal(token_issue(tokens, who, NOW, life_s, &dice_of_tokens, &b), ERR_OK);
    return b;
}

static void test_issued_tokens_are_taken(void **state)
{
    struct identity who, wanted = bob();
    struct buf b = issue(&wanted, LIFE);
    size_t dots = 0;

    (void)state;
    for (size_t i = 0; i < b.len; i++) {
        dots += b.at[i] == '.';
        assert_true(b.at[i] == '.' || memchr(alphabet, b.at[i], 64));
    }
    assert_int_equal(dots, 2);
    assert_int_equal(check_at(buf_bytes(&b), NOW, &who), ERR_OK);
    assert_true(identity_equal(&who, &wanted));
    assert_int_equal(check_at(buf_bytes(&b), NOW - 100000, &who), ERR_OK); /* iat to come */
    buf_fini(&b);
}

static void test_issue_appends(void **state)
{
    struct identity who = bob();
    struct buf b = {0};

    (void)state;
    buf_add(&b, BYTES("ws://host/"));
    assert_int_equal(token_issue(tokens, &who, NOW, LIFE, &dice_of_tokens, &b), ERR_OK);
    assert_true(bytes_starts(buf_bytes(&b), BYTES("ws://host/ey")));
    assert_int_equal(check(bytes_of(b.at + 10, b.len - 10)), ERR_OK);
    buf_fini(&b);
}

static void test_expiry(void **state)
{
    struct identity who, wanted = bob();
    struct buf b = issue(&wanted, LIFE);

    (void)state;
    assert_int_equal(check_at(buf_bytes(&b), NOW + LIFE - 1, &who), ERR_OK);
    assert_int_equal(check_at(buf_bytes(&b), NOW + LIFE, &who), ERR_TIMEOUT);
    assert_int_equal(check_at(buf_bytes(&b), NOW + LIFE + 1, &who), ERR_TIMEOUT);
    assert_int_equal(check_at(buf_bytes(&b), INT64_MAX, &who), ERR_TIMEOUT);
    /* a spoilt one does not tell that it has expired */
    b.at[b.len - 2] = b.at[b.len - 2] == 'A' ? 'B' : 'A';
    assert_int_equal(check_at(buf_bytes(&b), NOW + LIFE, &who), ERR_BAD);
    buf_fini(&b);
}

/* What is inside. */
static void test_claims_of_an_issued_token(void **state)
{
    static const char *const names[] = {"workSpaceId", "accountId", "deviceId", "applicationId",
                                        "iat",         "exp",       "jti"};
    struct identity who = bob();
    struct buf b = issue(&who, LIFE), again = issue(&who, LIFE);
    struct bytes head, rest, body, other;
    unsigned char plain[1000];
    struct json *j = json_new(8);
    struct json_value root, v[7];
    struct problem why;
    struct bytes text;
    int64_t n = 0;
    int len;

    (void)state;
    bytes_cut(buf_bytes(&again), BYTES("."), &head, &rest);
    bytes_cut(rest, BYTES("."), &other, &rest);
    bytes_cut(buf_bytes(&b), BYTES("."), &head, &rest);
    bytes_cut(rest, BYTES("."), &body, &rest);
    assert_false(bytes_equal(body, other)); /* jti */
    while ((size_t)(body.at - b.at + (ptrdiff_t)body.len) < b.len && body.len % 4)
        ((char *)b.at)[body.at - b.at + (ptrdiff_t)body.len++] = 'A'; /* any padding will do */
    for (size_t i = 0; i < body.len; i++) {
        char *c = &b.at[body.at - b.at + (ptrdiff_t)i];

        *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
    }
    len = EVP_DecodeBlock(plain, (const unsigned char *)body.at, (int)body.len);
    assert_true(len > 0);
    while (len > 0 && plain[len - 1] != '}')
        len--;
    text = padded(bytes_of((const char *)plain, (size_t)len));
    if (json_parse(j, text, &root, &why))
        fail_msg("%s", why.text);
    json_pick(root, names, v, 7);
    for (int d = 0; d < DIMENSIONS; d++)
        assert_text(json_string(v[d]), who.dim[d], names[d]);
    assert_true(json_int(v[4], &n) && n == NOW);
    assert_true(json_int(v[5], &n) && n == NOW + LIFE);
    assert_int_equal(json_string(v[6]).len, 32);
    assert_int_equal(strspn(json_string(v[6]).at, "0123456789abcdef"), 32);
    padded_free(text);
    json_free(j);
    buf_fini(&b);
    buf_fini(&again);
}

static void test_foreign_but_right(void **state)
{
    (void)state;
    assert_int_equal(claims_are(CLAIMS), ERR_OK);
    assert_int_equal(forged("{\"typ\":\"JWT\",\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), &key),
                     ERR_OK);
    assert_int_equal(forged("{\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), &key), ERR_OK);
    assert_int_equal(claims_are("{\"extra\":[1,{}]," DIMS "," REST "}"), ERR_OK);
    assert_int_equal(claims_are("{" DIMS ",\"iat\":4102444800,\"exp\":4102444801,\"jti\":\"0\"}"),
                     ERR_OK);
    assert_int_equal(claims_are("{" DIMS ",\"iat\":1,\"exp\":1700000000,\"jti\":\"0\"}"),
                     ERR_TIMEOUT);
    assert_int_equal(claims_are("{" DIMS ",\"iat\":-1,\"exp\":-1,\"jti\":\"0\"}"), ERR_TIMEOUT);
}

static void test_other_algorithms(void **state)
{
    static const char *const named[] = {"none",  "None",  "NONE",  "HS384", "HS512", "RS256",
                                        "ES256", "PS256", "hs256", "",      "HS256 "};
    char header[100];

    (void)state;
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"JWT\"}", named[i]);
        assert_int_equal(forged(header, CLAIMS, EVP_sha256(), &key), ERR_BAD);
        assert_int_equal(forged(header, CLAIMS, EVP_sha384(), &key), ERR_BAD);
        assert_int_equal(forged(header, CLAIMS, EVP_sha512(), &key), ERR_BAD);
        assert_int_equal(forged(header, CLAIMS, NULL, &key), ERR_BAD);
    }
    assert_int_equal(forged(HS256, CLAIMS, EVP_sha384(), &key), ERR_BAD);
    assert_int_equal(forged(HS256, CLAIMS, NULL, &key), ERR_BAD);
    assert_int_equal(forged("{\"typ\":\"JWT\"}", CLAIMS, EVP_sha256(), &key), ERR_BAD);
    assert_int_equal(forged("{\"alg\":256}", CLAIMS, EVP_sha256(), &key), ERR_BAD);
    assert_int_equal(forged("{\"alg\":null}", CLAIMS, EVP_sha256(), &key), ERR_BAD);
    assert_int_equal(forged("{}", CLAIMS, EVP_sha256(), &key), ERR_BAD);
    assert_int_equal(forged("[]", CLAIMS, EVP_sha256(), &key), ERR_BAD);
    assert_int_equal(forged("x", CLAIMS, EVP_sha256(), &key), ERR_BAD);
    assert_int_equal(forged("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", CLAIMS, EVP_sha256(), &key),
                     ERR_BAD);
    assert_int_equal(forged("{\"alg\":\"HS256\",\"crit\":null}", CLAIMS, EVP_sha256(), &key),
                     ERR_BAD);
    assert_int_equal(forged("{\"alg\":\"HS256\",\"typ\":\"JWE\"}", CLAIMS, EVP_sha256(), &key),
                     ERR_BAD);
    assert_int_equal(forged("{\"alg\":\"HS256\",\"typ\":\"jwt\"}", CLAIMS, EVP_sha256(), &key),
                     ERR_OK);
    assert_int_equal(forged("{\"alg\":\"none\",\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), &key),
                     ERR_BAD);
}

static void test_other_secrets(void **state)
{
    char spoilt[32];
    const struct token_key other = {{spoilt, sizeof(spoilt)}}, empty = {{spoilt, 0}};

    (void)state;
    memcpy(spoilt, secret, sizeof(spoilt));
    spoilt[31] ^= 1;
    assert_int_equal(forged(HS256, CLAIMS, EVP_sha256(), &other), ERR_BAD);
    assert_int_equal(forged(HS256, CLAIMS, EVP_sha256(), &empty), ERR_BAD);
}

static void test_secrets_with_zeros_count_whole(void **state)
{
    char raw[64] = {1, 0, 2};
    struct token_key mine = {{raw, sizeof(raw)}};
    struct tokens *before = tokens_new(&mine), *after;
    struct identity who = bob();
    struct buf b = {0};

    (void)state;
    assert_int_equal(token_issue(before, &who, NOW, LIFE, &dice_of_tokens, &b), ERR_OK);
    assert_int_equal(token_check(before, buf_bytes(&b), NOW, DIMENSION, &who), ERR_OK);
    raw[63] = 1;
    after = tokens_new(&mine);
    assert_int_equal(token_check(after, buf_bytes(&b), NOW, DIMENSION, &who), ERR_BAD);
    tokens_free(before);
    tokens_free(after);
    buf_fini(&b);
}

/* Longer ones than SHA-256's block count by their own sum (RFC 2104). */
static void test_secrets_of_any_length(void **state)
{
    static const size_t lengths[] = {32, 33, 63, 64, 65, 100, 128, 4096};
    char raw[4096];
    struct token_key mine = {{raw, 0}};
    struct identity who = bob();
    struct buf theirs = {0}, ours = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = (char)(i * 7 + 3);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct tokens *t;
        struct bytes header, claims, rest;
        unsigned char mac[EVP_MAX_MD_SIZE];
        struct buf signature = {0};
        unsigned len = 0;

        mine.secret.len = lengths[i];
        t = tokens_new(&mine);
        assert_int_equal(
            token_check(t, sign(&theirs, HS256, CLAIMS, EVP_sha256(), &mine), NOW, DIMENSION, &who),
            ERR_OK);
        ours.len = 0;
        assert_int_equal(token_issue(t, &who, NOW, LIFE, &dice_of_tokens, &ours), ERR_OK);
        assert_true(bytes_cut(buf_bytes(&ours), BYTES("."), &header, &rest));
        assert_true(bytes_cut(rest, BYTES("."), &claims, &rest));
        HMAC(EVP_sha256(), raw, (int)lengths[i], (unsigned char *)ours.at,
             (size_t)(rest.at - 1 - ours.at), mac, &len);
        base64url(&signature, mac, len);
        assert_true(bytes_equal(buf_bytes(&signature), rest));
        buf_fini(&signature);
        tokens_free(t);
    }
    buf_fini(&theirs);
    buf_fini(&ours);
}

/* Any other character at any place: also those of the last one that decode to the same bytes. */
static void test_every_changed_character(void **state)
{
    struct identity who = bob();
    struct buf b = issue(&who, LIFE);

    (void)state;
    for (size_t i = 0; i < b.len; i++) {
        char right = b.at[i];
        bool last = i + 1 == b.len;

        for (unsigned c = last ? 0 : 'A'; c < (last ? 256 : 'D'); c++) {
            if ((char)c == right)
                continue;
            b.at[i] = (char)c;
            assert_int_equal(check(buf_bytes(&b)), ERR_BAD);
        }
        b.at[i] = right;
    }
    assert_int_equal(check(buf_bytes(&b)), ERR_OK);
    buf_fini(&b);
}

static void test_every_beginning_and_more_at_the_end(void **state)
{
    static const char *const more[] = {"A", ".", "=", "==", "..", ".A", "/", " ", "\n", "?x=1"};
    struct identity who = bob();
    struct buf b = issue(&who, LIFE);
    size_t len = b.len;

    (void)state;
    for (size_t n = 0; n < len; n++)
        assert_int_equal(check(bytes_of(b.at, n)), ERR_BAD);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        b.len = len;
        buf_add(&b, bytes_text(more[i]));
        assert_int_equal(check(buf_bytes(&b)), ERR_BAD);
        buf_fini(&b);
        b = issue(&who, LIFE);
    }
    b.len = len;
    buf_add_char(&b, 0); /* a zero does not hide what follows */
    assert_int_equal(check(buf_bytes(&b)), ERR_BAD);
    buf_add(&b, BYTES("x"));
    assert_int_equal(check(buf_bytes(&b)), ERR_BAD);
    buf_fini(&b);
}

static void test_rubbish(void **state)
{
    static const char *const texts[] = {"",         ".",          "..",     "...",
                                        "a.b.c",    "e30.e30.",   ".e30.x", "favicon.ico",
                                        "{}.{}.{}", "e30.e30.e30"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(check(bytes_text(texts[i])), ERR_BAD);
}

/* claims with padding so that the whole token has this many characters */
static struct bytes of_length(struct buf *b, size_t len)
{
    static char claims[8000];

    for (size_t fill = (len - 400) / 4 * 3 - 100; fill < sizeof(claims) - 300; fill++) {
        int at = snprintf(claims, sizeof(claims), "{" DIMS "," REST ",\"x\":\"");

        memset(claims + at, 'x', fill);
        memcpy(claims + (size_t)at + fill, "\"}", 3);
        if (sign(b, HS256, claims, EVP_sha256(), &key).len >= len)
            break;
    }
    return buf_bytes(b);
}

static void test_length(void **state)
{
    struct buf b = {0};
    char *huge = malloc(1 << 20);

    (void)state;
    for (size_t len = 8191; len <= 8193; len++) {
        assert_int_equal(of_length(&b, len).len, len);
        assert_int_equal(check(buf_bytes(&b)), len <= 8192 ? ERR_OK : ERR_BAD);
    }
    assert_non_null(huge);
    memset(huge, 'A', 1 << 20);
    assert_int_equal(check(bytes_of(huge, 1 << 20)), ERR_BAD);
    huge[100] = '.';
    huge[(1 << 20) - 44] = '.';
    assert_int_equal(check(bytes_of(huge, 1 << 20)), ERR_BAD);
    free(huge);
    buf_fini(&b);
}

/* Whoever shares the key may sign anything. */
static void test_hostile_payloads(void **state)
{
    static const char openers[] = "[{";
    char text[5800] = "";

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        memset(text, openers[i], sizeof(text) - 1);
        assert_int_equal(claims_are(text), ERR_BAD);
        assert_int_equal(forged(text, CLAIMS, EVP_sha256(), &key), ERR_BAD);
    }
    for (size_t i = 0; i + 5 < sizeof(text); i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_int_equal(claims_are(text), ERR_BAD);
    assert_int_equal(claims_are(""), ERR_BAD);
    assert_int_equal(claims_are("null"), ERR_BAD);
    assert_int_equal(claims_are("{" DIMS ",\"exp\":4102444801}"), ERR_OK);
    assert_int_equal(claims_are("{" DIMS ",\"exp\":4102444801,\"nbf\":1}"), ERR_OK);
    assert_int_equal(claims_are("{" DIMS ",\"exp\":4102444801,\"nbf\":4102444800}"), ERR_BAD);
    assert_int_equal(claims_are("[]"), ERR_BAD);
    assert_int_equal(claims_are("{"), ERR_BAD);
    assert_int_equal(claims_are("{\"workSpaceId\":\"\xff\"}"), ERR_BAD);
}

static void test_wrong_claims(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "{" DIMS "}",
        "{" REST "}",
        "{" DIMS ",\"iat\":1700000000,\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":\"1700001800\",\"iat\":1700000000,\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":1700001800.5,\"iat\":1700000000,\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":null,\"iat\":1700000000,\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":true,\"iat\":1700000000,\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":99999999999999999999,\"iat\":1700000000,\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":1700001800,\"nbf\":\"now\",\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":1700001800,\"nbf\":\"1700000000\",\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":1700001800,\"nbf\":1.7e9,\"jti\":\"0\"}",
        "{" DIMS ",\"exp\":1700001800,\"nbf\":{},\"jti\":\"0\"}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\"," REST "}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":"
        "\"\"," REST "}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":7," REST
        "}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":"
        "null," REST "}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":[\"a\"]"
        "," REST "}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":\"a\\n\""
        "," REST "}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":"
        "\"a\\u0085\"," REST "}",
        "{\"workSpaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":"
        "\"a\\u0000\"," REST "}",
        "{\"accountId\":\"eve\"," DIMS "," REST "}",
        "{" DIMS "," REST ",\"exp\":4102444801}",
        "{\"workspaceId\":\"ws\",\"accountId\":\"b\",\"deviceId\":\"d\",\"applicationId\":"
        "\"a\"," REST "}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (claims_are(wrong[i]) != ERR_BAD)
            fail_msg("not refused as it should: %s", wrong[i]);
    }
}

static void test_dimension_limit(void **state)
{
    char text[DIMENSION + 2];

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t len = DIMENSION - 1; len <= DIMENSION + 1; len++) {
        for (int d = 0; d < DIMENSIONS; d++) {
            struct identity who = bob(), got;
            struct buf b;

            who.dim[d] = bytes_of(text, len);
            b = issue(&who, LIFE);
            if (len <= DIMENSION) {
                assert_int_equal(check_at(buf_bytes(&b), NOW, &got), ERR_OK);
                assert_true(identity_equal(&got, &who));
            } else {
                assert_int_equal(check(buf_bytes(&b)), ERR_BAD);
            }
            buf_fini(&b);
        }
    }
}

/* The longest identity there is, every byte of it in need of an escape. */
static void test_longest_identity(void **state)
{
    char text[DIMENSION];
    struct identity who, got;
    struct buf b;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? '"' : '\\';
    for (int d = 0; d < DIMENSIONS; d++)
        who.dim[d] = bytes_of(text, sizeof(text));
    b = issue(&who, LIFE);
    assert_int_equal(check_at(buf_bytes(&b), NOW, &got), ERR_OK);
    assert_true(identity_equal(&got, &who));
    buf_fini(&b);
}

/* What we issue we take, whatever the configured length of a dimension, and however much of it is
   the one character that other JSON of ours escapes. */
static void test_what_is_issued_is_taken(void **state)
{
    static const size_t lengths[] = {1, 256, 500, 1600, 4096};
    static char text[4096];

    (void)state;
    for (int letter = 0; letter < 3; letter++) {
        memset(text, "a@\\"[letter], sizeof(text));
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            struct identity who, got;
            struct buf b = {0};

            for (int d = 0; d < DIMENSIONS; d++)
                who.dim[d] = bytes_of(text, lengths[i]);
            assert_int_equal(token_issue(tokens, &who, NOW, LIFE, &dice_of_tokens, &b), ERR_OK);
            assert_in_range(b.len, 1, (2 * lengths[i] * DIMENSIONS + 400) / 3 * 4);
            assert_int_equal(token_check(tokens, buf_bytes(&b), NOW, lengths[i], &got), ERR_OK);
            assert_true(identity_equal(&got, &who));
            buf_fini(&b);
        }
    }
}

static void test_any_characters(void **state)
{
    struct identity got, who = {{BYTES("\xc3\xa9 \"q\" \\ /"), BYTES("\xf0\x9f\x98\x80@@"),
                                 BYTES("{\"a\":1}"), BYTES("%41+&?#.")}};
    struct buf b = issue(&who, LIFE);

    (void)state;
    assert_int_equal(check_at(buf_bytes(&b), NOW, &got), ERR_OK);
    assert_true(identity_equal(&got, &who));
    buf_fini(&b);
}

static int begin(void **state)
{
    (void)state;
    tokens = tokens_new(&key);
    rand_init(&dice_of_tokens);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tokens_free(tokens);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_issued_tokens_are_taken),
        cmocka_unit_test(test_issue_appends),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_claims_of_an_issued_token),
        cmocka_unit_test(test_foreign_but_right),
        cmocka_unit_test(test_other_algorithms),
        cmocka_unit_test(test_other_secrets),
        cmocka_unit_test(test_secrets_with_zeros_count_whole),
        cmocka_unit_test(test_secrets_of_any_length),
        cmocka_unit_test(test_every_changed_character),
        cmocka_unit_test(test_every_beginning_and_more_at_the_end),
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_hostile_payloads),
        cmocka_unit_test(test_wrong_claims),
        cmocka_unit_test(test_dimension_limit),
        cmocka_unit_test(test_longest_identity),
        cmocka_unit_test(test_what_is_issued_is_taken),
        cmocka_unit_test(test_any_characters),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
