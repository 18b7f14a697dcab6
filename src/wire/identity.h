/*
 * identity - who a client is (four dimensions) and which clients a filter means.
 *
 * Owner:   views; whoever made them says into what they look.      Thread: any.
 * Words:   protocol.md 0.2: PClient and ClientFilter.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"

enum dimension { WORKSPACE, ACCOUNT, DEVICE, APPLICATION, DIMENSIONS };

/* The four strings of a client; none is empty in a checked one. */
struct identity {
    struct bytes dim[DIMENSIONS];
};

/* An empty dimension matches any value. */
struct filter {
    struct identity like;
    bool find_any;
    const struct identity *exclude;
    size_t excluded;
};

/* "workSpaceId", "accountId", "deviceId", "applicationId". */
const char *dimension_name(enum dimension d);
void dimension_names(const char *names[DIMENSIONS]); /* all, in their order */

/* No control character (C0, DEL, C1) in this valid UTF-8? Asked of dimensions and of message ids.
 */
bool dimension_is_plain(struct bytes value);

bool identity_equal(const struct identity *a, const struct identity *b);

/* A copy whose text stands from *room on, which moves behind it; and how many bytes that is. */
size_t identity_bytes(const struct identity *who);
struct identity identity_copy(const struct identity *from, char **room);

/* All four given? Then it means one client at most. */
bool filter_is_direct(const struct filter *f);
