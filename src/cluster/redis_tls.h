/*
 * redis_tls - the certificates of TLS towards Redis and its Sentinels.
 *
 * Verifies: the chain always; the host's name too, unless ssl.verify is "ca" (tls_client_new).
 * Owner:   redis, of the context (tls_client_close).      Thread: the cluster thread.
 */
#pragma once
#include "base/err.h"
#include "hub/cluster_settings.h"

struct ssl_ctx_st;

/* *out is null when TLS is off. ERR_BAD: why is one sentence, with key and file. Blocks on files.
 */
MUST_USE enum err redis_tls_open(const struct redis_settings *set, struct ssl_ctx_st **out,
                                 struct problem *why);
