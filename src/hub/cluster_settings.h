/*
 * cluster_settings - what the operator chose for a cluster: part of settings, read only.
 *
 * Owner:   the settings snapshot of the process; texts may be null: not given.      Thread: any.
 * Keys:    each member's comment names its configuration key; all need a restart.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { REDIS_SEEDS_MAX = 100 }; /* entries of sentinels or nodes */

struct redis_settings {
    const char *host; /* pushca.storage.redis.host, default 127.0.0.1 */
    uint16_t port;    /* pushca.storage.redis.port, default 6379 */
    const char *const
        *sentinels; /* pushca.storage.redis.sentinel.nodes, "host:port"; null-terminated or null */
    const char *sentinel_master;   /* pushca.storage.redis.sentinel.master; not null: by Sentinel */
    const char *sentinel_username; /* pushca.storage.redis.sentinel.username; null: none */
    const char *sentinel_password; /* pushca.storage.redis.sentinel.password; null: none */
    const char *const *nodes; /* pushca.storage.redis.cluster.nodes; not null: a Redis Cluster */
    const char *username;     /* pushca.storage.redis.username; null: none */
    const char *password;     /* pushca.storage.redis.password; null: none */
    uint32_t database;        /* pushca.storage.redis.database, default 0 */
    const char *tls_enabled;  /* pushca.storage.redis.ssl.enabled: false or true */
    const char *tls_ca; /* pushca.storage.redis.ssl.trust-certificate, PEM; null: the system's */
    const char *tls_certificate; /* pushca.storage.redis.ssl.certificate, PEM; null: none */
    const char *tls_key;         /* pushca.storage.redis.ssl.certificate-private-key, PEM; null: in
                                    the same file */
    const char *tls_verify;      /* pushca.storage.redis.ssl.verify: full, or ca (any host name) */
    int64_t connect_ms;          /* pushca.storage.redis.connect-timeout-ms, default 2000 */
    int64_t answer_ms;           /* pushca.storage.redis.timeout-ms, default 2000: a link silent
                                    longer with an answer due is given up and made again */
};

struct cluster_settings {
    const char *deploy_mode; /* pushca.pusher.deploy-mode: standalone or cluster */
    const char *cluster_url; /* pushca.pusher.internal-cluster-url; null: none */
    struct redis_settings redis;
    const char *prefix;    /* pushca.storage.redis.prefix, default "pushca": of keys and channels */
    int64_t lease_ms;      /* pushca.cluster.lease-ms, default 3000 */
    int64_t beat_ms;       /* pushca.cluster.beat-ms, default 500 */
    int64_t echo_ms;       /* pushca.cluster.echo-ms, default 2000: no echo so long: away */
    int64_t deaf_grace_ms; /* pushca.cluster.deaf-grace-ms, default 10000 */
    int64_t register_ms;   /* pushca.cluster.register-ms, default 1000: then let in unregistered */
    int64_t order_ms;      /* pushca.cluster.order-ms, default 10000; 0: answered at once */
    size_t window_bytes;   /* pushca.cluster.window-bytes, default 16 MiB per peer */
    size_t waiting_bytes;  /* pushca.cluster.waiting-bytes, default 16 MiB, for a lookup */
    int64_t cache_ms;      /* pushca.coordinator.cache.search.ttl-ms, default 5000; 0: no cache */
    uint32_t cache_entries; /* pushca.cluster.cache-entries, default 262144 */
};

static inline bool cluster_is_on(const struct cluster_settings *c)
{
    return c->deploy_mode && strcmp(c->deploy_mode, "cluster") == 0;
}

static inline bool redis_has_tls(const struct redis_settings *r)
{
    return r->tls_enabled && strcmp(r->tls_enabled, "true") == 0;
}
