/*
 * redis_encode - a command as Redis reads it: an array of bulk strings.
 *
 * Owner:   nobody.      Thread: any.      Bound: the caller's.
 */
#pragma once
#include "base/buf.h"
#include "base/bytes.h"

void redis_encode(struct buf *b, const struct bytes *argv, int argc);
