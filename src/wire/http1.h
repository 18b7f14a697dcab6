/*
 * http1 - HTTP/1.1 requests in, response heads out. Pure: no I/O, no clock, no globals.
 *
 * Standard: RFC 9112 (syntax, framing), RFC 9110 (semantics). Strict: bare CR or LF, obsolete
 *           folding, space before a colon, both Content-Length and Transfer-Encoding, repeated
 *           lengths, missing or repeated Host, and unknown codings are refused.
 * Owner:    views into the caller's bytes; fields live in the caller's array.      Thread: any.
 * Errors:   a status to answer with and a sentence for the body; after it the connection ends.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/bytes.h"

/* More than 2 MiB, 64 MiB and 16,000 count as these. */
struct http1_limits {
    size_t line_bytes; /* request line without its CRLF; over it 414 */
    size_t head_bytes; /* all header lines with their CRLFs; over it 431 */
    size_t fields;     /* header lines; over it 431 */
};

enum http1_result { HTTP1_DONE, HTTP1_MORE, HTTP1_BAD };

enum http1_method {
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_DELETE,
    HTTP1_OPTIONS,
    HTTP1_PATCH,
    HTTP1_OTHER, /* a token we do not know: 501 */
};

struct http1_field {
    struct bytes name, value; /* value trimmed */
};

struct http1_request {
    enum http1_method method;
    struct bytes method_name;
    struct bytes target;    /* as sent */
    struct bytes authority; /* of an absolute target, which counts before Host; else empty */
    struct bytes path;      /* of the target, up to '?', still percent-encoded */
    struct bytes query;     /* behind '?', or empty */
    int minor;              /* HTTP/1.minor: 0, or 1 for all others */
    bool keep_alive;        /* what RFC 9112, 9.3 makes of version and Connection */
    bool chunked;
    bool has_length;
    bool expects_continue;
    uint64_t length; /* Content-Length when has_length */
    struct http1_field *fields;
    size_t field_count;
};

struct http1_bad {
    int status;      /* 400, 414, 431, 501, 505, 417 */
    const char *why; /* static text; names the limit by its key where one was passed */
};

/* Reads one request head, one leading empty line allowed. `in` always begins where the head does;
   `scanned` remembers across calls what was looked at (start with 0; a place in code, not a plain
   count), so feeding byte by byte stays linear. DONE sets *used, and *scanned back to 0. The limits
   and a bad request line are found before the head is complete. fields has room for limits->fields.
 */
enum http1_result http1_read_head(struct bytes in, const struct http1_limits *limits,
                                  struct http1_field *fields, struct http1_request *out,
                                  size_t *scanned, size_t *used, struct http1_bad *bad);

/* The value of the first field of that name (any case), or an empty view with null `at`. */
struct bytes http1_field(const struct http1_request *r, struct bytes name);
size_t http1_field_count(const struct http1_request *r, struct bytes name);

/* Is token a member of the comma-separated list in any field of that name? (any case) */
bool http1_list_has(const struct http1_request *r, struct bytes name, struct bytes token);

/* Decodes %XX into out (room for path.len); false on a bad escape or a decoded zero byte. %2F stays
   as it is: an encoded slash is part of a segment and does not separate two (RFC 3986, 2.2). */
bool http1_decode_path(struct bytes path, char *out, size_t *len);

/* A chunked body being taken apart (RFC 9112, section 7.1). Start with {0}. */
struct http1_chunks {
    /* private to http1_chunks.c */
    uint64_t left;               /* data bytes of the current chunk still to come */
    uint16_t extension, trailer; /* bytes so far, in the whole body */
    uint8_t state, digits;
};

/* Takes from the front of *in; data gets the next run of body bytes (a view, may be empty).
   DONE: body complete, trailer passed over; *in begins behind it. MORE: call again while *in is
   not empty; without data all of *in was taken. Chunk extensions and trailers are limited to
   4,096 bytes each, summed over the body. */
enum http1_result http1_read_chunk(struct http1_chunks *c, struct bytes *in, struct bytes *data,
                                   struct http1_bad *bad);

/* Data bytes still to come of a chunk whose size line is whole. */
uint64_t http1_chunk_left(const struct http1_chunks *c);

/* "Not Found" for 404; "Unknown" for what we never send. */
const char *http1_reason(int status);

/* Status line and Date-less head: "HTTP/1.1 200 OK\r\n"; then fields; then the empty line. */
void http1_write_status(struct buf *out, int status);
void http1_write_field(struct buf *out, struct bytes name, struct bytes value);
void http1_write_number(struct buf *out, struct bytes name, uint64_t value);
void http1_write_end(struct buf *out);
