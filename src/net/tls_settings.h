/*
 * tls_settings - what the operator chose for TLS: names of files, passwords, rules.
 *
 * Owner:   the settings snapshot of the process; texts may be null: not given.      Thread: any.
 * Keys:    each member's comment; docs/configuration.md has them all.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum tls_switch { TLS_AUTO, TLS_ON, TLS_OFF };
enum tls_store { TLS_STORE_PKCS12, TLS_STORE_PEM };
enum tls_client { TLS_CLIENT_NONE, TLS_CLIENT_WANT, TLS_CLIENT_NEED };
enum tls_protocol { TLS_PROTOCOL_ANY, TLS_PROTOCOL_1_2, TLS_PROTOCOL_1_3 };

struct tls_settings {
    uint32_t enabled;                 /* server.ssl.enabled; auto: when a certificate is given */
    uint32_t ws_enabled;              /* pushca.pusher.ssl.enabled; auto: as server.ssl.enabled */
    const char *certificate;          /* server.ssl.certificate: PEM, the chain behind it */
    const char *private_key;          /* server.ssl.certificate-private-key: PEM; null: in the same
                                         file */
    const char *key_store;            /* server.ssl.key-store */
    uint32_t key_store_type;          /* server.ssl.key-store-type: PKCS12 or PEM */
    const char *key_store_password;   /* server.ssl.key-store-password */
    const char *key_password;         /* server.ssl.key-password: of an encrypted PEM key */
    const char *key_alias;            /* server.ssl.key-alias: of the key in the store */
    const char *trust_certificate;    /* server.ssl.trust-certificate: PEM */
    const char *trust_store;          /* server.ssl.trust-store */
    uint32_t trust_store_type;        /* server.ssl.trust-store-type: PKCS12 or PEM */
    const char *trust_store_password; /* server.ssl.trust-store-password */
    uint32_t client_auth;             /* server.ssl.client-auth: none, want, need */
    uint32_t protocol;                /* server.ssl.protocol: TLS, TLSv1.2, TLSv1.3 */
    const char *enabled_protocols;    /* server.ssl.enabled-protocols: list; null: both */
    const char *ciphers;              /* server.ssl.ciphers: list; null: all that are sane */
    uint32_t kernel;                  /* pushca.pusher.ssl.kernel: false, true */
};

static inline bool tls_has_certificate(const struct tls_settings *s)
{
    return s->certificate || s->key_store;
}

static inline bool tls_is_on_for_rest(const struct tls_settings *s)
{
    return s->enabled == TLS_ON || (s->enabled == TLS_AUTO && tls_has_certificate(s));
}

static inline bool tls_is_on_for_ws(const struct tls_settings *s)
{
    return s->ws_enabled == TLS_AUTO ? tls_is_on_for_rest(s) : s->ws_enabled == TLS_ON;
}

static inline bool tls_is_on(const struct tls_settings *s)
{
    return tls_is_on_for_rest(s) || tls_is_on_for_ws(s);
}
