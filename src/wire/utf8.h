/*
 * utf8 - is this UTF-8? (RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF)
 *
 * Thread:  any.      Cost: ASCII eight bytes at a time.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

/* Zero at the start of a text and wherever a text may end. */
typedef uint32_t utf8_state;

/* Feeds more; false as soon as the bytes so far cannot begin any valid text (RFC 6455, 8.1). */
bool utf8_feed(utf8_state *state, struct bytes more);

bool utf8_valid(struct bytes text);
