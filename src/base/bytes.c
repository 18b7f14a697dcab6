#include "base/bytes.h"

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return c;
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    size_t i;

    if (a.len != b.len)
        return false;
    for (i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct bytes bytes_trim(struct bytes b)
{
    while (b.len && is_blank(b.at[0])) {
        b.at++;
        b.len--;
    }
    while (b.len && is_blank(b.at[b.len - 1]))
        b.len--;
    return b;
}

bool bytes_cut(struct bytes b, struct bytes separator, struct bytes *head, struct bytes *tail)
{
    const char *at = b.len ? memmem(b.at, b.len, separator.at, separator.len) : NULL;

    if (!at) {
        *head = b;
        *tail = bytes_of(NULL, 0);
        return false;
    }
    *head = bytes_of(b.at, (size_t)(at - b.at));
    *tail = bytes_of(at + separator.len, b.len - head->len - separator.len);
    return true;
}
