/*
 * config_url - the URLs, origins, nodes and networks an operator may give.
 *
 * Owner:   nothing.      Thread: any.      Errors: ERR_BAD with what is wrong in why.
 */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

/* scheme://host[:port][/path] by one of two schemes; neither user, query nor fragment; a host
   without '_', which Java's URL reader does not take. */
MUST_USE enum err config_url_check(struct bytes url, const char *scheme, const char *secure_scheme,
                                   struct problem *why);

/* scheme://host[:port], as browsers write it, or null. */
MUST_USE enum err config_origin_check(struct bytes origin, struct problem *why);

/* host:port or [IPv6]:port; a name in a private network may have '_'. Errors as above. */
MUST_USE enum err config_node_check(struct bytes node, struct problem *why);

/* An address, or a network as 10.0.0.0/8. */
MUST_USE enum err config_network_check(struct bytes network, struct problem *why);
