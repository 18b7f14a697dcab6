/*
 * directory_part - our part of the directory on each master: its mark, and writing all of our
 * clients there again; private to directory*.c.
 *
 * Owner:   the directory.      Thread: the cluster thread.
 * Bound:   4,096 commands under way, the rest as hashes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/vec.h"

struct buf;
struct directory;

enum { DIRECTORY_RUN_TEXT = 64 }; /* a Redis process' run_id: 40 hex digits */

/*  NEEDS -> PROBING -> READY -> LISTING -> MARKING -> WHOLE;  from each back to NEEDS */
enum part_state {
    PART_NEEDS,   /* from due_ms on */
    PART_PROBING, /* does Redis let us write? */
    PART_READY,   /* for the next list */
    PART_LISTING,
    PART_MARKING,
    PART_WHOLE,
};

/* Ours on one master. */
struct part {
    enum part_state state;
    bool listed;               /* LISTING: all have been put again, */
    uint32_t round;            /* changes when what is under way counts no more */
    size_t pending;            /* and so many of them are not confirmed yet */
    int64_t due_ms, stands_ms; /* until then a mark of ours may stand there */
    uint64_t epoch;            /* of our mark, and of what stands in its place before */
    bool was_whole;            /* in this life */
    bool proving;              /* directory_look: one proof at a time, */
    struct vec doubts;         /* and who waits for the next one: struct question */
    /* directory_sweep */
    bool suspect;  /* entries of ours may be wrong there */
    bool is_known; /* which process it was when we last asked: run; empty: it does not say */
    char run[DIRECTORY_RUN_TEXT];
};

struct again {
    uint64_t hash;
    uint32_t master, round;
    bool wanted; /* whether is_here or not: a put that failed */
};

void directory_parts_init(struct directory *d);
void directory_parts_fini(struct directory *d);
void directory_parts_beat(struct directory *d);
void directory_part_failed(struct directory *d, uint32_t master);
void directory_queue(struct directory *d, uint64_t hash, bool wanted);
/* The key of a node's mark on a master, appended to out. False: that master is not known. */
bool directory_mark_key(const struct directory *d, uint32_t master, const char *id,
                        struct buf *out);
