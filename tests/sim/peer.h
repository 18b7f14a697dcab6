/*
 * peer - the clients of a sim script: WebSocket clients and HTTP callers on fake sockets.
 *
 * Errors:  every one ends the run with the script's line (sim_fail).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

/* where: "workspace/account/device/application", and optionally a shard to knock at: " @1". */
void peer_connect(const char *name, char *where);

/* The same but for the empty line behind its handshake. */
void peer_knock(const char *name, char *where);

/* A connection that says nothing: to the WebSocket port ("ws"), else to that of REST. */
void peer_call(const char *name, char *door);

/* An HTTP POST on a connection of its own: "/path body". */
void peer_post(const char *name, char *path_and_body);

/* WebSocket: a text message; "$x" stands for what an earlier expectation bound. */
void peer_say(const char *name, const char *text);

/* Bytes as they are, with \r and \n for these two. */
void peer_say_raw(const char *name, const char *text);

/* WebSocket: a pong; and time that passes, at most so much, until the next ping is here. */
void peer_pong(const char *name);
void peer_await_ping(const char *name, int64_t most_ms);

/* The next message (WebSocket) or status (HTTP) is this; "$x" binds or must be equal. */
void peer_expect(const char *name, const char *text);
void peer_expect_nothing(const char *name);
void peer_expect_close(const char *name, int code); /* 0: without a Close */

/* Neither a Close nor the end has come. */
void peer_expect_open(const char *name);

/* The server has closed its side: after a Close or an answer it may take a moment. */
void peer_expect_end(const char *name);

/* At least that many bytes lie unread at the peer. */
void peer_expect_bytes(const char *name, int at_least);

/* The kernel takes no more for this peer / takes all again. */
void peer_stall(const char *name, bool stalled);

/* From now on the peer answers no ping. */
void peer_deaf(const char *name);
void peer_hangup(const char *name);

/* "FROM COUNT command...": the same line many times, %d replaced by 0, 1, 2 ... */
void peer_flood(char *rest);

int64_t peer_meter(const char *name);

/* The next waiting text message of a peer, or false. The view is valid until the next call. */
bool peer_take(const char *name, struct bytes *text);
bool peer_is_there(const char *name);

/* What a client's library does by itself: answers pings and Close. Called while the server runs. */
void peers_attend(void);

void peers_free(void);
