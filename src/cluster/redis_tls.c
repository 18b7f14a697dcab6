#include "cluster/redis_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include "cluster/tls_client.h"

/* Spring's way of naming a file is fine. */
static const char *plain_path(const char *path)
{
    return strncmp(path, "file:", 5) == 0 ? path + 5 : path;
}

static enum err refuse(struct problem *why, const char *key, const char *path, const char *what)
{
    ERR_clear_error();
    return problem_set(why, ERR_BAD, "pushca.storage.redis.ssl.%s: %s: %s", key, path, what);
}

static enum err load(SSL_CTX *c, const struct redis_settings *set, struct problem *why)
{
    const char *own = set->tls_certificate;
    const char *key = set->tls_key ? set->tls_key : own;

    if (set->tls_ca && !SSL_CTX_load_verify_file(c, plain_path(set->tls_ca)))
        return refuse(why, "trust-certificate", set->tls_ca, "no certificate can be read from it");
    if (!set->tls_ca && !SSL_CTX_set_default_verify_paths(c))
        return refuse(why, "trust-certificate", "(the system's)", "cannot be read");
    if (!own)
        return ERR_OK;
    if (SSL_CTX_use_certificate_chain_file(c, plain_path(own)) != 1)
        return refuse(why, "certificate", own, "no certificate can be read from it");
    if (SSL_CTX_use_PrivateKey_file(c, plain_path(key), SSL_FILETYPE_PEM) != 1)
        return refuse(why, "certificate-private-key", key,
                      "no key that belongs to the certificate can be read from it");
    return ERR_OK;
}

enum err redis_tls_open(const struct redis_settings *set, struct ssl_ctx_st **out,
                        struct problem *why)
{
    SSL_CTX *c;
    enum err e;

    *out = NULL;
    if (!set->tls_enabled || strcmp(set->tls_enabled, "true") != 0)
        return ERR_OK;
    c = tls_client_open();
    if (!c)
        return refuse(why, "enabled", "true", "no memory for it");
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    e = load(c, set, why);
    if (e)
        tls_client_close(c);
    else
        *out = c;
    return e;
}
