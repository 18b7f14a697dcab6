#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include "base/mem.h"
#include "base/meter.h"
#include "net/limits.h"
#include "net/tls_context.h"

enum {
    LONG_RECORD = 4096, /* probably followed by more: another look costs a system call */
    READS = 16,         /* of the kernel in one call: a record takes two */
    SECOND_MS = 1000,
};

struct tls_net *tls_net_new(struct loop *loop, const struct net_limits *limits,
                            const struct tls_tickets *tickets)
{
    struct tls_net *n = mem_new(struct tls_net);

    n->loop = loop;
    n->limits = limits;
    n->tickets = *tickets;
    rand_init(&n->rand);
    return n;
}

void tls_net_free(struct tls_net *n)
{
    if (!n)
        return;
    explicit_bzero(n, sizeof(*n));
    mem_free(n);
}

struct tls_net *tls_net_of(const struct ssl_st *ssl)
{
    const struct tls *t = SSL_get_app_data(ssl);

    return t->net;
}

void tls_on_message(const struct ssl_st *ssl)
{
    struct tls *t = SSL_get_app_data(ssl);
    uint16_t second = (uint16_t)(t->net->loop->now_ms / SECOND_MS);

    if (t->is_shaking)
        return;
    if (t->second != second) {
        t->second = second;
        t->messages = 0;
    }
    if (t->messages < UINT16_MAX)
        t->messages++;
}

/* OpenSSL asks for more until it has a whole message, and a peer may cut one into a hundred
   thousand records. It is told that the kernel has no more for now; the poll knows better. */
/* long: the parameters are OpenSSL's */
/* NOLINTNEXTLINE(readability-function-size) */
static long on_bio(BIO *b, int what, const char *at, size_t len, int i, long l, int result,
                   size_t *n)
{
    struct tls *t = (void *)BIO_get_callback_arg(b);

    (void)at;
    (void)len;
    (void)i;
    (void)l;
    (void)n;
    if (what != BIO_CB_READ)
        return result;
    if (t->reads == 0) {
        BIO_clear_retry_flags(b);
        BIO_set_retry_read(b);
        return -1;
    }
    t->reads--;
    return result;
}

enum err tls_open(struct tls_net *n, struct tls_context *context, int fd, struct tls **out)
{
    struct tls *t = mem_new(struct tls);

    t->net = n;
    t->is_shaking = t->write_waits = true;
    t->ssl = SSL_new(tls_context_ssl(context));
    if (!t->ssl || !SSL_set_fd(t->ssl, fd) || !SSL_set_app_data(t->ssl, t)) {
        ERR_clear_error();
        SSL_free(t->ssl);
        mem_free(t);
        return ERR_FULL;
    }
    BIO_set_callback_ex(SSL_get_rbio(t->ssl), on_bio);
    BIO_set_callback_arg(SSL_get_rbio(t->ssl), (char *)t);
    SSL_set_accept_state(t->ssl);
    meter_add(METER_TLS_CONNS, 1);
    *out = t;
    return ERR_OK;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    if (t->is_shaking)
        meter_add(METER_TLS_FAILED, 1);
    meter_add(METER_TLS_CONNS, -1);
    SSL_free(t->ssl);
    mem_free(t);
}

void tls_move(struct tls *t, struct tls_net *to)
{
    t->net = to;
}

/* Why a call of OpenSSL did not do all; its list of errors is empty afterwards. */
static enum err reason(struct tls *t, int result)
{
    unsigned long error = ERR_peek_error();
    int number = errno;

    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        t->wants_room = true;
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_GONE;
    case SSL_ERROR_SYSCALL:
        if (number != ENOMEM && number != ENOBUFS)
            return ERR_GONE;
        t->wants_room = SSL_want_write(t->ssl); /* it passes: asked again, libssl goes on */
        return ERR_AGAIN;
    default:
        break;
    }
    ERR_clear_error();
    return ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST ? ERR_DENIED : ERR_BAD;
}

