/*
 * scratch - what protocols need while they answer and not between: one for all conns of a net.
 *
 * Owner:   the net; http_conn, ws_conn and ws_deflate write it.      Thread: the net's.
 * Standard: RFC 9110, section 5.6.7 (date).
 */
#pragma once
#include <stdint.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "wire/deflate.h"

struct deflater;

struct scratch {
    struct buf head;  /* of an answer under construction */
    struct buf pongs; /* to what one read brought */
    int64_t date_s;   /* the second that date tells */
    char date[32];    /* value of the Date field */

    struct buf deflated; /* a message being compressed */
    /* for messages without a context, by the bits of the window; null until needed */
    struct deflater *deflaters[DEFLATE_BITS_MAX + 1];
};

/* "Sun, 06 Nov 1994 08:49:37 GMT": now; made once a second. Borrowed until the next call. */
struct bytes scratch_date(struct scratch *s);
