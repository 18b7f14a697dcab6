#include "app/config_compare.h"

#include <string.h>
#include "base/check.h"

enum shape { PLAIN, TEXT, LIST, SECRET };

static const enum shape shapes[] = {
    [CONFIG_INTEGER] = PLAIN, [CONFIG_MS] = PLAIN,      [CONFIG_SECONDS] = PLAIN,
    [CONFIG_SIZE] = PLAIN,    [CONFIG_CHOICE] = PLAIN,  [CONFIG_ONE_OF] = TEXT,
    [CONFIG_ADDRESS] = TEXT,  [CONFIG_WS_URL] = TEXT,   [CONFIG_HTTP_URL] = TEXT,
    [CONFIG_ORIGINS] = LIST,  [CONFIG_NODES] = LIST,    [CONFIG_NETWORKS] = LIST,
    [CONFIG_ID] = TEXT,       [CONFIG_SECRET] = SECRET, [CONFIG_PASSWORD] = TEXT,
    [CONFIG_WORDS] = TEXT,    [CONFIG_TEXT] = TEXT,     [CONFIG_ANY] = TEXT,
};

_Static_assert(sizeof(shapes) / sizeof(shapes[0]) == CONFIG_ANY + 1, "every type has its shape");

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

static const char *const *list_at(const struct config_key *key, const struct settings *s)
{
    const char *const *list;

    memcpy(&list, place(key, s), sizeof(list));
    return list;
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
    switch (shapes[key->type]) {
    case PLAIN:
        return memcmp(place(key, a), place(key, b), key->width) == 0;
    case TEXT:
        return texts_are_same(text_at(key, a), text_at(key, b));
    case LIST:
        return lists_are_same(list_at(key, a), list_at(key, b));
    case SECRET:
        return bytes_equal(a->key.secret, b->key.secret);
    }
    UNREACHABLE();
}

/* With its zero; null stays null. */
static const char *copy_text(const char *text, struct arena *arena)
{
    return text ? arena_copy(arena, bytes_of(text, strlen(text) + 1)).at : NULL;
}

static const char *const *copy_list(const char *const *list, struct arena *arena)
{
    const char **copy;
    size_t count = 0, i;

    if (!list)
        return NULL;
    while (list[count])
        count++;
    copy = arena_alloc(arena, (count + 1) * sizeof(*copy));
    for (i = 0; i <= count; i++)
        copy[i] = copy_text(list[i], arena);
    return copy;
}

void config_value_copy(const struct config_key *key, struct settings *to,
                       const struct settings *from, struct arena *arena)
{
    char *into = (char *)to + key->offset;
    const char *const *list;
    const char *text;

    if (shapes[key->type] == TEXT) {
        text = copy_text(text_at(key, from), arena);
        memcpy(into, &text, sizeof(text));
    } else if (shapes[key->type] == LIST) {
        list = copy_list(list_at(key, from), arena);
        memcpy(into, &list, sizeof(list));
    } else {
        CHECK(shapes[key->type] == PLAIN);
        memcpy(into, place(key, from), key->width);
    }
}
