/*
 * scratch - what protocols need while they answer and not between: one for all conns of a net.
 *
 * Owner:   the net; http_conn writes it.      Thread: the net's.
 */
#pragma once
#include <stdint.h>
#include "base/buf.h"

struct scratch {
    struct buf head; /* of an answer under construction */
    int64_t date_s;  /* the second that date tells */
    char date[32];   /* value of the Date field */
};
