/*
 * arena - memory of one request, freed whole.
 *
 * Owner:   whoever embeds it.      Thread: its owner's.
 * Bound:   none here; what is put in comes from input already limited.
 */
#pragma once
#include <stddef.h>
#include "base/bytes.h"

struct arena_block;

struct arena {
    /* private to arena.c */
    struct arena_block *block;
    size_t used;
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);

/* Forgets everything handed out; keeps one block (at most 64 KiB) for the next request. */
void arena_reset(struct arena *a);

/* 16-byte aligned, uninitialised. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));

/* A copy inside the arena. */
struct bytes arena_copy(struct arena *a, struct bytes b);
