/*
 * frame - immutable encoded bytes on their way out, shared by every socket that sends them.
 *
 * Owner:   counted; the last frame_unref frees it, on whatever thread.      Thread: any, once
 * filled. Bound:   the caller checked the length against its limit; frame_try is for lengths from
 * outside.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"

enum frame_class {
    FRAME_ANSWER, /* responses, control frames: not counted as deliveries */
    FRAME_PLAIN,
    FRAME_ACKED,
};

struct frame {
    _Atomic uint32_t refs;
    uint8_t class; /* enum frame_class */
    uint8_t form;  /* of a twin: which one it is; 0: the message as it was made */
    size_t len;
    _Atomic(struct frame *)
        twin;  /* counted; set once, by whoever first needs it; may have one too */
    char at[]; /* written before the frame is shared, never after */
};

/* One count, the caller's. */
struct frame *frame_new(enum frame_class class, size_t len);
MUST_USE enum err frame_try(enum frame_class class, size_t len, struct frame **out);

struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f); /* null is fine */

/* The same message in another form, encoded once for all its receivers. Lives as long as f, which
   it is no part of: what is queued counts its own length. Null: not made yet. */
struct frame *frame_twin(const struct frame *f, uint8_t form);

/* Takes twin, whose form is set. Another thread may have been quicker: the one returned counts. */
struct frame *frame_add_twin(struct frame *f, struct frame *twin);
