/*
 * tls_context - certificate, key and rules that TLS connections are opened with: one immutable
 * object for all listeners.
 *
 * Reload:  make a new one and give it to the listeners; connections keep what they began with, and
 *          tickets of before are still good, unless who is trusted has changed.
 * Owner:   counted atomically.      Thread: any; tls_context_new blocks on files.
 */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "net/tls_settings.h"

struct tls_context;
struct ssl_ctx_st;

/* ERR_BAD: why is one sentence with key, file and what helps. */
MUST_USE enum err tls_context_new(const struct tls_settings *s, struct tls_context **out,
                                  struct problem *why);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* null is fine */

/* For tls.c: borrowed. */
struct ssl_ctx_st *tls_context_ssl(struct tls_context *c);

/* Seconds since 1970 at which the certificate ends. */
int64_t tls_context_ends_s(const struct tls_context *c);

/* Would the kernel encrypt? (The module tls is loaded.) */
bool tls_kernel_can(void);

/* OpenSSL's memory from mem_*, so that the budget knows of it. Once, first of all in main. */
void tls_count_memory(void);
