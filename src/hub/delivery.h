/*
 * delivery - an acknowledged message at its receiver: sent, and waiting for ACKNOWLEDGE.
 *
 *   sent --acknowledged by that client--> NOTE_OUTCOME to the asker
 *     \--wait_ms over, silently--> forgotten (the asker has its own deadline)
 *
 * The receiver gets "<internal id>@@<text>". An acknowledge counts over any socket of the client,
 * to whatever node of a cluster, and once; late, repeated and foreign ones are counted and find
 * nobody: of a client that may have come from another node all others are asked first. A client
 * that is not connected gets no delivery.
 *
 * Owner:   the receiver's home shard.      Thread: that shard's.      Bound: settings.deliveries.
 */
#pragma once
#include <stdint.h>
#include "base/bytes.h"
#include "hub/note.h"
#include "wire/identity.h"

struct ask;
struct client;
struct shard;

/* Writes a fresh internal id: "<uuidv7>-0". */
void delivery_make_id(struct shard *s, char out[48]);

/* Sends text to `to` under a->message_id; the outcome comes to the ask. The same id again while the
   first is open sends it once more. A client with too many open ones refuses: then, on one shard,
   the ask has ended and is gone on return; in a cluster also when another node is needed and cannot
   be asked. */
void delivery_send(struct ask *a, const struct identity *to, struct bytes text, uint64_t order_key,
                   int64_t wait_ms);

/* At the end of the shard: forgets all, tells nobody. */
void delivery_forget_all(struct shard *s);

/* NOTE_ACKED */
void delivery_on_acked(struct shard *s, struct note *n);

/* NOTE_ACKNOWLEDGE */
void delivery_on_acknowledge(struct shard *s, struct note *n);

/* The client acknowledges message_id. */
void delivery_acknowledge(struct shard *s, struct client *c, struct bytes message_id);
