/*
 * frame - immutable encoded bytes on their way out, shared by every socket that sends them.
 *
 * Owner:   counted; the last frame_unref frees it, on whatever thread.      Thread: any, once
 * filled. Bound:   the caller checked the length against its limit; frame_try is for lengths from
 * outside.
 */
#pragma once
#include <stdatomic.h>
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
    enum frame_class class;
    size_t len;
    char at[]; /* written before the frame is shared, never after */
};

/* One count, the caller's. */
struct frame *frame_new(enum frame_class class, size_t len);
MUST_USE enum err frame_try(enum frame_class class, size_t len, struct frame **out);

struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f); /* null is fine */
