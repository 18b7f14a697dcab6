#include "app/config_compare.h"

#include <string.h>
#include "base/check.h"

enum shape { PLAIN, TEXT, LIST, SECRET };

static enum shape shape_of(const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_INTEGER:
    case CONFIG_MS:
    case CONFIG_SECONDS:
    case CONFIG_SIZE:
    case CONFIG_CHOICE:
        return PLAIN;
    case CONFIG_ADDRESS:
    case CONFIG_WS_URL:
    case CONFIG_HTTP_URL:
    case CONFIG_ID:
    case CONFIG_TEXT:
    case CONFIG_PASSWORD:
    case CONFIG_WORDS:
    case CONFIG_ANY:
        return TEXT;
    case CONFIG_ORIGINS:
        return LIST;
    case CONFIG_SECRET:
        return SECRET;
    }
    UNREACHABLE();
}

static const char *place(const struct config_key *key, const struct settings *s)
{
    return (const char *)s + key->offset;
}

static const char *text_at(const struct config_key *key, const struct settings *s)
{
    const char *text;

    memcpy(&text, place(key, s), sizeof(text));
    return text;
}

static bool texts_are_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Both end with a null; no list is null. */
static bool lists_are_same(const char *const *a, const char *const *b)
{
    if (!a || !b)
        return a == b;
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return *a == *b;
}

bool config_value_same(const struct config_key *key, const struct settings *a,
                       const struct settings *b)
{
    switch (shape_of(key)) {
    case PLAIN:
        return memcmp(place(key, a), place(key, b), key->width) == 0;
    case TEXT:
        return texts_are_same(text_at(key, a), text_at(key, b));
    case LIST:
        return lists_are_same(a->origins, b->origins);
    case SECRET:
        return bytes_equal(a->key.secret, b->key.secret);
    }
    UNREACHABLE();
}

void config_value_copy(const struct config_key *key, struct settings *to,
                       const struct settings *from, struct arena *arena)
{
    char *into = (char *)to + key->offset;
    const char *text;

    if (shape_of(key) == TEXT) {
        text = text_at(key, from);
        if (text) /* with its zero */
            text = arena_copy(arena, bytes_of(text, strlen(text) + 1)).at;
        memcpy(into, &text, sizeof(text));
    } else {
        CHECK(shape_of(key) == PLAIN);
        memcpy(into, place(key, from), key->width);
    }
}
