#include "faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/mem.h"
#include "wraps.h"

static const struct way memory_ways[] = {{ENOMEM, BLAME_WORK}, {0, 0}};
static const struct way accept_ways[] = {
    {EMFILE, BLAME_NEW},          {ENFILE, BLAME_NEW},          {ENOBUFS, BLAME_NEW},
    {ENOMEM, BLAME_NEW},          {EAGAIN, BLAME_NOBODY},       {EINTR, BLAME_NOBODY},
    {ECONNABORTED, BLAME_NOBODY}, {EPROTO, BLAME_NOBODY},       {ENETDOWN, BLAME_NOBODY},
    {EPERM, BLAME_NOBODY},        {EHOSTUNREACH, BLAME_NOBODY}, {0, 0}};
static const struct way recv_ways[] = {{EAGAIN, BLAME_NOBODY},   {EINTR, BLAME_NOBODY},
                                       {ENOMEM, BLAME_NOBODY},   {ENOBUFS, BLAME_NOBODY},
                                       {ONE_BYTE, BLAME_NOBODY}, {ECONNRESET, BLAME_PEER},
                                       {ETIMEDOUT, BLAME_PEER},  {0, 0}};
static const struct way send_ways[] = {{EAGAIN, BLAME_NOBODY},   {EINTR, BLAME_NOBODY},
                                       {ENOBUFS, BLAME_NOBODY},  {ENOMEM, BLAME_NOBODY},
                                       {ONE_BYTE, BLAME_NOBODY}, {EPIPE, BLAME_PEER},
                                       {ECONNRESET, BLAME_PEER}, {0, 0}};
static const struct way shutdown_ways[] = {{ENOTCONN, BLAME_PEER}, {0, 0}};
static const struct way watch_ways[] = {{ENOMEM, BLAME_PEER}, {ENOSPC, BLAME_PEER}, {0, 0}};
static const struct way signal_ways[] = {{EINTR, BLAME_NOBODY}, {0, 0}};
static const struct way fd_ways[] = {{EMFILE, BLAME_NOBODY}, {ENOMEM, BLAME_NOBODY}, {0, 0}};
static const struct way read_ways[] = {
    {EINTR, BLAME_NOBODY}, {EIO, BLAME_NOBODY}, {ONE_BYTE, BLAME_NOBODY}, {0, 0}};
static const struct way write_ways[] = {{EINTR, BLAME_NOBODY},
                                        {EAGAIN, BLAME_NOBODY},
                                        {EIO, BLAME_NOBODY},
                                        {ENOSPC, BLAME_NOBODY},
                                        {EPIPE, BLAME_NOBODY},
                                        {ONE_BYTE, BLAME_NOBODY},
                                        {0, 0}};
static const struct way bind_ways[] = {{EADDRINUSE, BLAME_NOBODY}, {ENOMEM, BLAME_NOBODY}, {0, 0}};
static const struct way option_ways[] = {{ENOPROTOOPT, BLAME_NOBODY}, {0, 0}};
static const struct way name_ways[] = {{ENOBUFS, BLAME_NOBODY}, {0, 0}};
static const struct way thread_ways[] = {{EAGAIN, BLAME_NOBODY}, {0, 0}};
static const struct way poll_ways[] = {{EINTR, BLAME_NOBODY}, {ENOMEM, BLAME_NOBODY}, {0, 0}};
static const struct way connect_ways[] = {
    {ECONNREFUSED, BLAME_NOBODY}, {EADDRNOTAVAIL, BLAME_NOBODY}, {ENOBUFS, BLAME_NOBODY}, {0, 0}};
static const struct way error_ways[] = {{ECONNREFUSED, BLAME_NOBODY}, {0, 0}};
static const struct way peer_ways[] = {{ENOTCONN, BLAME_NOBODY}, {ENOBUFS, BLAME_NOBODY}, {0, 0}};
static const struct way tell_ways[] = {{EAGAIN, BLAME_NOBODY},  {EINTR, BLAME_NOBODY},
                                       {ENOBUFS, BLAME_NOBODY}, {ECONNREFUSED, BLAME_NOBODY},
                                       {ENOENT, BLAME_NOBODY},  {0, 0}};
