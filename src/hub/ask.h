/*
 * ask - somebody waits to hear whether a message was acknowledged; or, with preserveOrder in a
 *       cluster, until other nodes have it.
 *
 * Owner:   the asker's shard; frees itself when answered, given up, or expired.   Thread: that
 * shard. Names:   notes carry ask.name, never a pointer: an outcome for an ask that ended finds
 * nobody.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"
#include "flow/wheel.h"
#include "hub/note.h"
#include "net/conn.h"
#include "wire/identity.h"

struct shard;

enum ask_end { ASK_ACKNOWLEDGED, ASK_REFUSED, ASK_UNREACHABLE, ASK_TAKEN, ASK_EXPIRED };

struct ask {
    uint64_t name;
    struct shard *shard;
    struct timer timer;
    /* Called once; the ask is freed after it. */
    void (*on_end)(struct ask *a, enum ask_end end);
    struct conn_id conn; /* who asked: an http_conn or a ws_conn */
    uint64_t repeat;     /* key in repeats, 0: none */
    /* of a WebSocket asker, to find it on another socket: the hash of its identity, and in a
       cluster that itself, in this block; was it elsewhere already? */
    uint64_t client;
    struct identity from;
    bool was_elsewhere;
    char message_id[48]; /* internal id of the message */
    char reply_id[];     /* zero-terminated: the id the sender waits for */
};

/* from: a WebSocket asker whose identity is to be kept; null: none. */
struct ask *ask_new(struct shard *s, struct bytes reply_id, const struct identity *from,
                    int64_t wait_ms, void (*on_end)(struct ask *, enum ask_end));
struct ask *ask_find(struct shard *s, uint64_t name);

/* Ends without on_end: the asker is gone. */
void ask_drop(struct ask *a);
void ask_drop_all(struct shard *s);

/* NOTE_OUTCOME */
void ask_on_outcome(struct shard *s, struct note *n);
