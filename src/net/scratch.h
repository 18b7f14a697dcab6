/*
 * scratch - what protocols need while they answer and not between: one for all conns of a net.
 *
 * Owner:   the net; http_conn, ws_conn and ws_deflate write it.      Thread: the net's.
 */
#pragma once
#include <stdint.h>
#include "base/buf.h"
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