static const struct way denied_ways[] = {{EPERM, BLAME_NOBODY}, {0, 0}};
static const struct way cores_ways[] = {{EINVAL, BLAME_NOBODY}, {0, 0}};
static const struct way lookup_ways[] = {{ENOMEM, BLAME_NOBODY}, {EAGAIN, BLAME_NOBODY}, {0, 0}};

const struct way *const ways_of[CALLS] = {
    [CALL_MEMORY] = memory_ways, [CALL_CRYPTO] = memory_ways,     [CALL_MAP] = memory_ways,
    [CALL_ACCEPT] = accept_ways, [CALL_RECV] = recv_ways,         [CALL_SEND] = send_ways,
    [CALL_WATCH] = watch_ways,   [CALL_SHUTDOWN] = shutdown_ways, [CALL_WAIT] = signal_ways,
    [CALL_EPOLL] = fd_ways,      [CALL_EVENT] = fd_ways,          [CALL_OPEN] = fd_ways,
    [CALL_READ] = read_ways,     [CALL_WRITE] = write_ways,       [CALL_SOCKET] = fd_ways,
    [CALL_BIND] = bind_ways,     [CALL_LISTEN] = bind_ways,       [CALL_OPTION] = option_ways,
    [CALL_NAME] = name_ways,     [CALL_RANDOM] = signal_ways,     [CALL_THREAD] = thread_ways,
    [CALL_SIGNAL] = fd_ways,     [CALL_POLL] = poll_ways,         [CALL_CONNECT] = connect_ways,
    [CALL_ERROR] = error_ways,   [CALL_LOOKUP] = lookup_ways,     [CALL_PEER] = peer_ways,
    [CALL_TELL] = tell_ways,     [CALL_RLIMIT] = denied_ways,     [CALL_CORES] = cores_ways,
};

const char *const call_names[CALLS] = {
    [CALL_MEMORY] = "memory",   [CALL_CRYPTO] = "crypto",     [CALL_MAP] = "mmap",
    [CALL_ACCEPT] = "accept",   [CALL_RECV] = "recv",         [CALL_SEND] = "send",
    [CALL_WATCH] = "watch",     [CALL_SHUTDOWN] = "shutdown", [CALL_WAIT] = "wait",
    [CALL_EPOLL] = "epoll",     [CALL_EVENT] = "eventfd",     [CALL_OPEN] = "open",
    [CALL_READ] = "read",       [CALL_WRITE] = "write",       [CALL_SOCKET] = "socket",
    [CALL_BIND] = "bind",       [CALL_LISTEN] = "listen",     [CALL_OPTION] = "setsockopt",
    [CALL_NAME] = "name",       [CALL_RANDOM] = "getrandom",  [CALL_THREAD] = "thread",
    [CALL_SIGNAL] = "signalfd", [CALL_POLL] = "poll",         [CALL_CONNECT] = "connect",
    [CALL_ERROR] = "so_error",  [CALL_LOOKUP] = "lookup",     [CALL_PEER] = "getpeername",
    [CALL_TELL] = "sendto",     [CALL_RLIMIT] = "rlimit",     [CALL_CORES] = "cores",
};

static struct plan plan;
static _Atomic bool on, fired;
static _Atomic int port;
static _Atomic uint64_t counts[CALLS], arrivals, departures;
static _Atomic int64_t blocks, time_ms;
static _Atomic uint64_t chance;

static bool is_event[1024]; /* by descriptor */

void faults_plan(const struct plan *p)
{
    plan = *p;
}

void faults_on(bool now)
{
    on = now;
}

uint64_t faults_count(enum call c)
{
    return counts[c];
}

bool faults_fired(void)
{
    return fired;
}

int faults_port(void)
{
    return port;
}

uint64_t faults_arrivals(void)
{
    return arrivals;
}

