/*
 * tls_site - certificates, contexts and OpenSSL's own client for the tests of TLS.
 */
#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "net/conn_tls.h"
#include "net/tls.h"
#include "net/tls_context.h"
#include "unit/net/peer.h"

/* A key and a certificate signed by itself, in one PEM file. */
struct site_file {
    char path[40];
};

static inline void site_certificate(struct site_file *f, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *c = X509_new();
    X509_NAME *n = X509_get_subject_name(c);
    FILE *out;

    assert_true(X509_set_version(c, 2) && ASN1_INTEGER_set(X509_get_serialNumber(c), 7));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(c), -60));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(c), 86400));
    assert_true(X509_set_pubkey(c, key));
    assert_true(
        X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0));
    assert_true(X509_set_issuer_name(c, n) && X509_sign(c, key, EVP_sha256()));
    snprintf(f->path, sizeof(f->path), "/tmp/pushca-tls-XXXXXX");
    out = fdopen(mkstemp(f->path), "w");
    assert_non_null(out);
    assert_true(PEM_write_X509(out, c) &&
                PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
    assert_int_equal(fclose(out), 0);
    X509_free(c);
    EVP_PKEY_free(key);
}

static inline struct tls_context *site_context(const struct tls_settings *s)
{
    struct tls_context *c;
    struct problem why;

    if (tls_context_new(s, &c, &why))
        fail_msg("%s", why.text);
    return c;
}

/* A client whose socket is fd, which it does not close. suite: null: any. */
static inline SSL *site_client_of(int fd, int version, const char *suite, SSL_SESSION *session)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    SSL *ssl;

    assert_true(SSL_CTX_set_min_proto_version(c, version) &&
                SSL_CTX_set_max_proto_version(c, version));
    if (suite && version == TLS1_3_VERSION)
        assert_true(SSL_CTX_set_ciphersuites(c, suite));
    else if (suite)
        assert_true(SSL_CTX_set_cipher_list(c, suite));
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ssl = SSL_new(c);
    SSL_CTX_free(c);
    assert_true(SSL_set_fd(ssl, fd));
    if (session)
        assert_true(SSL_set_session(ssl, session));
    SSL_set_connect_state(ssl);
    return ssl;
}

static inline SSL *site_client(int fd, int version, SSL_SESSION *session)
{
    return site_client_of(fd, version, NULL, session);
}

static inline void site_connect(struct world *w, SSL *ssl)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;
    int result;

    while ((result = SSL_do_handshake(ssl)) != 1 && clock_mono_ms() < end_ms) {
        assert_int_equal(SSL_get_error(ssl, result), SSL_ERROR_WANT_READ);
        loop_turn(&w->loop, 1);
    }
    assert_int_equal(result, 1);
}

/* Writes all of b, reading nothing. */
static inline void site_write(struct world *w, SSL *ssl, struct bytes b)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;
    size_t n;

    while (b.len && clock_mono_ms() < end_ms) {
        if (SSL_write_ex(ssl, b.at, b.len, &n))
            b = bytes_of(b.at + n, b.len - n);
        else
            assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_WANT_WRITE);
        loop_turn(&w->loop, 0);
    }
    assert_int_equal(b.len, 0);
}

/* Reads until len bytes in all are in `into`, or the server has said that it ends. */
static inline enum peer_end site_read(struct world *w, SSL *ssl, struct buf *into, size_t len)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;
    size_t n;

    while (into->len < len && clock_mono_ms() < end_ms) {
        if (SSL_read_ex(ssl, buf_reserve(into, 16384), 16384, &n)) {
            into->len += n;
            continue;
        }
        switch (SSL_get_error(ssl, 0)) {
        case SSL_ERROR_WANT_READ:
            loop_turn(&w->loop, 1);
            break;
        case SSL_ERROR_ZERO_RETURN:
            return PEER_EOF;
        default:
            ERR_clear_error();
            return PEER_RESET;
        }
    }
    return PEER_QUIET;
}
