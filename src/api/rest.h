/*
 * rest - the handlers behind the routes: one request in, exactly one answer out.
 *
 * Thread:  the connection's shard.      Words: protocol.md A.1, A.2, E.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

struct ask;
struct http_conn;
struct order_body;
struct request;

void rest_open_connection(struct request *q); /* rest_open.c */
void rest_open_connection_pool(struct request *q);
void rest_send(struct request *q);       /* rest_send.c */
void rest_send_acked(struct request *q); /* rest_send_acked.c */

/* The answer waits for that ask's end; then for whom, null: the connection is gone; and it goes, or
   need not wait: the ask is dropped. All in rest_wait.c. */
void rest_wait(struct http_conn *h, struct ask *a);
struct http_conn *rest_waited(const struct ask *a);
void rest_forget(struct http_conn *h);

/* What needs another node, while none can be reached: 503. */
void rest_unreachable(struct http_conn *h, struct bytes path); /* rest_send.c */

/* Over the memory budget? Then the request has been answered 429 and counted. */
bool rest_is_refused(struct request *q); /* rest_send.c */

/* What preserveOrder sticks to: the same for all requests that name one sender, or none, on every
   node; 0: it is not asked for. */
uint64_t rest_order_key(const struct request *q, const struct order_body *o); /* rest_send.c */