uint64_t faults_departures(void)
{
    return departures;
}

int64_t faults_blocks(void)
{
    mem_drop_spares(); /* freed, and not yet given back */
    return blocks;
}

void faults_clock(int64_t ms)
{
    time_ms = ms;
}

/* How this call fails; 0: it does not. */
static int fate(enum call c)
{
    if (!on || ++counts[c] != plan.number || plan.call != c || !plan.number)
        return 0;
    fired = true;
    return plan.how;
}

static bool fails(enum call c)
{
    int how = fate(c);

    if (how)
        errno = how;
    return how != 0;
}

/* ---- memory ---- */

static void *taken(void *p)
{
    if (p)
        blocks++;
    return p;
}

static _Thread_local bool is_crypto; /* it is libcrypto that asks */

static enum call memory_call(void)
{
    return is_crypto ? CALL_CRYPTO : CALL_MEMORY;
}

void *__wrap_malloc(size_t size)
{
    return fails(memory_call()) ? NULL : taken(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(CALL_MEMORY) ? NULL : taken(__real_calloc(count, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    if (fails(memory_call()))
        return NULL;
    return p ? __real_realloc(p, size) : taken(__real_realloc(p, size));
}

/* Only for what stays as long as the process (meter cells): not counted as a block. */
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails(CALL_MEMORY) ? NULL : __real_aligned_alloc(alignment, size);
}

void __wrap_free(void *p)
{
    if (p)
        blocks--;
    __real_free(p);
}

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    return fails(CALL_MAP) ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}

/* What the product has libcrypto allocate with, behind a mark: its refusals are judged otherwise.
 */
static struct {
    CRYPTO_malloc_fn take;
    CRYPTO_realloc_fn resize;
} crypto;

static void *crypto_take(size_t size, const char *file, int line)
{
    void *p;

    is_crypto = true;
    p = crypto.take(size, file, line);
    is_crypto = false;
    return p;
}

static void *crypto_resize(void *p, size_t size, const char *file, int line)
{
    void *moved;

    is_crypto = true;
    moved = crypto.resize(p, size, file, line);
    is_crypto = false;
    return moved;
}

int __wrap_CRYPTO_set_mem_functions(CRYPTO_malloc_fn take, CRYPTO_realloc_fn resize,
                                    CRYPTO_free_fn give)
{
    crypto.take = take;
    crypto.resize = resize;
    return __real_CRYPTO_set_mem_functions(crypto_take, crypto_resize, give);
}

/* ---- sockets ---- */

/* Remembers whose connection it is that the call fails for. */
static int fate_of(enum call c, int fd)
{
    struct sockaddr_in peer = {0};
    socklen_t len = sizeof(peer);
    int how = fate(c);

    if (!how)
        return 0;
    if (__real_getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
        port = ntohs(peer.sin_port);
    errno = how;
    return how;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return fails(CALL_ACCEPT) ? -1 : __real_accept4(fd, address, len, flags);
}

ssize_t __wrap_recv(int fd, void *at, size_t len, int flags)
{
    int how = fate_of(CALL_RECV, fd);
    ssize_t n = how > 0 ? -1 : __real_recv(fd, at, how == ONE_BYTE ? 1 : len, flags);

    arrivals += n > 0;
    return n;
}

static ssize_t departed(ssize_t n)
{
    departures += n > 0;
    return n;
}

ssize_t __wrap_send(int fd, const void *at, size_t len, int flags)
{
    int how = fate_of(CALL_SEND, fd);

    if (how > 0)
        return -1;
    return departed(__real_send(fd, at, how == ONE_BYTE ? 1 : len, flags));
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    int how = fate_of(CALL_SEND, fd);

    if (how > 0)
        return -1;
    if (how == ONE_BYTE)
        return departed(__real_send(fd, message->msg_iov[0].iov_base, 1, flags));
    return departed(__real_sendmsg(fd, message, flags));
}

/* Datagrams for the supervisor: they leave whole or not at all, and to nobody who is a peer. */
ssize_t __wrap_sendto(int fd, const void *at, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len)
{
    return fails(CALL_TELL) ? -1 : __real_sendto(fd, at, len, flags, to, to_len);
}

/* libssl's own way to a socket, but for its calls. */
static BIO_METHOD *bio_method;

static int bio_fd(BIO *b)
{
    int fd = -1;

    (void)BIO_get_fd(b, &fd);
    return fd;
}

static int bio_read(BIO *b, char *at, int len)
{
    ssize_t n = __wrap_recv(bio_fd(b), at, (size_t)len, 0);

    BIO_clear_retry_flags(b);
    if (n <= 0 && BIO_sock_should_retry((int)n))
        BIO_set_retry_read(b);
    else if (n == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return (int)n;
}

static int bio_write(BIO *b, const char *at, int len)
{
    ssize_t n = __wrap_send(bio_fd(b), at, (size_t)len, MSG_NOSIGNAL);

    BIO_clear_retry_flags(b);
    if (n <= 0 && BIO_sock_should_retry((int)n))
        BIO_set_retry_write(b);
    return (int)n;
}

void faults_take_libssl(void)
{
    const BIO_METHOD *usual = BIO_s_socket();

    bio_method = BIO_meth_new(BIO_TYPE_SOCKET, "torture");
    if (!bio_method || !BIO_meth_set_read(bio_method, bio_read) ||
        !BIO_meth_set_write(bio_method, bio_write) ||
        !BIO_meth_set_ctrl(bio_method, BIO_meth_get_ctrl(usual)) ||
        !BIO_meth_set_create(bio_method, BIO_meth_get_create(usual)) ||
        !BIO_meth_set_destroy(bio_method, BIO_meth_get_destroy(usual)))
        abort();
}

int __wrap_SSL_set_fd(SSL *ssl, int fd)
{
    BIO *b = BIO_new(bio_method);

    if (!b)
        return 0;
    BIO_set_fd(b, fd, BIO_NOCLOSE);
    SSL_set_bio(ssl, b, b);
    return 1;
}

int __wrap_shutdown(int fd, int how)
{
    return fate_of(CALL_SHUTDOWN, fd) ? -1 : __real_shutdown(fd, how);
}

int __wrap_socket(int family, int type, int protocol)
{
    return fails(CALL_SOCKET) ? -1 : __real_socket(family, type, protocol);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    return fails(CALL_BIND) ? -1 : __real_bind(fd, address, len);
}

int __wrap_listen(int fd, int backlog)
{
    return fails(CALL_LISTEN) ? -1 : __real_listen(fd, backlog);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    /* What TCP does without its options is right but slower, which a clock of ours cannot know. */
    bool counts_here = level != IPPROTO_TCP || !time_ms;

    return counts_here && fails(CALL_OPTION) ? -1 : __real_setsockopt(fd, level, name, value, len);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return fails(CALL_CONNECT) ? -1 : __real_connect(fd, address, len);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int result = __real_getsockopt(fd, level, name, value, len);
    int how = level == SOL_SOCKET && name == SO_ERROR ? fate(CALL_ERROR) : 0;

    if (how)
        memcpy(value, &how, sizeof(how));
    return result;
}

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    int how = fate(CALL_LOOKUP);

    if (how)
        return how == ENOMEM ? EAI_MEMORY : EAI_AGAIN;
    return __real_getaddrinfo(host, service, hints, out);
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
    return fails(CALL_NAME) ? -1 : __real_getsockname(fd, address, len);
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
    return fate_of(CALL_PEER, fd) ? -1 : __real_getpeername(fd, address, len);
}

/* ---- readiness ---- */

int __wrap_epoll_create1(int flags)
{
    return fails(CALL_EPOLL) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int poll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fate_of(CALL_WATCH, fd))
        return -1;
    return __real_epoll_ctl(poll, operation, fd, event);
}

int __wrap_epoll_wait(int poll, struct epoll_event *events, int max, int timeout)
{
    return fails(CALL_WAIT) ? -1 : __real_epoll_wait(poll, events, max, timeout);
}

int __wrap_eventfd(unsigned count, int flags)
{
    int fd = fails(CALL_EVENT) ? -1 : __real_eventfd(count, flags);

    if (fd >= 0 && fd < (int)sizeof(is_event))
        is_event[fd] = true;
    return fd;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    return fails(CALL_POLL) ? -1 : __real_poll(fds, count, timeout);
}

/* ---- files, threads and the rest ---- */

static bool counts_for(int fd)
{
    return fd < 0 || fd >= (int)sizeof(is_event) || !is_event[fd];
}

ssize_t __wrap_read(int fd, void *at, size_t len)
{
    int how = counts_for(fd) ? fate(CALL_READ) : 0;

    if (how > 0) {
        errno = how;
        return -1;
    }
    return __real_read(fd, at, how == ONE_BYTE && len ? 1 : len);
}

ssize_t __wrap_write(int fd, const void *at, size_t len)
{
    int how = counts_for(fd) ? fate(CALL_WRITE) : 0;

    if (how > 0) {
        errno = how;
        return -1;
    }
    return __real_write(fd, at, how == ONE_BYTE && len ? 1 : len);
}

static int opened(const char *path, int flags, mode_t mode)
{
    int fd = fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);

    if (fd >= 0 && fd < (int)sizeof(is_event))
        is_event[fd] = false;
    return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode = 0;

    va_start(rest, flags);
    if (flags & O_CREAT)
        mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened(path, flags, mode);
}

