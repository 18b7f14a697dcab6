/*
 * zlib_memory - where zlib's memory comes from: the house's own, counted, and refused when there is
 *               too little. For inflater.c and deflater.c alone.
 *
 * Owner:   the z_stream.      Thread: any.
 * Bound:   a budget of the process, 0: none; over it nothing is given. Counted in
 *          METER_DEFLATE_HELD beside METER_MEM_HELD.
 */
#pragma once
#define ZLIB_CONST
#include <stdint.h>
#include <zlib.h>
#include "base/err.h"

/* A zeroed z_stream that takes its memory here; the budget counts while it is set up, and must live
   as long. ERR_FULL: over the budget, or the system has none left. */
MUST_USE enum err zlib_memory_new(int64_t *budget, z_stream **out);

/* The stream's state must have been ended. Null is fine. */
void zlib_memory_free(z_stream *z);
