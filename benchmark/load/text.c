#include "load/text.h"

#include <string.h>
#include "load/form.h"

enum { HEAD_BYTES = 40, LETTERS = 26 };

static void write_hex(char *at, uint64_t n, int digits)
{
    static const char of[] = "0123456789abcdef";

    while (digits--) {
        at[digits] = of[n & 15];
        n >>= 4;
    }
}

static bool read_hex(const char *at, int digits, uint64_t *out)
{
    uint64_t n = 0;

    while (digits--) {
        char c = *at++;

        if (c >= '0' && c <= '9')
            n = n << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out = n;
    return true;
}

/* Twice the alphabet and more: the letters of any number are a piece of it, over and over. */
static const char *letters_from(uint32_t number)
{
    static const char of[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

    return of + number % LETTERS;
}

void text_write(const struct text *t, char *at, size_t len)
{
    const char *letters = letters_from(t->number);
    size_t i;

    write_hex(at, t->from, 8);
    write_hex(at + 8, t->to, 8);
    write_hex(at + 16, t->number, 8);
    write_hex(at + 24, t->at_ns, 16);
    for (i = HEAD_BYTES; i < len; i += LETTERS)
        memcpy(at + i, letters, len - i < LETTERS ? len - i : LETTERS);
}

bool text_read(struct text *t, const char *at, size_t len)
{
    uint64_t from, to, number;
    const char *letters;
    size_t i;

    if (len < HEAD_BYTES || !read_hex(at, 8, &from) || !read_hex(at + 8, 8, &to) ||
        !read_hex(at + 16, 8, &number) || !read_hex(at + 24, 16, &t->at_ns))
        return false;
    t->from = (uint32_t)from;
    t->to = (uint32_t)to;
    t->number = (uint32_t)number;
    letters = letters_from(t->number);
    for (i = HEAD_BYTES; i < len; i += LETTERS)
        if (memcmp(at + i, letters, len - i < LETTERS ? len - i : LETTERS) != 0)
            return false;
    return true;
}

void text_write_id(const struct text *t, char *at)
{
    write_hex(at, t->from, 8);
    at[8] = '-';
    write_hex(at + 9, t->number, 8);
    at[17] = '-';
    write_hex(at + 18, t->at_ns, 16);
    memset(at + 34, 'x', FORM_ID_BYTES - 34);
}

bool text_read_id(struct text *t, const char *at, size_t len)
{
    uint64_t from, number;

    if (len != FORM_ID_BYTES || !read_hex(at, 8, &from) || !read_hex(at + 9, 8, &number) ||
        !read_hex(at + 18, 16, &t->at_ns))
        return false;
    t->from = (uint32_t)from;
    t->number = (uint32_t)number;
    return true;
}
