/*
 * forwarded - by which address the asker knows this server: by what it says itself, or what a
 *             proxy before us says of it.
 *
 * Fields:  X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Prefix, each once and with one value.
 *          Whoever may be believed is for the caller to know; what is no good value is passed over.
 * Owner:   views into the request.      Thread: any. Pure.
 */
#pragma once
#include <stdbool.h>
#include "base/bytes.h"
#include "wire/http1.h"

struct own_address {
    bool is_secure;
    struct bytes host;   /* with its port; empty: not known */
    struct bytes prefix; /* in front of our paths: empty, or begins and does not end with '/' */
};

/* Does r have any of the fields? */
bool forwarded_is(const struct http1_request *r);

/* Puts what they say in place of what own has. */
void forwarded_read(const struct http1_request *r, struct own_address *own);
