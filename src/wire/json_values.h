/*
 * json_values - are there more values in a JSON text, or deeper ones, than somebody is ready to
 *               look at?
 *
 * Counts without building anything. Of a text that is not JSON it says something, too.
 * Thread:   any.      Bound: one pass, no recursion; texts long for few values cost least.
 */
#pragma once
#include <stddef.h>
#include "base/bytes.h"

enum json_excess { JSON_FITS, JSON_MANY, JSON_DEEP };

/* Whichever is seen first. Texts too short for `most` values fit, however deep. */
enum json_excess json_excess(struct bytes text, size_t most, size_t depth);
