/*
 * http_text - what was answered, as text: counted, and without its dates, so that it compares.
 */
#pragma once
#include "unit/net/peer.h"

#define DATE "Date: ************************* GMT\r\n"

static inline void blank_dates(struct buf *b)
{
    static const char name[] = "Date: ";
    size_t i;

    for (i = 0; i + 35 < b->len; i++)
        if (memcmp(b->at + i, name, 6) == 0) {
            assert_memory_equal(b->at + i + 31, " GMT\r\n", 6);
            memset(b->at + i + 6, '*', 25);
        }
}

static inline size_t count_text(struct bytes in, const char *text)
{
    size_t count = 0, len = strlen(text), i;

    for (i = 0; i + len <= in.len; i++)
        count += memcmp(in.at + i, text, len) == 0;
    return count;
}
