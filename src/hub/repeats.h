/*
 * repeats - which commands a client sent lately, so that a repeated one is answered, not done
 * again.
 *
 * Words:   protocol.md C.1: per (identity, text of the command), for at least repeat_keep_ms while
 * no more than repeat_entries are remembered on a shard; past that the oldest are forgotten first.
 * Owner: the shard.      Thread: its own.
 */
#pragma once
#include <stdint.h>
#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

struct frame;
struct shard;

enum repeat_state {
    REPEAT_BARE,    /* answered "<id>@@RESPONSE" */
    REPEAT_ANSWER,  /* answered with the frame kept here */
    REPEAT_PENDING, /* an ask is open */
    REPEAT_ACKED,   /* answered "<reply id>@@ACKNOWLEDGE" */
};

struct repeat {
    struct list link;
    uint64_t key;
    int64_t at_ms;
    uint64_t ask;         /* of PENDING; of BARE: whose end is answered, 0: none */
    struct frame *answer; /* of ANSWER; holds a count */
    enum repeat_state state;
};

struct repeats {
    struct map map;
    struct list oldest_first;
};

void repeats_init(struct repeats *r);
void repeats_fini(struct repeats *r);

/* text: the whole command. Repeats are identical to the byte; the same id on another text is
   another command. */
uint64_t repeat_key(struct shard *s, uint64_t client_hash, struct bytes text);

/* Null: not seen within the window. */
struct repeat *repeats_find(struct shard *s, uint64_t key);

/* It was carried out anew: remembered from now on. */
void repeats_renew(struct shard *s, struct repeat *e);

/* Remembers; there must be none of that key. */
struct repeat *repeats_add(struct shard *s, uint64_t key, enum repeat_state state);
