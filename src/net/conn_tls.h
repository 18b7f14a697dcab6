/*
 * conn_tls - conns that speak TLS; what conn.c does for them.
 *
 * A conn that was secured is OPEN at once, but first shakes hands: its protocol hears nothing, and
 * what is pushed waits, until TLS stands. Later nothing but this header tells it from a plain one.
 *
 * Owner:   the conn owns its tls, the net its tls_net.      Thread: the net's.
 * Bound:   net_limits.tls_handshakes steps a turn; a ready one over that is left to the next turn,
 *          and listeners of secure ports rest until none is.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "net/conn.h"

struct tls_context;
struct tls_tickets;

/* From now on conns may be secured; tickets are copied. Once, before the thread runs. */
void net_use_tls(struct net *n, const struct tls_tickets *tickets);

/* More handshakes were ready than a turn may take. */
bool net_is_shaking_hard(const struct net *n);

/* Its handshake is under way: nothing of its protocol was said yet. */
bool conn_is_shaking(const struct conn *c);

/* A new conn speaks TLS; its handshake must be done within limit_ms. Without the memory for that it
   is closed. */
void conn_secure(struct conn *c, struct tls_context *context, int64_t limit_ms);

/* From one shard to another: taken before conn_release, null when plain; adopted after conn_open.
 */
struct tls *conn_tls_take(struct conn *c);
void conn_tls_adopt(struct conn *c, struct tls *t);
