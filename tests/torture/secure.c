#include "secure.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "flow/loop.h"
#include "net/limits.h"
#include "net/tls.h"
#include "net/tls_context.h"
#include "net/tls_tickets.h"

enum { DAY_S = 86400, STEPS = 10 };

static char path[40];
static SSL_CTX *clients;

static void must(int good)
{
    if (!good)
        abort(); /* of the test: nothing of this is made to fail */
}

static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *c = X509_new();
    X509_NAME *n = X509_get_subject_name(c);
    int fd = memfd_create("certificate", 0);
    FILE *out = fdopen(dup(fd), "w");

    must(key && out && X509_set_version(c, 2));
    must(ASN1_INTEGER_set(X509_get_serialNumber(c), 7));
    must(X509_gmtime_adj(X509_getm_notBefore(c), -DAY_S) != NULL);
    must(X509_gmtime_adj(X509_getm_notAfter(c), DAY_S) != NULL);
    must(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1,
                                    -1, 0));
    must(X509_set_pubkey(c, key) && X509_set_issuer_name(c, n) && X509_sign(c, key, EVP_sha256()));
    must(PEM_write_X509(out, c) && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
    must(fclose(out) == 0);
    X509_free(c);
    EVP_PKEY_free(key);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

/* Both ends of one connection, the server's as it is in the server. */
static void talk(struct tls *server, SSL *client)
{
    struct iovec x = {"x", 1};
    char byte;
    size_t n;
    enum err e;
    int i = 0;

    for (e = ERR_AGAIN; e == ERR_AGAIN && i < STEPS; i++) {
        (void)SSL_do_handshake(client);
        e = tls_handshake(server);
    }
    must(!e);
    must(secure_send(client, "x", 1) == 1 && !tls_read(server, &byte, 1, &n) && n == 1);
    must(!tls_write(server, &x, 1, &n) && secure_recv(client, &byte, 1) == 1);
}

static void connect_once(void)
{
    struct tls_settings set = {.enabled = TLS_ON, .certificate = path};
    struct tls_tickets tickets;
    struct loop loop = {.now_ms = 1};
    struct net_limits limits = {0};
    struct tls_context *context;
    struct tls_net *net;
    struct problem why;
    struct tls *server;
    SSL *client;
    int ends[2];

    tls_tickets_init(&tickets, loop.now_ms);
    net = tls_net_new(&loop, &limits, &tickets);
    must(!tls_context_new(&set, &context, &why));
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    must(!tls_open(net, context, ends[0], &server));
    client = secure_client(ends[1]);
    talk(server, client);
    must(!tls_end(server));
    SSL_free(client);
    tls_free(server);
    tls_net_free(net);
    tls_context_unref(context);
    close(ends[0]);
    close(ends[1]);
    ERR_clear_error();
}

void secure_make(void)
{
    clients = SSL_CTX_new(TLS_client_method());
    must(clients != NULL);
    SSL_CTX_set_mode(clients, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    make_certificate();
    connect_once();
}

const char *secure_certificate(void)
{
    return path;
}

SSL *secure_client(int fd)
{
    SSL *ssl = SSL_new(clients);

    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && ssl && SSL_set_fd(ssl, fd));
    SSL_set_connect_state(ssl);
    return ssl;
}

void secure_free(SSL *ssl)
{
    SSL_free(ssl);
}

/* Of what libssl could not do: 0 the end, else -1 and errno. */
static ssize_t reason(SSL *ssl)
{
    int error = SSL_get_error(ssl, 0);

    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t secure_recv(SSL *ssl, void *at, size_t len)
{
    size_t n;

    ERR_clear_error();
    return SSL_read_ex(ssl, at, len, &n) ? (ssize_t)n : reason(ssl);
}

ssize_t secure_send(SSL *ssl, const void *at, size_t len)
{
    size_t n;

    ERR_clear_error();
    if (SSL_write_ex(ssl, at, len, &n))
        return (ssize_t)n;
    if (reason(ssl) == 0) /* the server has ended it */
        errno = ECONNRESET;
    return -1;
}
