/*
 * directory_cache - which peer a client was found at lately.
 *
 * Owner:   the directory.      Thread: the cluster thread.
 * Bound:   `most` entries; the oldest is forgotten first. Peers by number: what an ended one had
 *          finds nobody.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "base/map.h"

struct directory_cache {
    struct map map;
    struct list oldest_first;
    int64_t keep_ms; /* 0: nothing is kept */
    uint32_t most;
};

void directory_cache_init(struct directory_cache *c, int64_t keep_ms, uint32_t most);
void directory_cache_fini(struct directory_cache *c);

void directory_cache_put(struct directory_cache *c, uint64_t hash, uint32_t peer, int64_t now_ms);

/* The peer's number; 0: not known, or for too long. */
uint32_t directory_cache_find(struct directory_cache *c, uint64_t hash, int64_t now_ms);

void directory_cache_forget(struct directory_cache *c, uint64_t hash);
void directory_cache_forget_peer(struct directory_cache *c, uint32_t peer);
