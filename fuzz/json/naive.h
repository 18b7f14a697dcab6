/*
 * naive - JSON (RFC 8259) read in the plainest way, to compare the product's reader with: by
 *         recursion over the grammar, into a tree.
 *
 * Owner:   the tree owns its texts and children; naive_free.      Thread: any.
 * Refuses: what wire/json.h says it refuses.
 */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "wire/json.h"

struct node {
    enum json_type type;
    bool flag;           /* of a boolean */
    bool whole;          /* of a number: it fits int64_t */
    int64_t number;      /* of a whole one */
    struct buf text;     /* of a string, unescaped */
    struct node **child; /* of an array or object */
    struct buf *key;     /* of an object, one for each child */
    size_t count;
};

/* Null: this is no JSON text, or deeper than max_depth. */
struct node *naive_read(struct bytes text, size_t max_depth);
void naive_free(struct node *n);
