/*
 * world - the real server in this process: real sockets, two shards whose turns one thread runs,
 * and a clock that only the test moves. So every run takes the same way, call by call.
 *
 * Owner:   the run; one a process.      Thread: one.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

struct token_key;

enum { WORLD_SHARDS = 2 };

/* False: it could not start, said why (fault fired), and holds nothing. */
bool world_open(const char *yaml, const char *certificate); /* null: nobody speaks TLS */

/* Drains; false: a shard did not come to its end. */
bool world_close(void);

/* One turn of every shard; advance moves the clock before it. */
void world_turn(void);
void world_advance(int64_t ms);
int64_t world_now_s(void);

uint16_t world_rest_port(int shard);
uint16_t world_ws_port(int shard);
const struct token_key *world_key(void);
bool world_is_short(void);

/* As if the server held so much of its memory; 0: only what it does. */
void world_hold(int percent);
