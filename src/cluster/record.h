/*
 * record - what nodes write into Redis, as text: who they are, and who has a client.
 *
 *   record := life(16 hex digits) " " leaving(0 or 1) 4 * ("\n" url)      an empty url: none
 *   owner  := instance id " " life(16 hex digits)
 *   left   := "~" owner                             it was that one's until lately
 *
 * Owner:   views into what was read.      Thread: any.
 * Errors:  ERR_BAD: not of this form; bytes from Redis are taken for hostile.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum record_url { RECORD_EXTERNAL, RECORD_INTERNAL, RECORD_BROWSER, RECORD_CLUSTER, RECORD_URLS };

enum { RECORD_URL_MAX = 2048, LIFE_DIGITS = 16 };

struct record {
    uint64_t life; /* not 0 */
    bool leaving;
    struct bytes url[RECORD_URLS];
};

/* A URL that is too long or has a control character is left out. */
void record_write(struct buf *out, const struct record *r);
MUST_USE enum err record_read(struct bytes text, struct record *out);

/* 1 to 63 letters, digits or '-'. */
bool record_is_id(struct bytes id);

void record_life_write(char out[LIFE_DIGITS + 1], uint64_t life);
MUST_USE enum err record_life_read(struct bytes text, uint64_t *life); /* all of it, not 0 */

void record_owner_write(struct buf *out, const char *id, uint64_t life);
MUST_USE enum err record_owner_read(struct bytes text, struct bytes *id, uint64_t *life);

void record_left_write(struct buf *out, const char *id, uint64_t life);
bool record_is_left(struct bytes text, struct bytes *owner); /* *owner: what follows the "~" */
