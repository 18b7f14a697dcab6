/*
 * tls_files - keys and certificates from PEM and PKCS12 files.
 *
 * Names:   a path may have Spring's "file:" in front of it.
 * Owner:   the caller, until tls_files_free, which wipes the key.      Thread: any; blocks.
 * Bound:   a file of at most 1 MiB.
 * Errors:  one sentence: key, file, what is wrong, what helps. Never a password.
 */
#pragma once
#include <openssl/x509.h>
#include "base/err.h"
#include "net/tls_settings.h"

struct tls_files {
    X509 *leaf;
    STACK_OF(X509) * chain; /* behind the leaf, in the file's order */
    EVP_PKEY *key;
    STACK_OF(X509) * trusted; /* who may sign clients' certificates; null: nobody */
};

/* ERR_BAD: *out is empty. */
MUST_USE enum err tls_files_read(const struct tls_settings *s, struct tls_files *out,
                                 struct problem *why);
void tls_files_free(struct tls_files *f);
