/*
 * faults - makes one call to the allocator or the kernel fail, the n-th of its kind.
 *
 * The linker sends the calls of the product here (--wrap, see tests/CMakeLists.txt); what the
 * program under torture is linked of needs no change for it. Calls count only between
 * faults_on(true) and faults_on(false), so that the test's own do not.
 *
 * Thread:  any; counting is atomic.      State: one plan a process.
 * Not failed, because Linux does not fail them for lack of anything: epoll_ctl that changes or
 * removes (needs no memory), reads and writes of an eventfd (EAGAIN means full, which is said only
 * when it is), and what calls.txt lists.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum call {
    CALL_MEMORY, /* malloc, calloc, realloc, aligned_alloc */
    CALL_CRYPTO, /* libcrypto's allocations */
    CALL_MAP,
    CALL_ACCEPT,
    CALL_RECV,
    CALL_SEND, /* send, sendmsg */
    CALL_SHUTDOWN,
    CALL_WATCH, /* epoll_ctl that adds */
    CALL_WAIT,  /* epoll_wait */
    CALL_EPOLL, /* epoll_create1 */
    CALL_EVENT, /* eventfd */
    CALL_OPEN,
    CALL_READ,  /* not of an eventfd */
    CALL_WRITE, /* not to an eventfd */
    CALL_SOCKET,
    CALL_BIND,
    CALL_LISTEN,
    CALL_OPTION, /* setsockopt */
    CALL_NAME,   /* getsockname */
    CALL_PEER,   /* getpeername */
    CALL_RANDOM, /* getrandom */
    CALL_THREAD, /* pthread_create */
    CALL_SIGNAL, /* signalfd */
    CALL_POLL,
    CALL_CONNECT,
    CALL_ERROR,  /* getsockopt(SO_ERROR): how the connecting ended */
    CALL_LOOKUP, /* getaddrinfo */
    CALL_TELL,   /* sendto */
    CALL_RLIMIT, /* getrlimit, setrlimit */
    CALL_CORES,  /* sched_getaffinity, sysinfo, and the scheduler's policy */
    CALLS,
};

/* How it fails: an errno, or only the first byte of what was asked for. */
enum { ONE_BYTE = -1 };

struct plan {
    enum call call;
    uint64_t number; /* from 1; 0: nothing fails */
    int how;
};

/* What may happen to calls of this kind, ended by 0; and what is expected of the server then. */
enum blame {
    BLAME_NOBODY, /* as if nothing had happened */
    BLAME_PEER,   /* the connection the call was for may end */
    BLAME_NEW,    /* one that was just connecting may be turned away */
    BLAME_ONE,    /* one connection may end, whosever it is, or new work be refused */
    BLAME_WORK,   /* new work may be refused by its proper answer */
};
struct way {
    int how;
    enum blame blame;
};
extern const struct way *const ways_of[CALLS];
extern const char *const call_names[CALLS];

void faults_plan(const struct plan *p);
void faults_on(bool on);

uint64_t faults_count(enum call c);
bool faults_fired(void);
int faults_port(void); /* the peer's port of the socket the failing call was for; 0: none */

/* How often bytes have come to anybody, or left: while that grows, something is under way. */
uint64_t faults_arrivals(void);
uint64_t faults_departures(void);

/* Blocks the product has allocated and not freed. */
int64_t faults_blocks(void);

/* Before the first run: sockets of libssl, whose calls the linker does not see, are ours, too. */
void faults_take_libssl(void);

/* Time is ours, once set: clock_gettime answers this and nothing else moves it. 0: the real one. */
void faults_clock(int64_t ms);
