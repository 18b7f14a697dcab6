/*
 * settings - what the operator chose: one immutable snapshot for the whole process.
 *
 * Owner:   main. A reload puts another one in its place: shards read hub->settings in every turn
 *          anew, and renew what they copied from it by NOTE_RELOAD.      Thread: any, read only.
 * Keys:    each member's comment names its configuration key; docs/configuration.md has them all.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/log.h"
#include "hub/cluster_settings.h"
#include "net/limits.h"
#include "net/tls_settings.h"
#include "wire/body.h"
#include "wire/deflate.h"
#include "wire/http1.h"
#include "wire/token.h"
#include "wire/ws.h"

enum scheduling { SCHEDULING_BATCH, SCHEDULING_NORMAL };

struct settings {
    const char *address;        /* server.address, default 127.0.0.1 */
    uint16_t rest_port;         /* server.port, default 8080; 0 takes a free one */
    uint16_t ws_port;           /* pushca.pusher.socket-port, default 8883; 0 takes a free one */
    uint32_t shards;            /* pushca.pusher.shards, default one per usable core */
    enum scheduling scheduling; /* pushca.pusher.scheduling, default batch */
    const char *instance_id;    /* pushca.pusher.instance-id, default "node-" and random hex */
    const char *external_url;   /* pushca.pusher.external-advertised-url; ends with '/'; null: made
                                   from address and the port really bound */
    const char *internal_url;   /* pushca.pusher.internal-advertised-url; null: external */
    const char *browser_url;    /* pushca.pusher.browser-advertised-url; null: external */
    const char *const *origins; /* pushca.pusher.allowed-origins; null-terminated; null: any */
    const char *const *proxies; /* pushca.pusher.trusted-proxies; null-terminated; null: none */
    struct token_key key;       /* pushca.coordinator.secret-key; random when not given */
    bool key_is_random;
    int64_t token_life_s;       /* pushca.coordinator.token-life-s, default 1800 */
    int64_t ack_timeout_ms;     /* pushca.acknowledge-timeout.ms, default 1000 */
    int64_t ack_keep_ms;        /* pushca.acknowledge-timeout.websocket-ms, default 35000 */
    int64_t repeat_keep_ms;     /* pushca.pusher.repeat-window-ms, default 60000 */
    uint32_t repeat_entries;    /* pushca.limits.repeat-entries, default 262144 per shard */
    uint32_t deliveries;        /* pushca.limits.open-deliveries, default 1000 per client */
    uint32_t sockets;           /* pushca.pusher.socket-pool-size; default from the file limit */
    uint32_t http_conns;        /* pushca.limits.http-connections; default from the file limit */
    size_t inbox_bytes;         /* pushca.limits.inbox-bytes, default 2 MiB per shard */
    int64_t memory_bytes;       /* pushca.limits.memory-bytes; default 3/4 of machine or cgroup */
    uint32_t memory_percent[3]; /* of it, by enum hub_step: pushca.limits.memory-connections-percent
                                   85, memory-sends-percent 92, memory-readers-percent 100 */
    uint32_t handshakes;        /* pushca.limits.handshakes; default from the file limit */
    int64_t ping_interval_ms;   /* pushca.pusher.ping-interval-ms, default 25000, at least 1000 */
    int64_t pong_wait_ms;       /* pushca.pusher.pong-wait-ms, default 10000, at least 1000 */
    int64_t handshake_ms;       /* pushca.limits.handshake-ms, default 10000 */
    int64_t head_ms;            /* pushca.limits.head-arrival-ms, default 10000 */
    int64_t body_ms;            /* pushca.limits.body-arrival-ms, default 30000 */
    int64_t keep_alive_ms;      /* pushca.limits.keep-alive-ms, default 65000 */
    int64_t drain_ms;           /* pushca.drain-ms, default 5000 */
    int64_t drain_window_ms;    /* pushca.drain-window-ms; 0: from the number of sockets then */
    int64_t drain_delay_ms;     /* pushca.drain-delay-ms, default 0 */
    size_t body_bytes;          /* pushca.limits.body-bytes, default 1 MiB */
    size_t json_depth;          /* pushca.limits.json-depth, default 64 */
    size_t json_values;         /* pushca.limits.json-values, default 65536 */
    struct http1_limits http;   /* pushca.limits.request-line-bytes 8192, head-bytes 16384,
                                   head-fields 100 */
    struct ws_limits ws;        /* pushca.limits.message-bytes 8 MiB, empty-fragments 64 */
    uint16_t nuisances[2];      /* in a second, by enum ws_nuisance: pushca.limits.pings 2500,
                                   bad-commands 2500 */
    struct body_limits body;    /* pushca.limits.dimension-bytes 256, exclude-entries 1000,
                                   id-bytes 256, envelopes 1000, pool-size 100 */
    struct net_limits net;      /* pushca.limits.queue-bytes 1 MiB, soft-queue-bytes 64 KiB,
                                   stall-ms 10000, linger-ms 2000, close-wait-ms 1000,
                                   tls-handshakes-per-turn 8, tls-messages 32 */
    struct tls_settings tls;    /* server.ssl.*, pushca.pusher.ssl.*: see there */
    struct cluster_settings cluster; /* pushca.pusher.deploy-mode, pushca.cluster.*,
                                        pushca.storage.redis.*: see there */
    enum log_format log_format;      /* logging.format: text or json */
    enum log_level log_level;        /* logging.level.root: debug, info, warn, error */

    /* pushca.pusher.deflate.enabled false, level 6, min-bytes 256, server-no-context-takeover and
       client-no-context-takeover true, server-max-window-bits and client-max-window-bits 15,
       memory-bytes 64 KiB */
    struct deflate_settings deflate;
};
