/*
 * command - one WebSocket text frame taken apart: which grammar, which command, its id and
 * metaData.
 *
 * Words:    protocol.md B (v1: one JSON object), C.1 (v2: id@@COMMAND[@@json]), I.1 (told apart per
 *           frame: after white space a '{' is v1; otherwise v2 if the text contains "@@").
 * Owner:    views into the frame and the parser.      Thread: the parser's.
 */
#pragma once
#include "base/bytes.h"
#include "base/err.h"
#include "wire/json.h"

enum grammar {
    GRAMMAR_NONE, /* neither: ignored, but a lone PING is answered */
    GRAMMAR_V1,
    GRAMMAR_V2,
};

enum command_kind {
    COMMAND_UNKNOWN,
    COMMAND_PING,
    COMMAND_ACKNOWLEDGE,
    COMMAND_REFRESH_TOKEN,
    COMMAND_SEND_MESSAGE,
    COMMAND_SEND_MESSAGE_WITH_ACKNOWLEDGE,
    COMMAND_SEND_MESSAGE_WITH_PRESERVED_ORDER,
    COMMAND_SEND_ENVELOPES,
};

struct command {
    enum grammar grammar;
    enum command_kind kind;
    struct bytes id;        /* v2; empty in v1 */
    struct bytes name;      /* as sent, for "unknown command X" */
    struct json_value meta; /* an object, or absent */
};

/* Fills out as far as it could read even when it fails, so that a v2 sender can be answered:
   grammar, id and name are set before the JSON is looked at. ERR_BAD or ERR_TOO_BIG (id longer than
   id_bytes; out->id is then cut off: do not answer) with why filled. JSON_PADDING readable bytes
   must lie behind frame. */
MUST_USE enum err command_read(struct json *j, struct bytes frame, size_t id_bytes,
                               struct command *out, struct problem *why);
