/*
 * upgrade - is this HTTP request a proper WebSocket opening handshake, and what answers it?
 *
 * Standard: RFC 6455, sections 4.2.1 and 4.2.2. No extension and no subprotocol is accepted.
 * Thread:   any. Pure.
 */
#pragma once
#include <stdbool.h>
#include "wire/http1.h"
#include "wire/ws.h"

/* True: key receives Sec-WebSocket-Accept. False: bad->status is 400, 405 (not GET), or 426 (not an
   upgrade to version 13: the answer needs "Upgrade: websocket", "Sec-WebSocket-Version: 13"). */
bool upgrade_check(const struct http1_request *r, char accept[WS_ACCEPT_TEXT + 1],
                   struct http1_bad *bad);

enum { UPGRADE_TEXT = 101 + WS_ACCEPT_TEXT };

/* Writes the whole 101 answer, without a zero behind it. */
void upgrade_write(char out[UPGRADE_TEXT], const char accept[WS_ACCEPT_TEXT + 1]);
