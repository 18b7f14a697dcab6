/*
 * sock - the system calls on stream sockets, errno turned into enum err at once.
 *
 * Thread:  any.      Seam: the sim tests replace sock.c at link time.
 * Errors:  ERR_AGAIN would block; ERR_GONE the peer is gone (reset, broken pipe, end of input);
 *          ERR_FULL out of descriptors or memory; ERR_IO anything else.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/err.h"

struct address;

/* Listening, non-blocking, close-on-exec. address: IPv4 or IPv6 literal. port 0: any free one.
   shared: several sockets may share the port (SO_REUSEPORT). What it accepts has no Nagle and at
   most 16 KiB unsent in the kernel, so that we, not it, hold a slow receiver's queue. ERR_BUSY: in
   use; ERR_DENIED; ERR_BAD: not an address. */
MUST_USE enum err sock_listen(const char *address, uint16_t port, bool shared, int *out);
uint16_t sock_port(int fd);

/* Who is at the other end; false: nobody any more. */
bool sock_peer(int fd, struct address *out);

/* Non-blocking, close-on-exec. */
MUST_USE enum err sock_accept(int listener, int *out);

/* ERR_OK with *got > 0, or an error; end of input is ERR_GONE. */
MUST_USE enum err sock_read(int fd, void *at, size_t len, size_t *got);
MUST_USE enum err sock_write(int fd, const struct iovec *iov, int count, size_t *sent);

void sock_shut(int fd);  /* no more output: FIN */
void sock_close(int fd); /* a poll that watches it forgets it */
