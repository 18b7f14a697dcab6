#include "app/properties.h"

#include <string.h>
#include "base/mem.h"

struct property *properties_add(struct properties *p, struct bytes name, struct bytes text,
                                const char *where)
{
    struct property *one;

    if (p->len == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 32;
        p->at = mem_resize(p->at, p->cap * sizeof(*p->at));
    }
    one = &p->at[p->len++];
    *one = (struct property){.name = mem_copy(name),
                             .text = text.at ? mem_copy(text) : NULL,
                             .where = mem_copy(bytes_text(where)),
                             .shape = PROPERTY_VALUE};
    return one;
}

void property_wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    mem_free(text);
}

void properties_fini(struct properties *p)
{
    size_t i;

    for (i = 0; i < p->len; i++) {
        mem_free(p->at[i].name);
        property_wipe(p->at[i].text);
        mem_free(p->at[i].where);
    }
    mem_free(p->at);
    *p = (struct properties){0};
}