enum err tls_handshake(struct tls *t)
{
    int result;

    ERR_clear_error();
    t->reads = READS;
    t->wants_room = false;
    result = SSL_do_handshake(t->ssl);
    if (result != 1) {
        enum err e = reason(t, result);

        t->write_waits = !t->wants_room;
        return e;
    }
    t->is_shaking = t->write_waits = false;
    meter_add(METER_TLS_DONE, 1);
    if (SSL_session_reused(t->ssl))
        meter_add(METER_TLS_RESUMED, 1);
    return ERR_OK;
}

/* It said more in this second than anybody has reason for. */
static bool is_flooding(const struct tls *t)
{
    uint32_t most = t->net->limits->tls_messages;

    return most > 0 && t->messages > most;
}

enum err tls_read(struct tls *t, void *at, size_t len, size_t *got)
{
    char *to = at;
    size_t n = 0;
    enum err e = ERR_OK;

    *got = 0;
    ERR_clear_error();
    t->reads = READS;
    t->wants_room = false;
    do {
        if (SSL_read_ex(t->ssl, to + *got, len - *got, &n))
            *got += n;
        else
            e = reason(t, 0);
    } while (!e && n >= LONG_RECORD && len - *got >= TLS_RECORD_BYTES);
    if (e != ERR_AGAIN || !is_flooding(t))
        return e;
    meter_add(METER_CLOSED_FLOOD, 1);
    return ERR_BAD;
}

/* A piece for one record from iov, behind the first `skip` bytes: in place when one entry has it,
   else gathered. */
static struct bytes gather(struct tls *t, const struct iovec *iov, int count, size_t skip,
                           size_t want)
{
    struct tls_net *n = t->net;
    bool in_place = BIO_get_ktls_send(SSL_get_wbio(t->ssl));
    size_t len = 0;
    int i = 0;

    while (i < count && skip >= iov[i].iov_len)
        skip -= iov[i++].iov_len;
    if (i < count && (in_place || iov[i].iov_len - skip >= want || i + 1 == count)) {
        len = iov[i].iov_len - skip;
        return bytes_of((char *)iov[i].iov_base + skip, len < want ? len : want);
    }
    for (; i < count && len < want; i++, skip = 0) {
        size_t part = iov[i].iov_len - skip;

        if (part > want - len)
            part = want - len;
        memcpy(n->at + len, (char *)iov[i].iov_base + skip, part);
        len += part;
    }
    return bytes_of(n->at, len);
}

/* One record, or what was promised to one. */
static enum err write_piece(struct tls *t, struct bytes piece, size_t *sent)
{
    enum err e;

    *sent = 0;
    if (SSL_write_ex(t->ssl, piece.at, piece.len, sent)) {
        t->promised = 0;
        return ERR_OK;
    }
    e = reason(t, 0);
    if (e == ERR_AGAIN) {
        t->promised = (uint32_t)piece.len;
        t->write_waits = !t->wants_room;
        t->wants_room = false;
    }
    return e;
}

enum err tls_write(struct tls *t, const struct iovec *iov, int count, size_t *sent)
{
    enum err e;

    *sent = 0;
    ERR_clear_error();
    t->write_waits = false;
    do {
        size_t want = t->promised ? t->promised : TLS_RECORD_BYTES, n;
        struct bytes piece = gather(t, iov, count, *sent, want);

        if (!piece.len)
            return ERR_OK;
        e = write_piece(t, piece, &n);
        *sent += n;
    } while (!e && *sent < TLS_WRITE_BYTES);
    return e;
}

enum err tls_end(struct tls *t)
{
    int result;

    if (t->is_shaking || t->promised)
        return ERR_OK;
    ERR_clear_error();
    result = SSL_shutdown(t->ssl);
    if (result >= 0)
        return ERR_OK;
    return reason(t, result);
}
