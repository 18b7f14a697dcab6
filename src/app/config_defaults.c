#include "app/config_defaults.h"

#include <stdio.h>
#include "base/err.h"
#include "base/rand.h"
#include "net/turn_away.h"

enum {
    CLUSTER_MESSAGE_BYTES = 16 * 1024 * 1024,
    MIB = 1024 * 1024,
    RESERVE_MIN = 384,
    RESERVE_PERCENT = 15,
    DOOR_MIN = 32,  /* HTTP connections, handshakes */
    OWN_FIXED = 64, /* standard streams, signals, libraries; Redis and probes of a cluster */
    OWN_SHARD = 7,  /* two epolls, eventfd, two listeners with a spare one each */
    MEMORY_MIN = 64 * MIB,
    SOFT_QUEUE = 65536,
    NODE_BYTES = 6,
    BEAT_STEP_MS = 100, /* beats are looked at so often */
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint32_t config_own_files(const struct settings *s)
{
    return OWN_FIXED + OWN_SHARD * s->shards + TURNED_AWAY_MAX;
}

/* Sockets, HTTP connections, handshakes and what the process has for itself fit under the limit of
   files: each of these has a gate that lets in no more. */
static void share_files(struct settings *s, uint32_t files)
{
    uint32_t own = config_own_files(s), least_reserve = own + 2 * DOOR_MIN, reserve, door;

    reserve = most(RESERVE_MIN, (uint32_t)((uint64_t)files * RESERVE_PERCENT / 100));
    reserve = least(most(reserve, least_reserve), files / 2);
    if (!s->sockets)
        s->sockets = most(1, files - reserve);
    else if (s->sockets < files && files - s->sockets < reserve)
        reserve = files - s->sockets;
    door = reserve > least_reserve ? (reserve - own) / 2 : DOOR_MIN;
    if (!s->http_conns)
        s->http_conns = door;
    if (!s->handshakes)
        s->handshakes = door;
}

static const char *make_instance_id(struct arena *arena)
{
    static const size_t room = sizeof("node-") + (size_t)2 * NODE_BYTES;
    unsigned char bytes[NODE_BYTES];
    char *id = arena_alloc(arena, room);
    struct rand r;
    int n, i;

    rand_init(&r);
    rand_fill(&r, bytes, sizeof(bytes));
    n = snprintf(id, room, "node-");
    for (i = 0; i < NODE_BYTES; i++)
        n += snprintf(id + n, room - (size_t)n, "%02x", bytes[i]);
    return id;
}

void config_defaults_fill(struct settings *s, const struct config_machine *m, struct arena *arena)
{
    int64_t memory = m->memory_bytes / 4 * 3;

    if (!s->shards)
        s->shards = m->cores;
    share_files(s, m->files);
    if (!s->memory_bytes)
        s->memory_bytes = memory > MEMORY_MIN ? memory : MEMORY_MIN;
    if (!s->instance_id)
        s->instance_id = make_instance_id(arena);
    if (!s->net.soft_queue_bytes)
        s->net.soft_queue_bytes = s->net.queue_bytes < SOFT_QUEUE ? s->net.queue_bytes : SOFT_QUEUE;
}

static void check_tls(const struct tls_settings *t, config_complain *complain, void *context)
{
    if (tls_is_on(t) && !tls_has_certificate(t))
        complain(context, t->enabled == TLS_ON ? "server.ssl.enabled" : "pushca.pusher.ssl.enabled",
                 "expected server.ssl.certificate or server.ssl.key-store beside it");
    if (t->certificate && t->key_store)
        complain(context, "server.ssl.key-store",
                 "expected either it or server.ssl.certificate, not both");
    if (t->private_key && !t->certificate)
        complain(context, "server.ssl.certificate-private-key",
                 "expected server.ssl.certificate beside it");
    if (t->trust_certificate && t->trust_store)
        complain(context, "server.ssl.trust-store",
                 "expected either it or server.ssl.trust-certificate, not both");
    if (t->client_auth != TLS_CLIENT_NONE && !t->trust_certificate && !t->trust_store)
        complain(context, "server.ssl.client-auth",
                 "expected server.ssl.trust-certificate or server.ssl.trust-store beside it");
}

static void check_redis(const struct redis_settings *r, config_complain *complain, void *context)
{
    if (r->sentinel_master && !r->sentinels)
        complain(context, "pushca.storage.redis.sentinel.master",
                 "expected pushca.storage.redis.sentinel.nodes beside it");
    if (r->sentinels && !r->sentinel_master)
        complain(context, "pushca.storage.redis.sentinel.nodes",
                 "expected pushca.storage.redis.sentinel.master beside it");
    if (r->nodes && (r->sentinel_master || r->sentinels))
        complain(context, "pushca.storage.redis.cluster.nodes",
                 "expected either it or pushca.storage.redis.sentinel.*, not both");
    if (r->nodes && r->database)
        complain(context, "pushca.storage.redis.database",
                 "expected 0 beside pushca.storage.redis.cluster.nodes: a Redis Cluster has only "
                 "that");
}

static void check_access(const struct redis_settings *r, config_complain *complain, void *context)
{
    if (r->username && !r->password)
        complain(context, "pushca.storage.redis.username",
                 "expected pushca.storage.redis.password beside it");
    if (r->sentinel_username && !r->sentinel_password)
        complain(context, "pushca.storage.redis.sentinel.username",
                 "expected pushca.storage.redis.sentinel.password beside it");
    if (r->tls_key && !r->tls_certificate)
        complain(context, "pushca.storage.redis.ssl.certificate-private-key",
                 "expected pushca.storage.redis.ssl.certificate beside it");
}

/* Standalone nobody reads any of it. */
static void check_cluster(const struct cluster_settings *c, config_complain *complain,
                          void *context)
{
    if (!cluster_is_on(c))
        return;
    check_redis(&c->redis, complain, context);
    check_access(&c->redis, complain, context);
    /* A pause of half a lease between two answers of Redis counts as an absence of Redis. */
    if (c->lease_ms < 3 * c->beat_ms)
        complain(context, "pushca.cluster.lease-ms",
                 "expected at least three times pushca.cluster.beat-ms");
    if (c->echo_ms < 2 * c->beat_ms + BEAT_STEP_MS)
        complain(context, "pushca.cluster.echo-ms",
                 "expected at least twice pushca.cluster.beat-ms and 100 ms");
}

/* A message for another node is one publish, with others beside it; Redis cuts off a subscriber for
   which 32 MB wait (client-output-buffer-limit). */
static void check_messages(const struct settings *s, config_complain *complain, void *context)
{
    if (!cluster_is_on(&s->cluster))
        return;
    if (s->ws.message_bytes > CLUSTER_MESSAGE_BYTES)
        complain(context, "pushca.limits.message-bytes",
                 "expected at most 16MB in a cluster: Redis passes no larger ones on");
    if (s->body_bytes > CLUSTER_MESSAGE_BYTES)
        complain(context, "pushca.limits.body-bytes",
                 "expected at most 16MB in a cluster: Redis passes no larger ones on");
}

void config_relations_check(const struct settings *s, config_complain *complain, void *context)
{
    check_tls(&s->tls, complain, context);
    check_cluster(&s->cluster, complain, context);
    check_messages(s, complain, context);
    if (s->net.soft_queue_bytes > s->net.queue_bytes)
        complain(context, "pushca.limits.soft-queue-bytes",
                 "expected no more than pushca.limits.queue-bytes");
    if (s->rest_port && s->rest_port == s->ws_port)
        complain(context, "pushca.pusher.socket-port", "expected another port than server.port");
}

/* Is a token of the largest identity longer than a request line may be? JSON escapes at most double
   a dimension; base64 makes four bytes of three; names, times and signature of a token take less
   than 400 bytes, method and version of the line less than 16. */
static bool line_is_short(const struct settings *s)
{
    size_t token = (2 * s->body.dimension_bytes * DIMENSIONS + 400) / 3 * 4;

    return s->http.line_bytes < token + 16;
}

/* What other servers of the cluster would meet, asking there whether this one is well. */
static void doubt_cluster_url(const struct settings *s, config_doubt *doubt, void *context)
{
    bool secure = tls_is_on_for_rest(&s->tls);
    const char *url = s->cluster.cluster_url;

    if (!cluster_is_on(&s->cluster) || !url || !secure)
        return;
    if (!bytes_starts(bytes_text(url), BYTES("https://")))
        doubt(context, "pushca.pusher.internal-cluster-url does not begin with https://, and the "
                       "REST port speaks TLS: unless a proxy answers there, no other server learns "
                       "that this one is well");
    else if (s->tls.client_auth == TLS_CLIENT_NEED)
        doubt(context, "server.ssl.client-auth is need, and other servers show no certificate: "
                       "unless a proxy answers at pushca.pusher.internal-cluster-url, none learns "
                       "that this one is well");
}

void config_doubts_check(const struct settings *s, const struct config_machine *m,
                         config_doubt *doubt, void *context)
{
    uint64_t files = (uint64_t)s->sockets + s->http_conns + s->handshakes + config_own_files(s);
    struct problem p;

    if (files > m->files) {
        problem_set(&p, ERR_FULL,
                    "%u sockets, %u HTTP connections and %u handshakes need %llu descriptors, the "
                    "file limit is %u: raise it (ulimit -n, LimitNOFILE=) or lower "
                    "pushca.pusher.socket-pool-size",
                    s->sockets, s->http_conns, s->handshakes, (unsigned long long)files, m->files);
        doubt(context, p.text);
    }
    if (m->memory_bytes && s->memory_bytes > m->memory_bytes) {
        problem_set(&p, ERR_FULL,
                    "pushca.limits.memory-bytes (%lld) is more than this machine or cgroup has "
                    "(%lld)",
                    (long long)s->memory_bytes, (long long)m->memory_bytes);
        doubt(context, p.text);
    }
    if (cluster_is_on(&s->cluster) && !redis_has_tls(&s->cluster.redis) &&
        (s->cluster.redis.tls_ca || s->cluster.redis.tls_certificate))
        doubt(context, "pushca.storage.redis.ssl.enabled is false: the certificates beside it are "
                       "not used, and all goes to Redis in plain");
    doubt_cluster_url(s, doubt, context);
    if (line_is_short(s))
        doubt(context, "pushca.limits.request-line-bytes is too short for the connection token of "
                       "a client whose dimensions are all pushca.limits.dimension-bytes long");
}
