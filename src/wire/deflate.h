/*
 * deflate - the WebSocket extension permessage-deflate: what a client offers and what is agreed.
 *
 * Standard: RFC 7692, section 7.1; the header's grammar: RFC 6455, section 9.1. Pure.
 * Owner:    plain values.      Thread: any.
 * Bound:    memory_bytes for one connection: windows are agreed small enough for it, or the offer
 *           is declined. How much a window takes: inflater_bytes, deflater_bytes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/http1.h"

/* Logarithms of a window's bytes. The standard begins at 8, zlib's compressor at 9. */
enum { DEFLATE_BITS_LEAST = 8, DEFLATE_BITS_MIN = 9, DEFLATE_BITS_MAX = 15 };

/* What the operator allows. */
struct deflate_settings {
    bool enabled;
    bool server_forgets, client_forgets; /* no context is kept from message to message */
    uint8_t level;                       /* 1 quick to 9 small */
    uint8_t server_bits, client_bits;    /* largest windows */
    size_t min_bytes;                    /* smaller messages leave as they are */
    size_t memory_bytes;                 /* for one connection */
};

/* What is agreed; all zero: no compression. */
struct deflate_terms {
    uint8_t server_bits, client_bits;    /* of the windows behind what server and client send */
    bool server_forgets, client_forgets; /* no context is kept from message to message */
    bool tells_server_bits, tells_client_bits; /* the answer must say so */
};

static inline bool deflate_is_agreed(const struct deflate_terms *t)
{
    return t->server_bits != 0;
}

/* Takes the first offer that can be met, or none: *out is then all zero, as it is without settings
   (null) or when they say no. False: the header's syntax is wrong, *bad says so. */
bool deflate_negotiate(const struct http1_request *r, const struct deflate_settings *s,
                       struct deflate_terms *out, struct http1_bad *bad);

/* Longest header line that answers an offer. */
enum { DEFLATE_ANSWER_MAX = 170 };

/* Writes the header line with its CRLF, without a zero behind it; of nothing agreed: nothing.
   Returns its length. */
size_t deflate_write_answer(char out[DEFLATE_ANSWER_MAX], const struct deflate_terms *t);
