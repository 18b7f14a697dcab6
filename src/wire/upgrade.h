/*
 * upgrade - is this HTTP request a proper WebSocket opening handshake, and what answers it?
 *
 * Standard: RFC 6455, sections 4.2.1 and 4.2.2. The only extension accepted is compression
 * (deflate.h), where it is switched on; no subprotocol is.
 * Thread:   any. Pure.
 */
#pragma once
#include <stdbool.h>
#include "wire/deflate.h"
#include "wire/http1.h"
#include "wire/ws.h"

/* What a good handshake comes to. */
struct upgrade {
    char accept[WS_ACCEPT_TEXT + 1]; /* Sec-WebSocket-Accept */
    struct deflate_terms deflate;    /* may be taken back before the answer is written */
};

/* False: bad->status is 400, 405 (not GET), 426 (not an upgrade to version 13: the answer needs
   "Upgrade: websocket", "Sec-WebSocket-Version: 13"), or 503 (out of memory). deflate: what may be
   agreed; null: nothing. */
bool upgrade_check(const struct http1_request *r, const struct deflate_settings *deflate,
                   struct upgrade *out, struct http1_bad *bad);

enum { UPGRADE_TEXT_MAX = 101 + WS_ACCEPT_TEXT + DEFLATE_ANSWER_MAX };

/* Writes the whole 101 answer, without a zero behind it; returns its length. */
size_t upgrade_write(char out[UPGRADE_TEXT_MAX], const struct upgrade *u);
