#include "base/bytes.h"

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return c;
}

bool bytes_same_letters(const char *a, const char *b, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
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

/* Separators are of one byte or two, and their first byte is rare: memmem would do more than is
   needed. */
static const char *find(struct bytes b, struct bytes what)
{
    while (b.len >= what.len) {
        const char *at = memchr(b.at, what.at[0], b.len - what.len + 1);

        if (!at || memcmp(at, what.at, what.len) == 0)
            return at;
        b = bytes_of(at + 1, b.len - (size_t)(at + 1 - b.at));
    }
    return NULL;
}

bool bytes_cut(struct bytes b, struct bytes separator, struct bytes *head, struct bytes *tail)
{
    const char *at = find(b, separator);

    if (!at) {
        *head = b;
        *tail = bytes_of(NULL, 0);
        return false;
    }
    *head = bytes_of(b.at, (size_t)(at - b.at));
    *tail = bytes_of(at + separator.len, b.len - head->len - separator.len);
    return true;
}
