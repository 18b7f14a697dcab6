/*
 * world - the real server in this process: real sockets, two shards whose turns one thread runs,
 * and a clock that only the test moves. So every run takes the same way, call by call. In a cluster
 * it has another one beside it, with which it speaks through a real Redis; only the first of the
 * two is tortured, and before time moves, what Redis has to say is waited for.
 *
 * Owner:   the run; one a process.      Thread: one.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

struct token_key;

/* Doors are those of the tortured server's shards; in a cluster the other one's follow. */
enum { WORLD_SHARDS = 2, WORLD_OTHER = WORLD_SHARDS };

struct world_way {
    const char *yaml;
    const char *certificate; /* null: nobody speaks TLS */
    uint16_t redis_port;     /* 0: it stands alone */
    bool is_sharded;         /* that is a Redis Cluster */
};

/* False: it could not start, said why (fault fired), and holds nothing. */
bool world_open(const struct world_way *way);

/* Drains; false: a thread did not come to its end. In a cluster the other one's end comes after
   it. */
bool world_close(void);

/* One turn of every shard, and every cluster thread; advance moves the clock before it. */
void world_turn(void);
void world_advance(int64_t ms);
int64_t world_now_s(void);
int64_t world_now_ms(void);

/* What Redis owed has come and was looked at; false: it was nothing. */
bool world_settle(void);

int world_doors(void);
uint16_t world_rest_port(int door);
uint16_t world_ws_port(int door);
const struct token_key *world_key(void);
bool world_is_short(void);

/* As if the server held so much of its memory; 0: only what it does. */
void world_hold(int percent);

/* ---- the other one of a cluster ---- */

void world_other_open(void);
void world_other_end(bool farewell); /* without: no other server hears of it any more */
bool world_other_has_ended(void);

/* The tortured one knows no other any more; cannot reach it. */
bool world_is_alone(void);
bool world_is_away(void);

/* Both are there, can be reached, know each other and have told Redis of all their clients. */
bool world_is_well(void);
