#include "net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/network.h"

enum { BACKLOG = 4096, UNSENT_BYTES = 16 * 1024 };

union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Length of the filled-in address, 0 when text is no literal. */
static socklen_t read_address(const char *text, uint16_t port, union endpoint *out)
{
    *out = (union endpoint){0};
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof(out->v4);
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof(out->v6);
    }
    return 0;
}

static void set_option(int fd, int level, int name, int value)
{
    /* Tuning only: a kernel that refuses it still serves. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

enum err sock_listen(const char *address, uint16_t port, bool shared, int *out)
{
    union endpoint a;
    socklen_t len = read_address(address, port, &a);
    enum err e;
    int fd;

    if (!len)
        return ERR_BAD;
    fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_from_errno(errno);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (shared)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    /* inherited by what is accepted: once for all instead of two system calls for each */
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
    if (bind(fd, &a.any, len) < 0 || listen(fd, BACKLOG) < 0) {
        e = errno == EADDRNOTAVAIL ? ERR_BAD : err_from_errno(errno);
        close(fd);
        return e;
    }
    *out = fd;
    return ERR_OK;
}

uint16_t sock_port(int fd)
{
    union endpoint a = {0};
    socklen_t len = sizeof(a);

    if (getsockname(fd, &a.any, &len) < 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

bool sock_peer(int fd, struct address *out)
{
    union endpoint a = {0};
    struct in6_addr v6 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    socklen_t len = sizeof(a);

    if (getpeername(fd, &a.any, &len) < 0)
        return false;
    if (a.any.sa_family == AF_INET6)
        v6 = a.v6.sin6_addr;
    else
        memcpy(&v6.s6_addr[12], &a.v4.sin_addr, sizeof(a.v4.sin_addr));
    memcpy(out->at, &v6, sizeof(v6));
    return true;
}

enum err sock_accept(int listener, int *out)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        switch (errno) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return ERR_FULL;
        case EAGAIN:
            return ERR_AGAIN;
        default: /* the connection died in the queue: the next one may be well */
            return ERR_GONE;
        }
    }
    *out = fd;
    return ERR_OK;
}

static enum err stream_error(int number)
{
    switch (number) {
    case EAGAIN:
    case EINTR:
        return ERR_AGAIN;
    case ENOBUFS:
    case ENOMEM:
        return ERR_FULL;
    case EPIPE:
    case ECONNRESET:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_GONE;
    default:
        return ERR_IO;
    }
}

enum err sock_read(int fd, void *at, size_t len, size_t *got)
{
    ssize_t n = recv(fd, at, len, 0);

    *got = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return ERR_OK;
    return n == 0 ? ERR_GONE : stream_error(errno);
}

enum err sock_write(int fd, const struct iovec *iov, int count, size_t *sent)
{
    struct msghdr message = {.msg_iovlen = (size_t)count};
    ssize_t n;

    if (count == 1) { /* most writes; the kernel has less to copy and to check */
        n = send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    } else {
        /* sendmsg does not write through iov; its type merely lacks the const. */
        memcpy(&message.msg_iov, &iov, sizeof(void *));
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    *sent = n > 0 ? (size_t)n : 0;
    return n >= 0 ? ERR_OK : stream_error(errno);
}

void sock_shut(int fd)
{
    (void)shutdown(fd, SHUT_WR);
}

void sock_close(int fd)
{
    if (fd >= 0)
        close(fd);
}
