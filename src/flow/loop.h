/*
 * loop - one thread's turn, again and again.
 *
 *   WAIT   poll, until an event, a note or the next timer
 *   CLOCK  read time once
 *   INBOX  on_notes: everything other threads posted
 *   READ   on_ready for every ready descriptor; some say they come late; here and in LATE on_notes
 *          again before each for which something has been posted
 *   TIMERS what is due
 *   POST   on_post: hand staged notes over
 *   WRITE  on_write: dirty sockets; true means more is left: no waiting before the next turn
 *   LATE   on_late for those descriptors and the parked ones, round and round, while their slice of
 *          time lasts; on_park for those left, if they are many
 *   BURY   on_bury: free what closed
 *
 * Control enters a thread in INBOX, READ, TIMERS and LATE only, never from inside another call.
 * Owner:   the shard embeds it.      Thread: its shard's; loop_stop from the same.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "flow/inbox.h"
#include "flow/poll.h"
#include "flow/wheel.h"

/* One that is null has nothing to do in its phase. */
struct loop_hooks {
    void *owner;
    void (*on_notes)(void *owner, struct inbox_link *first);
    bool (*on_ready)(void *owner, uint64_t tag, uint32_t events); /* false: on_late, if any */
    void (*on_post)(void *owner);
    bool (*on_write)(void *owner);
    void (*on_bury)(void *owner);
    bool (*on_late)(void *owner, uint64_t tag, uint32_t events); /* true: there may be more now */
    /* It was not its turn while the slice lasted, and many others' neither: it may move to the
       loop's `parked`, where it waits without being told in every turn. */
    void (*on_park)(void *owner, uint64_t tag);
    /* True: an inbox we post to is over its mark; READ and LATE are skipped. */
    bool (*is_pressed)(void *owner);
};

struct loop {
    struct poll poll;
    struct poll parked; /* descriptors that all come late; told as one in `poll` */
    struct wheel wheel;
    struct inbox *inbox;
    struct loop_hooks hooks;
    int64_t now_ms;         /* of this turn */
    int64_t timers_left_ms; /* since when every turn has left some; 0: the last one left none */
    uint32_t late;          /* how many descriptors came late so far: whose turn it is */
    uint32_t turn;          /* its number */
    bool stopping, hurry;
    bool parked_is_ready; /* somebody in `parked`, in this turn */
};

/* Tag values the loop keeps for its inbox's wake descriptor, and for `parked`. */
#define LOOP_WAKE_TAG   UINT64_MAX
#define LOOP_PARKED_TAG (UINT64_MAX - 1)

MUST_USE enum err loop_open(struct loop *l, struct inbox *inbox, const struct loop_hooks *hooks);
void loop_close(struct loop *l);

/* One turn; waits at most max_wait_ms (-1: as long as nothing is due). */
void loop_turn(struct loop *l, int64_t max_wait_ms);

/* Turns until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
