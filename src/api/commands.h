/*
 * commands - what a client says over its WebSocket: grammar, repeats, dispatch, answers.
 *
 *   text -> command_read -> unknown, bad: error envelope (v2)
 *                        -> PING, ACKNOWLEDGE: at once, never remembered
 *                        -> said before (v2): answered again, not done again
 *                        -> its cmd_ function
 *
 * Words:   protocol.md 0.3, B, C.1 to C.3, I.
 * Owner:   nobody; uses the shard's scratch.      Thread: the client's home shard.
 */
#pragma once
#include "base/bytes.h"

struct session;
struct shard;

/* One text message; JSON_PADDING readable bytes lie behind it. */
void commands_on_text(struct shard *s, struct session *from, struct bytes text);
