/*
 * properties - named texts and where they were written.
 *
 * Owner:   it owns its texts and wipes them: one may be the secret.      Thread: its owner's.
 */
#pragma once
#include <stddef.h>
#include "base/bytes.h"

enum property_shape {
    PROPERTY_VALUE,   /* text; null: the key stands alone */
    PROPERTY_LIST,    /* of values; text: they, with commas between; null: none */
    PROPERTY_SECTION, /* an empty one, or one inside a list: no text */
};

struct property {
    char *name, *text, *where; /* where: "application.yaml:16" */
    enum property_shape shape;
};

struct properties {
    struct property *at;
    size_t len, cap;
};

/* Adds a value; the texts are copied. text with a null `at`: none. The result is valid until the
   next call. */
struct property *properties_add(struct properties *p, struct bytes name, struct bytes text,
                                const char *where);
void properties_fini(struct properties *p);

/* Wipes and frees a text; null is fine. */
void property_wipe(char *text);
