/*
 * json_write - JSON text out, appended to a buf; commas and escapes are its business.
 *
 * Standard: RFC 8259. Strings must be valid UTF-8. The second of two adjacent '@' is written
 * \u0040, so that no JSON of ours contains the protocol's delimiter (protocol.md 0.3, item 14).
 * Owner:    the caller's buf.      Thread: its owner's.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

struct json_writer {
    struct buf *out;
    bool comma;   /* private: a value came before */
    bool keep_at; /* set by who writes what is never seen beside the delimiter: "@@" stays */
};

struct json_writer json_writer(struct buf *out);
void json_open_object(struct json_writer *w);
void json_close_object(struct json_writer *w);
void json_open_array(struct json_writer *w);
void json_close_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *name);
void json_text(struct json_writer *w, struct bytes text);

/* text, and right behind it plain, of which no byte needs an escape: one string. */
void json_text_and(struct json_writer *w, struct bytes text, struct bytes plain);

void json_number(struct json_writer *w, int64_t n);
void json_flag(struct json_writer *w, bool b);
void json_real(struct json_writer *w, double n); /* finite; shortest of up to 6 decimals */
void json_null(struct json_writer *w);

/* Key and text at once: the commonest member. */
void json_member(struct json_writer *w, const char *name, struct bytes text);
