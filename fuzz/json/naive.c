#include "json/naive.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "input.h"
#include "unit/base/naive_utf8.h"

/* What is left to read. */
struct text {
    const char *at, *end;
};

static int peek(const struct text *t)
{
    return t->at < t->end ? (unsigned char)*t->at : -1;
}

static bool take(struct text *t, int c)
{
    if (peek(t) != c)
        return false;
    t->at++;
    return true;
}

static bool take_word(struct text *t, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(t->end - t->at) < len || memcmp(t->at, word, len) != 0)
        return false;
    t->at += len;
    return true;
}

static void skip_space(struct text *t)
{
    while (take(t, ' ') || take(t, '\t') || take(t, '\n') || take(t, '\r'))
        continue;
}

/* ---- strings ---- */

static bool take_hex(struct text *t, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(t);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return false;
        *out = *out << 4 | (uint32_t)digit;
        t->at++;
    }
    return true;
}

static bool take_unicode(struct text *t, struct buf *out)
{
    uint32_t c, low;
    char bytes[4];

    if (!take_hex(t, &c))
        return false;
    if (c >= 0xdc00 && c <= 0xdfff)
        return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (!take(t, '\\') || !take(t, 'u') || !take_hex(t, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    buf_add(out, bytes_of(bytes, encode(bytes, c)));
    return true;
}

static bool take_escape(struct text *t, struct buf *out)
{
    static const char letters[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char *found;
    int c = peek(t);

    if (c < 0)
        return false;
    t->at++;
    if (c == 'u')
        return take_unicode(t, out);
    found = memchr(letters, c, sizeof(letters) - 1);
    if (found)
        buf_add_char(out, means[found - letters]);
    return found != NULL;
}

static bool take_string(struct text *t, struct buf *out)
{
    if (!take(t, '"'))
        return false;
    while (!take(t, '"')) {
        struct bytes rest = bytes_of(t->at, (size_t)(t->end - t->at));
        uint32_t character;
        size_t len;

        if (take(t, '\\')) {
            if (!take_escape(t, out))
                return false;
            continue;
        }
        len = rest.len ? sequence_at(rest, &character) : 0;
        if (len == 0 || character < 0x20)
            return false;
        buf_add(out, bytes_of(t->at, len));
        t->at += len;
    }
    return true;
}

/* ---- numbers ---- */

static size_t take_digits(struct text *t)
{
    size_t n = 0;

    for (; peek(t) >= '0' && peek(t) <= '9'; n++)
        t->at++;
    return n;
}

/* Whole ones fit 64 bits, with a sign or without; others a double. */
static bool is_in_range(const char *digits, bool real, struct node *n)
{
    errno = 0;
    if (real)
        return isfinite(strtod(digits, NULL));
    n->number = strtoll(digits, NULL, 10);
    n->whole = errno == 0;
    if (n->whole)
        return true;
    n->number = 0;
    errno = 0;
    (void)strtoull(digits, NULL, 10);
    return digits[0] != '-' && errno == 0;
}

static bool take_number(struct text *t, struct node *n)
{
    const char *from = t->at;
    struct buf digits = {0};
    bool real = false, good;

    take(t, '-');
    if (!take(t, '0') && take_digits(t) == 0)
        return false;
    if (take(t, '.')) {
        real = true;
        if (take_digits(t) == 0)
            return false;
    }
    if (take(t, 'e') || take(t, 'E')) {
        real = true;
        if (!take(t, '+'))
            take(t, '-');
        if (take_digits(t) == 0)
            return false;
    }
    buf_add(&digits, bytes_of(from, (size_t)(t->at - from)));
    buf_add_char(&digits, '\0');
    good = is_in_range(digits.at, real, n);
    buf_fini(&digits);
    return good;
}

/* ---- values ---- */

static struct node *take_value(struct text *t, size_t depth);

static struct node *node_new(enum json_type type)
{
    struct node *n = calloc(1, sizeof(*n));

    MUST(n);
    n->type = type;
    return n;
}

/* Room for one more child and its key. */
static void grow(struct node *n)
{
    n->child = realloc(n->child, (n->count + 1) * sizeof(*n->child));
    n->key = realloc(n->key, (n->count + 1) * sizeof(*n->key));
    MUST(n->child && n->key);
    n->child[n->count] = NULL;
    n->key[n->count] = (struct buf){0};
    n->count++;
}

static bool is_twice(const struct node *n)
{
    size_t last = n->count - 1;

    for (size_t i = 0; i < last; i++)
        if (bytes_equal(buf_bytes(&n->key[i]), buf_bytes(&n->key[last])))
            return true;
    return false;
}

static bool take_key(struct text *t, struct node *n)
{
    skip_space(t);
    if (!take_string(t, &n->key[n->count - 1]) || is_twice(n))
        return false;
    skip_space(t);
    return take(t, ':');
}

/* Behind the opening bracket. */
static bool take_children(struct text *t, struct node *n, size_t depth)
{
    int closing = n->type == JSON_OBJECT ? '}' : ']';

    skip_space(t);
    if (take(t, closing))
        return true;
    do {
        grow(n);
        if (n->type == JSON_OBJECT && !take_key(t, n))
            return false;
        n->child[n->count - 1] = take_value(t, depth);
        if (!n->child[n->count - 1])
            return false;
    } while (take(t, ','));
    return take(t, closing);
}

static bool take_into(struct text *t, struct node **out, size_t depth)
{
    int c = peek(t);

    if (take_word(t, "null")) {
        *out = node_new(JSON_NULL);
        return true;
    }
    if (take_word(t, "true") || take_word(t, "false")) {
        *out = node_new(JSON_BOOL);
        (*out)->flag = c == 't';
        return true;
    }
    if (c == '"') {
        *out = node_new(JSON_STRING);
        return take_string(t, &(*out)->text);
    }
    if (c == '{' || c == '[') {
        t->at++;
        *out = node_new(c == '{' ? JSON_OBJECT : JSON_ARRAY);
        return depth > 0 && take_children(t, *out, depth - 1);
    }
    *out = node_new(JSON_NUMBER);
    return take_number(t, *out);
}

/* With the white space on both sides. */
static struct node *take_value(struct text *t, size_t depth)
{
    struct node *n = NULL;
    bool good;

    skip_space(t);
    good = take_into(t, &n, depth);
    skip_space(t);
    if (good)
        return n;
    naive_free(n);
    return NULL;
}

struct node *naive_read(struct bytes text, size_t max_depth)
{
    struct text t = {text.at, text.at + text.len};
    struct node *n = take_value(&t, max_depth);

    if (n && t.at == t.end)
        return n;
    naive_free(n);
    return NULL;
}

void naive_free(struct node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->count; i++) {
        naive_free(n->child[i]);
        buf_fini(&n->key[i]);
    }
    free(n->child);
    free(n->key);
    buf_fini(&n->text);
    free(n);
}
