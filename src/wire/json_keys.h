/*
 * json_keys - does a parsed object name a key twice? Private to json.c.
 *
 * Cost:    linear in the object's keys: few are compared with each other, many go through a hash
 *          table with a key of our own.      Bound: 32 bytes a key, freed at once.
 * Thread:  any.
 */
#pragma once
#include <stddef.h>
#include "base/err.h"
#include "base/hash.h"
#include "wire/json_dom.h"

/* object: tape index of a '{'. ERR_BAD: *twice is the tape index of a key that came before.
   ERR_FULL: no memory to find out. */
MUST_USE enum err json_keys_check(const struct json_doc *doc, size_t object,
                                  const struct hash_key *key, size_t *twice);
