/*
 * tls - one connection's TLS, over its conn's descriptor.
 *
 *   SHAKING --tls_handshake--> OPEN --tls_end--> close_notify sent
 *
 * Reading:  whole records at a time, so that nothing waits where the poll does not see it.
 * Writing:  what the queue's front promised to a record that the kernel did not take must come
 *           again: `promised` bytes may not be dropped.
 * Owner:    its conn, or the arrival between two shards.      Thread: its net's.
 * Standard: RFC 8446, RFC 5246; by OpenSSL 3.
 * Bound:    tls_net.left handshakes a turn; a few records and one message in a call, whatever the
 *           peer has sent; net_limits.tls_messages of those in a second.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/err.h"
#include "base/rand.h"
#include "flow/loop.h"
#include "net/tls_tickets.h"

struct net_limits;
struct ssl_st;
struct tls_context;

enum {
    TLS_RECORD_BYTES = 16384,
    TLS_WRITE_BYTES = 64 * 1024, /* at most this in one tls_write */
};

/* What the connections of one net share. */
struct tls_net {
    struct loop *loop;
    const struct net_limits *limits;
    struct tls_tickets tickets;
    struct rand rand;
    uint32_t left;             /* steps of handshakes that this turn may still take */
    bool is_short, was_short;  /* some had to wait in this turn; in the one before */
    char at[TLS_RECORD_BYTES]; /* small frames on their way into one record */
};

struct tls {
    /* read by conn */
    int64_t due_ms;    /* the handshake's end */
    uint32_t promised; /* bytes of the queue's front that are in an unsent record */
    bool is_shaking;   /* the handshake is not done */
    bool wants_room;   /* the last step waits for the kernel to take bytes */
    bool write_waits;  /* tls_write waits for bytes of the peer */
    /* private to tls.c */
    struct ssl_st *ssl;
    struct tls_net *net;
    uint16_t reads;            /* of the kernel that the call under way may still do */
    uint16_t second, messages; /* after the handshake; how many came in that second */
};

/* Copies tickets. */
struct tls_net *tls_net_new(struct loop *loop, const struct net_limits *limits,
                            const struct tls_tickets *tickets);
void tls_net_free(struct tls_net *n);
struct tls_net *tls_net_of(const struct ssl_st *ssl);

/* A message of the protocol has come, and is about to be obeyed. */
void tls_on_message(const struct ssl_st *ssl);

/* ERR_FULL: no memory. fd stays the caller's. */
MUST_USE enum err tls_open(struct tls_net *n, struct tls_context *context, int fd,
                           struct tls **out);
void tls_free(struct tls *t);                     /* null is fine */
void tls_move(struct tls *t, struct tls_net *to); /* for good; on the new thread */

/* ERR_AGAIN: goes on when there is more to read, now or later, or with wants_room taken more;
   ERR_DENIED: the peer speaks plain HTTP; ERR_BAD: it is over, and the peer was told why. */
MUST_USE enum err tls_handshake(struct tls *t);

/* None of what follows is inlined: plain connections, which are the many, pay by its registers.
   As sock_read, but *got may be more than 0 beside an error, and after ERR_AGAIN the kernel may
   have more; len at least TLS_RECORD_BYTES. A peer's close_notify is its end. */
MUST_USE __attribute__((noinline)) enum err tls_read(struct tls *t, void *at, size_t len,
                                                     size_t *got);

/* As sock_write; iov begins with what was promised. With write_waits: not before more was read. */
MUST_USE __attribute__((noinline)) enum err tls_write(struct tls *t, const struct iovec *iov,
                                                      int count, size_t *sent);

/* Sends close_notify. ERR_AGAIN: the kernel takes no bytes now. */
__attribute__((noinline)) enum err tls_end(struct tls *t);
