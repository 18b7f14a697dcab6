/*
 * form - a message as one link sends it, made once; a sending only fills in its id and text.
 *
 * Standard: RFC 6455 section 5.2, frames of a client: masked.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "load/link.h"

enum {
    FORM_ID_BYTES = 36,
    FORM_MAX = 16384,
    OPCODE_TEXT = 1,
    OPCODE_BINARY = 2,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
};

/* In a pattern: where the id goes, and where text_len bytes of text go. */
#define FORM_ID   "\376"
#define FORM_TEXT "\377"

void form_frame(struct form *f, int opcode, const char *pattern, size_t pattern_len,
                size_t text_len);
void form_raw(struct form *f, size_t text_len); /* a server's frame: as the receiver will see it */

/* Sends it; id is FORM_ID_BYTES long, null where the form has none. */
void form_send(struct link *l, const char *id, const char *text, size_t text_len);

/* One masked frame at once. */
void frame_send(struct link *l, int opcode, const char *at, size_t len);

/* Room before a payload of len that its header takes, masked or not. */
size_t frame_head(char *at, int opcode, size_t len, bool masked);
