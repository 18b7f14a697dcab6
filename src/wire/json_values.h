/*
 * json_values - are there more values in a JSON text than somebody is ready to look at?
 *
 * Counts without building anything. Of a text that is not JSON it says something, too.
 * Thread:   any.      Bound: one pass, no recursion; texts long for few values cost least.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"

bool json_values_exceed(struct bytes text, size_t most);