/* The same call, for who is built with large files. */
int __wrap_open64(const char *path, int flags, ...) __attribute__((alias("__wrap_open")));

/* The same bytes in every run, so that every run goes the same way. */
ssize_t __wrap_getrandom(void *at, size_t len, unsigned flags)
{
    unsigned char *to = at;
    size_t i;

    (void)flags;
    if (fails(CALL_RANDOM))
        return -1;
    for (i = 0; i < len; i++) {
        uint64_t z = atomic_fetch_add(&chance, 0x9e3779b97f4a7c15U);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        to[i] = (unsigned char)(z >> 32);
    }
    return (ssize_t)len;
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *how, void *(*run)(void *),
                          void *argument)
{
    int error = fate(CALL_THREAD);

    return error ? error : __real_pthread_create(out, how, run, argument);
}

int __wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
    return fails(CALL_SIGNAL) ? -1 : __real_signalfd(fd, mask, flags);
}

/* ---- what the machine grants ---- */

int __wrap_getrlimit(int what, struct rlimit *out)
{
    return fails(CALL_RLIMIT) ? -1 : __real_getrlimit(what, out);
}

int __wrap_getrlimit64(int what, struct rlimit *out)
{
    return fails(CALL_RLIMIT) ? -1 : __real_getrlimit64(what, out);
}

int __wrap_setrlimit(int what, const struct rlimit *limit)
{
    return fails(CALL_RLIMIT) ? -1 : __real_setrlimit(what, limit);
}

int __wrap_setrlimit64(int what, const struct rlimit *limit)
{
    return fails(CALL_RLIMIT) ? -1 : __real_setrlimit64(what, limit);
}

int __wrap_sched_getscheduler(pid_t pid)
{
    return fails(CALL_CORES) ? -1 : __real_sched_getscheduler(pid);
}

int __wrap_sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
    return fails(CALL_CORES) ? -1 : __real_sched_setscheduler(pid, policy, param);
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    return fails(CALL_CORES) ? -1 : __real_sched_getaffinity(pid, size, set);
}

int __wrap_sysinfo(struct sysinfo *out)
{
    return fails(CALL_CORES) ? -1 : __real_sysinfo(out);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int64_t wall = clock == CLOCK_REALTIME ? INT64_C(1694434491986) : 0, now = time_ms;

    if (!now)
        return __real_clock_gettime(clock, out);
    now += wall;
    *out = (struct timespec){now / 1000, now % 1000 * 1000000};
    return 0;
}
