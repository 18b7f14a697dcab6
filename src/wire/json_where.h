/*
 * json_where - finds the first place where a text departs from the grammar of JSON, for messages.
 *
 * Standard: RFC 8259. simdjson says that a text is wrong, not where; this is asked only then.
 * Thread:   any.      Bound: one pass, no recursion, one bit per level of max_depth.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"

struct json_fault {
    size_t at;        /* offset in the text */
    const char *what; /* static text */
    bool expected;    /* what is missing at that place, rather than what is wrong there */
};

/* False: no fault found. Numbers out of range are faults; of those close to the range of a double
   only a parser can tell, so this is for texts that one refused. */
bool json_where(struct bytes text, size_t max_depth, struct json_fault *out);

/* Offset of the opening quote of the string number n, from 0, of a text without faults. */
size_t json_where_string(struct bytes text, size_t n);

/* Of an offset, both from 1; the column counts bytes. */
void json_where_line(struct bytes text, size_t at, size_t *line, size_t *column);
