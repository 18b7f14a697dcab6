/*
 * ws - WebSocket frames in and out, server side. Pure: no I/O, no clock, no globals.
 *
 * Standard: RFC 6455, sections 4.2 (opening handshake), 5 (framing), 7.4 (close codes), 8.1
 * (UTF-8). The one extension is compression (RFC 7692), where it was agreed: any other reserved bit
 * is a protocol error. Owner:    the reader is embedded in the session; a message is a view valid
 * until the next call. Bound:    limits below, of compressed messages for what they become; memory
 * is only held while a message is incomplete, and grows with what has arrived, never with what a
 * header announced.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "wire/utf8.h"

struct inflater;

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NONE = 1005, /* never on the wire: a Close frame without a code */
    WS_CLOSE_BAD_TEXT = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_SERVICE_RESTART = 1012,
    WS_CLOSE_TRY_LATER = 1013,
};

/* Readable bytes behind every payload handed out, so that vector code may over-read. */
enum { WS_PADDING = 64 };

/* Beside the opcode of a compressed message's first frame. */
enum { WS_DEFLATED = 0x40 };

/* Longest header a server writes, and longest control payload. */
enum { WS_HEADER_MAX = 10, WS_CONTROL_MAX = 125 };

struct ws_limits {
    size_t message_bytes;     /* over it close 1009; of what a compressed one becomes */
    uint32_t empty_fragments; /* consecutive; over it close 1008 */
};

struct ws_reader {
    /* private to ws.c; one per connection, so its size counts: 72 bytes */
    struct buf message; /* the incomplete message so far, behind it an incomplete control payload */
    uint64_t left;      /* payload bytes of the current frame still to come */
    utf8_state text;
    uint32_t empty_run;
    uint8_t mask[4];  /* turned so that the next payload byte meets mask[0] */
    uint8_t head[14]; /* an incomplete frame header */
    uint8_t head_len;
    uint8_t opcode;         /* of the current frame */
    uint8_t message_opcode; /* of the message under way; 0: none */
    uint8_t control_len;    /* bytes of message that are control payload */
    bool final : 1, in_payload : 1;
    bool deflated : 1; /* the message under way is */
    struct inflater *inflater;
};

struct ws_message {
    enum ws_opcode opcode; /* TEXT, BINARY, CLOSE, PING or PONG */
    struct bytes payload;  /* unmasked; of CLOSE: the reason without the code */
    uint16_t close_code;   /* of CLOSE: the peer's code or WS_CLOSE_NONE */
};

enum ws_result {
    WS_MESSAGE, /* *out is one whole message; call again, there may be more */
    WS_MORE,    /* all input taken */
    WS_BAD,     /* *close_code says how to close; the reader is spent */
};

void ws_reader_init(struct ws_reader *r);
void ws_reader_fini(struct ws_reader *r);

/* From now on messages may be compressed. Borrows i until ws_reader_fini. */
void ws_reader_inflate(struct ws_reader *r, struct inflater *i);

/* Bytes of an incomplete message that it keeps. */
static inline size_t ws_reader_kept(const struct ws_reader *r)
{
    return r->message.len;
}

/* Memory that this takes. */
static inline size_t ws_reader_held(const struct ws_reader *r)
{
    return r->message.cap;
}

/* Takes from the front of in (at, len), which it unmasks in place: the bytes are the caller's to
   spoil. WS_PADDING readable bytes must lie behind in. A message that lies whole in `in` as one
   frame, and is not compressed, is a view of it; any other one is freed by the next call. BAD
   with WS_CLOSE_TRY_LATER: there was no memory to inflate it. */
enum ws_result ws_read(struct ws_reader *r, const struct ws_limits *limits, char **at, size_t *len,
                       struct ws_message *out, uint16_t *close_code);

/* The message handed out by the last call was taken; the next call would do the same. */
void ws_reader_forget_taken(struct ws_reader *r);

/* False while a fragmented or partly arrived message, or memory for one, is held. */
bool ws_reader_is_idle(const struct ws_reader *r);

/* Is this a frame of ours with a whole message in it that is not compressed? Then payload gets it.
 */
bool ws_holds_message(struct bytes frame, struct bytes *payload);

/* Header of an unmasked, final frame; returns its length (2, 4 or 10). */
size_t ws_write_header(char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len);

/* Whole Close frame: code and reason (cut to at most 123 bytes, between characters). Of
   WS_CLOSE_NONE: an empty one. Returns its length. */
size_t ws_write_close(char out[WS_HEADER_MAX + WS_CONTROL_MAX], uint16_t code, struct bytes reason);

enum { WS_ACCEPT_TEXT = 28 };

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key. ERR_BAD unless key is base64 of 16 bytes; ERR_FULL:
   libcrypto got no memory. */
MUST_USE enum err ws_accept_key(struct bytes key, char out[WS_ACCEPT_TEXT + 1]);
