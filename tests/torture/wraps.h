/*
 * wraps - both ends of what the linker turned aside: __wrap_x is called in place of x, __real_x is
 * what it was.
 *
 * Thread:  any.
 */
#pragma once
#include <fcntl.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/types.h>
#include <time.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker chose the names. Those with 64 are what the
   libc's headers make of the others where _FILE_OFFSET_BITS is 64, as hiredis' flags have it. */
#define BOTH(result, name, ...)                                                                    \
    result __wrap_##name(__VA_ARGS__);                                                             \
    result __real_##name(__VA_ARGS__)

BOTH(void *, malloc, size_t);
BOTH(void *, calloc, size_t, size_t);
BOTH(void *, realloc, void *, size_t);
BOTH(void *, aligned_alloc, size_t, size_t);
BOTH(void, free, void *);
BOTH(int, CRYPTO_set_mem_functions, CRYPTO_malloc_fn, CRYPTO_realloc_fn, CRYPTO_free_fn);
BOTH(int, SSL_set_fd, struct ssl_st *, int);
BOTH(void *, mmap, void *, size_t, int, int, int, off_t);
BOTH(int, accept4, int, struct sockaddr *, socklen_t *, int);
BOTH(ssize_t, recv, int, void *, size_t, int);
BOTH(ssize_t, send, int, const void *, size_t, int);
BOTH(ssize_t, sendmsg, int, const struct msghdr *, int);
BOTH(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
BOTH(int, shutdown, int, int);
BOTH(int, socket, int, int, int);
BOTH(int, bind, int, const struct sockaddr *, socklen_t);
BOTH(int, listen, int, int);
BOTH(int, setsockopt, int, int, int, const void *, socklen_t);
BOTH(int, connect, int, const struct sockaddr *, socklen_t);
BOTH(int, getsockopt, int, int, int, void *, socklen_t *);
BOTH(int, getaddrinfo, const char *, const char *, const struct addrinfo *, struct addrinfo **);
BOTH(int, getsockname, int, struct sockaddr *, socklen_t *);
BOTH(int, getpeername, int, struct sockaddr *, socklen_t *);
BOTH(int, epoll_create1, int);
BOTH(int, epoll_ctl, int, int, int, struct epoll_event *);
BOTH(int, epoll_wait, int, struct epoll_event *, int, int);
BOTH(int, eventfd, unsigned, int);
BOTH(int, poll, struct pollfd *, nfds_t, int);
BOTH(ssize_t, read, int, void *, size_t);
BOTH(ssize_t, write, int, const void *, size_t);
BOTH(int, open, const char *, int, ...);
BOTH(int, open64, const char *, int, ...);
BOTH(ssize_t, getrandom, void *, size_t, unsigned);
BOTH(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
BOTH(int, signalfd, int, const sigset_t *, int);
BOTH(int, getrlimit, int, struct rlimit *);
BOTH(int, getrlimit64, int, struct rlimit *);
BOTH(int, setrlimit, int, const struct rlimit *);
BOTH(int, setrlimit64, int, const struct rlimit *);
BOTH(int, sched_getaffinity, pid_t, size_t, cpu_set_t *);
BOTH(int, sched_getscheduler, pid_t);
BOTH(int, sched_setscheduler, pid_t, int, const struct sched_param *);
BOTH(int, sysinfo, struct sysinfo *);
BOTH(int, clock_gettime, clockid_t, struct timespec *);
/* NOLINTEND(bugprone-reserved-identifier) */
