/*
 * config_yaml - a YAML text to flat properties: "server.tomcat.threads.max" = "1000", line 16.
 *
 * Nested and dotted keys mix. Refused: more than one document, anchors, aliases, tags, the same
 * key twice, zero bytes.
 *
 * Owner:   the properties are the caller's.      Thread: any.      Through libyaml.
 * Bound:   CONFIG_DEPTH_MAX levels, CONFIG_VALUES_MAX keys and list entries together.
 */
#pragma once
#include "app/properties.h"
#include "base/buf.h"

enum {
    CONFIG_DEPTH_MAX = 32,
    CONFIG_VALUES_MAX = 1000,
    CONFIG_LIST_MAX = 65536, /* bytes of one list */
};

/* Appends one line to errors for each thing wrong and returns how many; what was read before
   broken YAML stays in out. file: what messages call it. */
int config_yaml_read(struct bytes text, const char *file, struct properties *out,
                     struct buf *errors);
