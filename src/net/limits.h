/*
 * limits - the numbers the connection engine obeys.
 *
 * Owner:   the settings snapshot of the process; never changes while threads run.      Thread: any.
 * Keys:    docs/configuration.md names the key behind every member.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"

struct net_limits {
    size_t queue_bytes;      /* waiting for one socket, besides the frame being written */
    size_t soft_queue_bytes; /* over it we stop reading from that socket and findAny passes it by */
    int64_t stall_ms;        /* no write progress this long: the socket is closed */
    int64_t linger_ms;       /* waiting for the peer to finish after our last byte */
    int64_t close_wait_ms;   /* waiting for the peer's Close after ours; flushing after a stall */
    uint32_t tls_handshakes; /* steps of TLS handshakes in one turn; the rest waits for the next */
    uint32_t tls_messages;   /* of one peer after its handshake in a second; 0: any */
};

/* When a flush ends of which the peer takes nothing, having taken nothing since last_ms: a stall is
   not given its time twice, but a moment for the last words. */
static inline int64_t net_flush_end(const struct net_limits *l, int64_t now_ms, int64_t last_ms)
{
    int64_t moment_ms = l->close_wait_ms < l->stall_ms ? l->close_wait_ms : l->stall_ms;
    int64_t end_ms = last_ms + l->stall_ms;

    return end_ms > now_ms + moment_ms ? end_ms : now_ms + moment_ms;
}

/* Bytes of incomplete input that a conn may keep whatever the memory budget says. */
enum { NET_KEPT_ANYWAY = 65536 };

/* Many long messages or bodies on their way at once: none of them alone is over a limit. A budget
   of 0 is none, but the system's own end of memory counts always. */
static inline bool net_keeps_too_much(size_t kept, int64_t budget)
{
    return kept > NET_KEPT_ANYWAY && (mem_is_short() || (budget > 0 && mem_held() > budget));
}
