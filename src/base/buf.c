#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/check.h"
#include "base/mem.h"

enum { FIRST_BYTES = 64, ROUND_BYTES = 4096 };

void buf_fini(struct buf *b)
{
    mem_free(b->at);
    *b = (struct buf){0};
}

/* Twice as large, or a power of two below that, so that many large ones have one size: the
   allocator then has the next one's pages. */
static size_t grown(const struct buf *b, size_t least)
{
    size_t cap = b->cap ? b->cap * 2 : FIRST_BYTES, round = ROUND_BYTES;

    if (cap < least)
        return least;
    while (round <= cap / 2)
        round *= 2;
    return round <= cap && round >= least ? round : cap;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->len < n || !b->at) {
        size_t cap = grown(b, b->len + n);

        b->at = mem_resize(b->at, cap);
        b->cap = cap;
    }
    return b->at + b->len;
}

void buf_add(struct buf *b, struct bytes more)
{
    char *to = buf_reserve(b, more.len);

    if (more.len)
        memcpy(to, more.at, more.len);
    b->len += more.len;
}

void buf_add_char(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    b->len++;
}

void buf_add_number(struct buf *b, uint64_t n)
{
    char text[20]; /* digits of the largest */
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    buf_add(b, bytes_of(text + at, sizeof(text) - at));
}

/* Printed in place: at most twice, when there was not enough room for it. */
void buf_printf(struct buf *b, const char *format, ...)
{
    char *to = buf_reserve(b, 1);
    size_t room = b->cap - b->len;
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(to, room, format, args);
    CHECK(n >= 0); /* our own formats */
    if ((size_t)n >= room) {
        to = buf_reserve(b, (size_t)n + 1);
        n = vsnprintf(to, (size_t)n + 1, format, again);
        CHECK(n >= 0);
    }
    va_end(again);
    va_end(args);
    b->len += (size_t)n;
}

void buf_drop(struct buf *b, size_t n)
{
    DCHECK(n <= b->len);
    b->len -= n;
    if (b->len && n)
        memmove(b->at, b->at + n, b->len);
}
