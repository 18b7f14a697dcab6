/*
 * json - read one JSON text (RFC 8259); strict, bounded, without recursion. A thin C face on
 * simdjson.
 *
 * Refused:  trailing bytes, duplicate keys in any object, depth over the limit, lone surrogates,
 *           invalid UTF-8, numbers out of range (whole ones of more than 64 bits, others beyond a
 *           double), more values than json_limit_values allows.
 * Owner:    values and strings are views into the parser, valid until its next json_parse.
 * Thread:   one parser per thread.
 * Bound:    the caller limits the text; a parser holds up to 15 times a text (what it does not fill
 * stays untouched address space), and what one of more than 256 KiB needed until json_rest.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/err.h"

/* Readable bytes that must lie behind a text given to json_parse. */
enum { JSON_PADDING = 64 };

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json; /* a parser */

/* A place in the parsed text; {0} is the absent value. */
struct json_value {
    const void *doc;
    size_t at;
};

struct json *json_new(size_t max_depth);
void json_free(struct json *j);

/* From now on a text with more values is refused unread. Without it any number is taken. */
void json_limit_values(struct json *j, size_t most);

/* ERR_BAD fills why with what and where ("line 1, column 17: ..."; columns count bytes). ERR_FULL:
   no memory for a text of that size. JSON_PADDING readable bytes must lie behind text. */
MUST_USE enum err json_parse(struct json *j, struct bytes text, struct json_value *root,
                             struct problem *why);

/* Gives back what a large text needed; its values are not used afterwards. */
void json_rest(struct json *j);

enum json_type json_type(struct json_value v);

/* "string" for JSON_STRING: for messages. */
const char *json_type_name(enum json_type t);

bool json_bool(struct json_value v);              /* of JSON_BOOL */
struct bytes json_string(struct json_value v);    /* of JSON_STRING, unescaped; zeros possible */
bool json_int(struct json_value v, int64_t *out); /* false: not a whole number that fits */

/* Looks up count members at once, one pass; absent ones come out as {0}; others are ignored. What
   is no object has no members. */
void json_pick(struct json_value object, const char *const names[], struct json_value out[],
               size_t count);

/* Elements of an array, in order: for (it = json_items(a); json_next(&it, &v);) */
struct json_items {
    const void *doc;
    size_t at, end;
};
struct json_items json_items(struct json_value array);
bool json_next(struct json_items *it, struct json_value *out);
size_t json_count(struct json_value array);
