/*
 * padded - a text with the readable bytes behind it that the JSON reader asks for, and no more:
 *          a sanitizer sees whoever reads further.
 *
 * Owner:   whoever made it frees it.
 */
#pragma once
#include "unit/wire/split.h"
#include "wire/json.h"

/* behind: what the first padding bytes are; repeated. */
static inline struct bytes padded_with(struct bytes text, struct bytes behind)
{
    char *p = malloc(text.len + JSON_PADDING);

    assert_non_null(p);
    if (text.len)
        memcpy(p, text.at, text.len);
    for (size_t i = 0; i < JSON_PADDING; i++)
        p[text.len + i] = behind.at[i % behind.len];
    return bytes_of(p, text.len);
}

static inline struct bytes padded(struct bytes text)
{
    return padded_with(text, BYTES("\"]}9"));
}

static inline void padded_free(struct bytes text)
{
    free((void *)(uintptr_t)text.at);
}
