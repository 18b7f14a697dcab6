#include "net/tls_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "net/tls.h"
#include "net/tls_files.h"

enum {
    TICKET_LIFE_S = 3600,
    CERTIFICATES_BYTES = 16384, /* of a client */
    SUITES_TEXT = 1024,
};

struct tls_context {
    _Atomic uint32_t count;
    SSL_CTX *ssl;
    int64_t ends_s;
};

/* ---- memory ---- */

static void *take(size_t size, const char *file, int line)
{
    void *p;

    (void)file;
    (void)line;
    /* whatever the budget: a record that cannot be had ends a connection that did nothing wrong,
       and new WebSockets are refused before they come to TLS */
    return mem_ask(size, &p) ? NULL : p;
}

static void give(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(p);
}

static void *resize(void *p, size_t size, const char *file, int line)
{
    if (!p)
        return take(size, file, line);
    if (!size) {
        mem_free(p);
        return NULL;
    }
    return mem_resize(p, size);
}

void tls_count_memory(void)
{
    CHECK(CRYPTO_set_mem_functions(take, resize, give));
}

/* ---- protocols and ciphers ---- */

/* Forward-secret and authenticated, nothing else. */
static const char usual_suites[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                   "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                   "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char usual_suites_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/* What the settings allow. */
struct rules {
    bool v1_2, v1_3;
    char suites[SUITES_TEXT], suites_1_3[SUITES_TEXT];
};

/* One word off the front of a list with commas, colons or blanks; false: none is left. */
static bool next_word(const char **rest, char *word, size_t room)
{
    size_t len;

    *rest += strspn(*rest, ",: \t");
    len = strcspn(*rest, ",: \t");
    if (!len)
        return false;
    snprintf(word, room, "%.*s", (int)len, *rest);
    *rest += len;
    return true;
}

static enum err read_protocols(const struct tls_settings *s, struct rules *r, struct problem *why)
{
    const char *rest = s->enabled_protocols;
    char word[64];

    r->v1_2 = r->v1_3 = !rest;
    while (rest && next_word(&rest, word, sizeof(word))) {
        if (strcmp(word, "TLSv1.2") == 0)
            r->v1_2 = true;
        else if (strcmp(word, "TLSv1.3") == 0)
            r->v1_3 = true;
        else
            return problem_set(why, ERR_BAD,
                               "server.ssl.enabled-protocols: expected TLSv1.2 and TLSv1.3, found "
                               "%s: older ones are broken",
                               word);
    }
    if (s->protocol == TLS_PROTOCOL_1_2)
        r->v1_3 = false;
    if (!r->v1_2 && !r->v1_3)
        return problem_set(why, ERR_BAD,
                           "server.ssl.enabled-protocols: expected one that server.ssl.protocol "
                           "allows");
    return ERR_OK;
}

static bool has_suite(const char *list, const char *name)
{
    struct bytes rest = bytes_text(list), word;

    while (rest.len) {
        bytes_cut(rest, BYTES(":"), &word, &rest);
        if (bytes_equal(word, bytes_text(name)))
            return true;
    }
    return false;
}

static void add_suite(char *list, const char *name)
{
    size_t len = strlen(list);

    if (!has_suite(list, name))
        snprintf(list + len, SUITES_TEXT - len, "%s%s", len ? ":" : "", name);
}

/* Names of the standard (TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) and OpenSSL's own. */
static enum err read_suites(const struct tls_settings *s, struct rules *r, struct problem *why)
{
    const char *rest = s->ciphers, *name;
    char word[128];

    while (rest && next_word(&rest, word, sizeof(word))) {
        name = OPENSSL_cipher_name(word);
        if (!name || strcmp(name, "(NONE)") == 0)
            name = word;
        if (has_suite(usual_suites_1_3, name))
            add_suite(r->suites_1_3, name);
        else if (has_suite(usual_suites, name))
            add_suite(r->suites, name);
        else
            return problem_set(why, ERR_BAD,
                               "server.ssl.ciphers: %s: expected suites of TLS 1.3, or ECDHE with "
                               "AES-GCM or CHACHA20-POLY1305",
                               word);
    }
    if (!s->ciphers) {
        memcpy(r->suites, usual_suites, sizeof(usual_suites));
        memcpy(r->suites_1_3, usual_suites_1_3, sizeof(usual_suites_1_3));
    }
    r->v1_2 = r->v1_2 && r->suites[0];
    r->v1_3 = r->v1_3 && r->suites_1_3[0];
    if (!r->v1_2 && !r->v1_3)
        return problem_set(why, ERR_BAD,
                           "server.ssl.ciphers: expected one that fits the enabled protocols");
    return ERR_OK;
}

static bool set_rules(SSL_CTX *c, const struct rules *r)
{
    return SSL_CTX_set_min_proto_version(c, r->v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) &&
           SSL_CTX_set_max_proto_version(c, r->v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
           (!r->v1_2 || SSL_CTX_set_cipher_list(c, r->suites)) &&
           (!r->v1_3 || SSL_CTX_set_ciphersuites(c, r->suites_1_3));
}

/* ---- what connections ask ---- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned i;

    (void)ssl;
    (void)context;
    for (i = 0; i < in_len; i += 1U + in[i]) {
        if (in_len - i < sizeof(ours) - 1 || memcmp(in + i, ours, sizeof(ours) - 1) != 0)
            continue;
        *out = in + i + 1;
        *out_len = ours[0];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool use_ticket_key(const struct tls_ticket_key *key, const unsigned char *iv,
                           EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_sealing)
{
    unsigned char mac_key[TLS_TICKET_KEY];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, sizeof(mac_key)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    bool is_set;

    memcpy(mac_key, key->mac, sizeof(mac_key));
    is_set = EVP_MAC_CTX_set_params(mac, params) &&
             EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_sealing);
    explicit_bzero(mac_key, sizeof(mac_key));
    return is_set;
}

/* Answers what OpenSSL's manual asks for: below 0 an error, 0 no such key, 1 used, 2 used and a new
   ticket is due: in 1.3 always, as a client uses each only once (RFC 8446, appendix C.4). */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
    struct tls_net *n = tls_net_of(ssl);
    int64_t now_ms = n->loop->now_ms;
    const struct tls_ticket_key *key;
    bool is_old = false;

    if (is_sealing) {
        key = tls_tickets_seal(&n->tickets, now_ms);
        memcpy(name, key->name, sizeof(key->name));
        rand_fill(&n->rand, iv, EVP_MAX_IV_LENGTH);
    } else {
        key = tls_tickets_open(&n->tickets, now_ms, name, &is_old);
        if (!key)
            return 0;
    }
    if (!use_ticket_key(key, iv, cipher, mac, is_sealing))
        return -1;
    return !is_sealing && (is_old || SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

/* long: the parameters are OpenSSL's */
/* NOLINTNEXTLINE(readability-function-size) */
static void on_message(int is_ours, int version, int type, const void *at, size_t len, SSL *ssl,
                       void *context)
{
    (void)version;
    (void)at;
    (void)len;
    (void)context;
    if (!is_ours && type == SSL3_RT_HANDSHAKE)
        tls_on_message(ssl);
}

/* ---- building ---- */

/* What OpenSSL has against it. */
static enum err refuse(const char *key, struct problem *why)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    enum err e = problem_set(why, ERR_BAD, "%s: OpenSSL does not take it: %s", key,
                             reason ? reason : "no reason given");

    ERR_clear_error();
    return e;
}

static const char *own_key(const struct tls_settings *s)
{
    return s->certificate ? "server.ssl.certificate" : "server.ssl.key-store";
}

/* The chain of a PKCS12 store is in no order that counts; that of PEM files is kept. */
static bool set_own(SSL_CTX *c, const struct tls_settings *s, const struct tls_files *f)
{
    int i;

    if (!SSL_CTX_use_certificate(c, f->leaf) || !SSL_CTX_use_PrivateKey(c, f->key))
        return false;
    for (i = 0; i < sk_X509_num(f->chain); i++)
        if (!SSL_CTX_add1_chain_cert(c, sk_X509_value(f->chain, i)))
            return false;
    if (!s->certificate && s->key_store_type == TLS_STORE_PKCS12 && sk_X509_num(f->chain) > 0)
        return SSL_CTX_build_cert_chain(
                   c, SSL_BUILD_CHAIN_FLAG_UNTRUSTED | SSL_BUILD_CHAIN_FLAG_NO_ROOT |
                          SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR | SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR) > 0;
    return true;
}

/* Each is an anchor, as in a trust store of Java: a chain may end at one that another has signed.
 */
static bool add_trusted(SSL_CTX *c, const struct tls_files *f, EVP_MD_CTX *sum)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;
    int i;

    if (!X509_STORE_set_flags(SSL_CTX_get_cert_store(c), X509_V_FLAG_PARTIAL_CHAIN))
        return false;
    for (i = 0; i < sk_X509_num(f->trusted); i++) {
        X509 *one = sk_X509_value(f->trusted, i);

        if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(c), one) ||
            !SSL_CTX_add_client_CA(c, one) || !X509_digest(one, EVP_sha256(), digest, &len) ||
            !EVP_DigestUpdate(sum, digest, len))
            return false;
    }
    return true;
}

