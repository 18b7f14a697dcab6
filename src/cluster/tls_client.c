#include "cluster/tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

/* A key that asks for a password would wait for the terminal. */
static int no_password(char *at, int room, int is_writing, void *user)
{
    (void)at;
    (void)room;
    (void)is_writing;
    (void)user;
    return -1;
}

struct ssl_ctx_st *tls_client_open(void)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());

    if (!c) {
        ERR_clear_error();
        return NULL;
    }
    SSL_CTX_set_default_passwd_cb(c, no_password);
    (void)SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return c;
}

void tls_client_close(struct ssl_ctx_st *c)
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

enum err tls_client_new(struct ssl_ctx_st *c, int fd, const char *host, bool any_host,
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

void tls_client_free(struct ssl_st *s)
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

enum err tls_client_shake(struct ssl_st *s, bool *wants_write)
{
    int result;

    ERR_clear_error();
    *wants_write = false;
    result = SSL_do_handshake(s);
    return result == 1 ? ERR_OK : reason(s, result, wants_write);
}

enum err tls_client_read(struct ssl_st *s, void *at, size_t len, size_t *got, bool *wants_write)
{
    int result;

    ERR_clear_error();
    *wants_write = false;
    *got = 0;
    result = SSL_read_ex(s, at, len, got);
    return result == 1 ? ERR_OK : reason(s, result, wants_write);
}

enum err tls_client_write(struct ssl_st *s, struct bytes b, size_t *sent, bool *wants_write)
{
    int result;

    ERR_clear_error();
    *wants_write = false;
    *sent = 0;
    result = SSL_write_ex(s, b.at, b.len, sent);
    return result == 1 ? ERR_OK : reason(s, result, wants_write);
}

bool tls_client_has_more(const struct ssl_st *s)
{
    return SSL_pending(s) > 0;
}

const char *tls_client_why(const struct ssl_st *s)
{
    long result = SSL_get_verify_result(s);

    return result == X509_V_OK ? "TLS handshake failed" : X509_verify_cert_error_string(result);
}
