/*
 * assets - the files that the program serves from its own memory: API description, Swagger UI.
 *
 * Owner:   the program image; never freed.      Thread: any.
 * Source:  made by the build, see cmake/assets.cmake; what is there depends on the build.
 */
#pragma once
#include <stddef.h>
#include "base/bytes.h"

struct asset {
    const char *path; /* of the URL, "/pushca" */
    const char *type; /* Content-Type */
    const unsigned char *at;
    size_t len;
};

/* The asset at exactly this path, or null. "/swagger-ui/index.html" is always there. */
const struct asset *asset_find(struct bytes path);
