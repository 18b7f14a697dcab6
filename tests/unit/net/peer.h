/*
 * peer - the other end of a conn's socket: pairs, writing and reading in step with the loop.
 *
 * A test holds both ends, so a call here turns the loop until what it waits for has happened.
 */
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "unit/net/world.h"

/* Two ends, both non-blocking. kernel_bytes: how much the kernel holds one way, 0: its default. */
static inline void world_pair(int *ours, int *peers, int kernel_bytes)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    if (kernel_bytes) {
        assert_int_equal(
            setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &kernel_bytes, sizeof(kernel_bytes)), 0);
        assert_int_equal(
            setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &kernel_bytes, sizeof(kernel_bytes)), 0);
    }
    *ours = fds[0];
    *peers = fds[1];
}

/* The peer writes all of it, however slowly it is taken. */
static inline void peer_write(struct world *w, int fd, struct bytes b)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;

    while (b.len && clock_mono_ms() < end_ms) {
        ssize_t n = send(fd, b.at, b.len, MSG_NOSIGNAL);

        if (n > 0)
            b = bytes_of(b.at + n, b.len - (size_t)n);
        else
            assert_int_equal(errno, EAGAIN);
        loop_turn(&w->loop, 0);
    }
    assert_int_equal(b.len, 0);
}

enum peer_end { PEER_QUIET, PEER_EOF, PEER_RESET };

/* Reads what is there, without turning the loop. */
static inline enum peer_end peer_take(int fd, struct buf *into)
{
    for (;;) {
        ssize_t n = recv(fd, buf_reserve(into, 65536), 65536, 0);

        if (n > 0)
            into->len += (size_t)n;
        else if (n == 0)
            return PEER_EOF;
        else
            return errno == EAGAIN ? PEER_QUIET : PEER_RESET;
    }
}

/* Reads until len bytes in all are in `into`, or the stream ends. */
static inline enum peer_end peer_read(struct world *w, int fd, struct buf *into, size_t len)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;
    enum peer_end end = peer_take(fd, into);

    while (end == PEER_QUIET && into->len < len && clock_mono_ms() < end_ms) {
        loop_turn(&w->loop, 1);
        end = peer_take(fd, into);
    }
    assert_true(end != PEER_QUIET || into->len >= len);
    return end;
}

static inline enum peer_end peer_read_to_end(struct world *w, int fd, struct buf *into)
{
    return peer_read(w, fd, into, SIZE_MAX);
}

/* Reads until a number of turns brought nothing more. */
static inline enum peer_end peer_read_quiet(struct world *w, int fd, struct buf *into)
{
    enum peer_end end = PEER_QUIET;
    int quiet = 0;

    while (quiet < WORLD_QUIET_TURNS && end == PEER_QUIET) {
        size_t before = into->len;

        loop_turn(&w->loop, 0);
        end = peer_take(fd, into);
        quiet = into->len == before ? quiet + 1 : 0;
    }
    return end;
}

static inline void assert_bytes(struct bytes got, struct bytes wanted)
{
    if (!bytes_equal(got, wanted))
        fail_msg("got (%zu bytes)\n%.*s\ninstead of (%zu bytes)\n%.*s", got.len,
                 (int)(got.len < 4000 ? got.len : 4000), got.len ? got.at : "", wanted.len,
                 (int)(wanted.len < 4000 ? wanted.len : 4000), wanted.len ? wanted.at : "");
}

/* A pseudo-random sequence that a printed seed repeats. */
struct dice {
    uint64_t state;
};

static inline struct dice dice_new(const char *what)
{
    const char *given = getenv("PUSHCA_TEST_SEED");
    struct dice d = {given ? strtoull(given, NULL, 0) : (uint64_t)clock_wall_ms() | 1};

    printf("%s: PUSHCA_TEST_SEED=%llu\n", what, (unsigned long long)d.state);
    return d;
}

static inline uint64_t dice_roll(struct dice *d, uint64_t n)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (d->state >> 11) % n;
}
