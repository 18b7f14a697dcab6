/*
 * json_dom - simdjson's DOM parser behind three C functions; private to json.c.
 *
 * Format:  the tape as simdjson documents it: a word is a type letter in the upper 8 bits and a
 *          payload in the lower 56. Word 0 is the root 'r', its payload the index of the last word.
 *          '{' '[': payload bits 0..31 index behind the matching '}' ']', bits 32..55 the number
 *          of members or elements (all ones: that many or more). '"': offset into strings, where
 *          4 bytes of length, the unescaped bytes and a zero are. 'l' (int64) 'u' (uint64, too big
 *          for an int64) 'd' (double): the value is the next word. 't' 'f' 'n': nothing more.
 * Owner:   json_dom owns tape and strings until its next parse.      Thread: its owner's.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Readable bytes that must lie behind a text. */
enum { JSON_DOM_PADDING = 64 };

struct json_dom;

struct json_doc {
    const uint64_t *tape;
    const unsigned char *strings;
};

struct json_dom *json_dom_new(size_t max_depth);
void json_dom_free(struct json_dom *d);

/* Gives back what a large text needed. */
void json_dom_rest(struct json_dom *d);

/* ERR_BAD: not JSON, or deeper than max_depth. An empty container may be one level deeper still.
   ERR_FULL: no memory, or a text of 4 GiB and more. */
MUST_USE enum err json_dom_parse(struct json_dom *d, struct bytes text, struct json_doc *out);

#ifdef __cplusplus
}
#endif
