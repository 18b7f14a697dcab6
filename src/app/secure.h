/*
 * secure - TLS from the settings to the shards.
 *
 * Owner:   the caller has a count of the context.      Thread: main.
 */
#pragma once
#include "base/err.h"

struct hub;
struct problem;
struct settings;
struct tls_context;

/* *out is null when nothing speaks TLS. ERR_BAD: why is one sentence; also of the files for TLS to
   Redis. */
MUST_USE enum err secure_load(const struct settings *set, struct tls_context **out,
                              struct problem *why);

/* For a reload: with the switches of before. ERR_BAD also when TLS would have to begin or end. */
MUST_USE enum err secure_load_again(const struct settings *now, const struct settings *before,
                                    struct tls_context **out, struct problem *why);

/* After api_open, before the threads run. Null: nothing to do. */
void secure_shards(struct hub *h, struct tls_context *c);

/* One line at start and after a reload, and a warning when the certificate is about to end. Null:
 * nothing to say. */
void secure_say(const struct settings *set, const struct tls_context *c);
