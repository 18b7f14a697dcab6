#include "cluster/redis_tls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* Spring's way of naming a file is fine. */
static const char *plain_path(const char *path)
{
    return strncmp(path, "file:", 5) == 0 ? path + 5 : path;
}

static enum err refuse(struct problem *why, const char *key, const char *path, const char *what)
{
    ERR_clear_error();
    return problem_set(why, ERR_BAD, "pushca.storage.redis.ssl.%s: %s: %s", key, path, what);
}

static enum err load(SSL_CTX *c, const struct redis_settings *set, struct problem *why)
{
    const char *own = set->tls_certificate;
    const char *key = set->tls_key ? set->tls_key : own;

    if (set->tls_ca && !SSL_CTX_load_verify_file(c, plain_path(set->tls_ca)))
        return refuse(why, "trust-certificate", set->tls_ca, "no certificate can be read from it");
    if (!set->tls_ca && !SSL_CTX_set_default_verify_paths(c))
        return refuse(why, "trust-certificate", "(the system's)", "cannot be read");
    if (!own)
        return ERR_OK;
    if (SSL_CTX_use_certificate_chain_file(c, plain_path(own)) != 1)
        return refuse(why, "certificate", own, "no certificate can be read from it");
    if (SSL_CTX_use_PrivateKey_file(c, plain_path(key), SSL_FILETYPE_PEM) != 1)
        return refuse(why, "certificate-private-key", key,
                      "no key that belongs to the certificate can be read from it");
    return ERR_OK;
}

/* A key that asks for a password would wait for the terminal. */
static int no_password(char *at, int room, int is_writing, void *user)
{
    (void)at;
    (void)room;
    (void)is_writing;
    (void)user;
    return -1;
}

enum err redis_tls_open(const struct redis_settings *set, struct ssl_ctx_st **out,
                        struct problem *why)
{
    SSL_CTX *c;
    enum err e;

    *out = NULL;
    if (!set->tls_enabled || strcmp(set->tls_enabled, "true") != 0)
        return ERR_OK;
    c = SSL_CTX_new(TLS_client_method());
    if (!c)
        return refuse(why, "enabled", "true", "no memory for it");
    SSL_CTX_set_default_passwd_cb(c, no_password);
    (void)SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    e = load(c, set, why);
    if (e)
        SSL_CTX_free(c);
    else
        *out = c;
    return e;
}

void redis_tls_close(struct ssl_ctx_st *c)
{
    SSL_CTX_free(c);
}

static bool is_literal(const char *host)
{
    unsigned char address[16];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool expect(SSL *s, const char *host, bool any_host)
{
    char name[256]; /* OpenSSL's macro wants it writable */

    if (is_literal(host))
        return any_host || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s), host);
    snprintf(name, sizeof(name), "%s", host);
    return SSL_set_tlsext_host_name(s, name) && (any_host || SSL_set1_host(s, host));
}

enum err redis_tls_new(struct ssl_ctx_st *c, int fd, const char *host, bool any_host,
                       struct ssl_st **out)
{
    SSL *s = SSL_new(c);

    if (!s || !SSL_set_fd(s, fd) || !expect(s, host, any_host)) {
        SSL_free(s);
        ERR_clear_error();
        return ERR_FULL;
    }
    SSL_set_connect_state(s);
    *out = s;
    return ERR_OK;
}

void redis_tls_free(struct ssl_st *s)
{
    SSL_free(s);
}

static enum err reason(SSL *s, int result, bool *wants_write)
{
    int code = SSL_get_error(s, result);

    ERR_clear_error();
    *wants_write = code == SSL_ERROR_WANT_WRITE;
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
        return ERR_AGAIN;
    return code == SSL_ERROR_ZERO_RETURN || code == SSL_ERROR_SYSCALL ? ERR_GONE : ERR_BAD;
}

enum err redis_tls_shake(struct ssl_st *s, bool *wants_write)
{
    int result;

    ERR_clear_error();
    *wants_write = false;
    result = SSL_do_handshake(s);
    return result == 1 ? ERR_OK : reason(s, result, wants_write);
}

enum err redis_tls_read(struct ssl_st *s, void *at, size_t len, size_t *got, bool *wants_write)
{
    int result;

    ERR_clear_error();
    *wants_write = false;
    *got = 0;
    result = SSL_read_ex(s, at, len, got);
    return result == 1 ? ERR_OK : reason(s, result, wants_write);
}

enum err redis_tls_write(struct ssl_st *s, struct bytes b, size_t *sent, bool *wants_write)
{
    int result;

    ERR_clear_error();
    *wants_write = false;
    *sent = 0;
    result = SSL_write_ex(s, b.at, b.len, sent);
    return result == 1 ? ERR_OK : reason(s, result, wants_write);
}

bool redis_tls_has_more(const struct ssl_st *s)
{
    return SSL_pending(s) > 0;
}

const char *redis_tls_why(const struct ssl_st *s)
{
    long result = SSL_get_verify_result(s);

    return result == X509_V_OK ? "TLS handshake failed" : X509_verify_cert_error_string(result);
}
