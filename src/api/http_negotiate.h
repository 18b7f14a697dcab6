/*
 * http_negotiate - which media types a request brings and takes, and what a browser may send.
 *
 * Standard: RFC 9110, sections 8.3, 8.4, 12.5.1; the Fetch standard's preflight.      Thread: any.
 * Pure.
 */
#pragma once
#include <stdbool.h>
#include "base/bytes.h"
#include "wire/http1.h"

/* May the answer be of this type? No Accept field means yes. */
bool http_accepts(const struct http1_request *r, struct bytes type);

/* Is the body JSON in UTF-8, not encoded further? False fills *why. */
bool http_brings_json(const struct http1_request *r, const char **why);

/* A list of field names fit to be sent back in Access-Control-Allow-Headers? */
bool http_field_names_valid(struct bytes list);