/* A ticket says that its client was let in: it is good only where the same clients are let in. */
static bool set_clients(SSL_CTX *c, const struct tls_settings *s, const struct tls_files *f)
{
    static const int modes[] = {
        [TLS_CLIENT_NONE] = SSL_VERIFY_NONE,
        [TLS_CLIENT_WANT] = SSL_VERIFY_PEER,
        [TLS_CLIENT_NEED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    unsigned char id[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    unsigned len = 0;
    bool is_set;

    SSL_CTX_set_verify(c, modes[s->client_auth], NULL);
    is_set = sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) &&
             EVP_DigestUpdate(sum, &s->client_auth, sizeof(s->client_auth)) &&
             (s->client_auth == TLS_CLIENT_NONE || add_trusted(c, f, sum)) &&
             EVP_DigestFinal_ex(sum, id, &len) && SSL_CTX_set_session_id_context(c, id, len);
    EVP_MD_CTX_free(sum);
    return is_set;
}

static void set_ways(SSL_CTX *c, const struct tls_settings *s)
{
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (s->kernel)
        SSL_CTX_set_options(c, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY); /* or one call obeys messages until none is left */
    SSL_CTX_set_msg_callback(c, on_message);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(c, TICKET_LIFE_S);
    (void)SSL_CTX_set_num_tickets(c, 1);
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    SSL_CTX_set_max_cert_list(c, CERTIFICATES_BYTES);
}

static int64_t end_of(const X509 *certificate)
{
    struct tm t;

    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &t) ? (int64_t)timegm(&t) : 0;
}

static enum err fill(struct tls_context *c, const struct tls_settings *s, const struct rules *r,
                     const struct tls_files *f, struct problem *why)
{
    c->ssl = SSL_CTX_new(TLS_server_method());
    if (!c->ssl)
        return refuse("server.ssl", why);
    set_ways(c->ssl, s);
    if (!set_rules(c->ssl, r))
        return refuse("server.ssl.ciphers", why);
    if (!set_own(c->ssl, s, f))
        return refuse(own_key(s), why);
    if (!set_clients(c->ssl, s, f))
        return refuse("server.ssl.trust-certificate", why);
    c->ends_s = end_of(f->leaf);
    ERR_clear_error();
    return ERR_OK;
}

enum err tls_context_new(const struct tls_settings *s, struct tls_context **out,
                         struct problem *why)
{
    struct tls_context *c;
    struct rules rules = {0};
    struct tls_files files;
    enum err e;

    *out = NULL;
    e = read_protocols(s, &rules, why);
    if (!e)
        e = read_suites(s, &rules, why);
    if (!e)
        e = tls_files_read(s, &files, why);
    if (e)
        return e;
    c = mem_new(struct tls_context);
    atomic_init(&c->count, 1);
    e = fill(c, s, &rules, &files, why);
    tls_files_free(&files);
    if (e)
        tls_context_unref(c);
    else
        *out = c;
    return e;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->count, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(c->ssl);
    mem_free(c);
}

struct ssl_ctx_st *tls_context_ssl(struct tls_context *c)
{
    return c->ssl;
}

int64_t tls_context_ends_s(const struct tls_context *c)
{
    return c->ends_s;
}

bool tls_kernel_can(void)
{
    char text[256] = "";
    FILE *f = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "re");
    const char *rest = text;
    char word[32];

    if (!f)
        return false;
    if (fgets(text, sizeof(text), f))
        text[strcspn(text, "\n")] = '\0';
    fclose(f);
    while (next_word(&rest, word, sizeof(word)))
        if (strcmp(word, "tls") == 0)
            return true;
    return false;
}
