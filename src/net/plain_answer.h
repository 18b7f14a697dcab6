/*
 * plain_answer - what a peer hears that speaks HTTP without TLS where TLS is spoken.
 *
 * Standard: RFC 9110, section 6.6.1 (Date).
 * Owner:    the caller has the frame's count.      Thread: that of the scratch.
 */
#pragma once

struct frame;
struct scratch;

/* 400 and why; the connection ends with it. */
struct frame *plain_answer(struct scratch *s);
