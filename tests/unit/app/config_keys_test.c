#include "unit/app/load.h"

#include "app/config_schema.h"
#include "hub/shard.h"
#include "net/ws_conn.h"

/* What the settings say of each key, without help from the table of keys. */
#define NUMBER(name, expression)                                                                   \
    static int64_t name(const struct settings *s)                                                  \
    {                                                                                              \
        return (int64_t)(expression);                                                              \
    }
#define TEXT(name, member)                                                                         \
    static const char *name(const struct settings *s)                                              \
    {                                                                                              \
        return s->member;                                                                          \
    }

NUMBER(rest_port, s->rest_port)
NUMBER(ws_port, s->ws_port)
NUMBER(shards, s->shards)
NUMBER(token_life_s, s->token_life_s)
NUMBER(ack_timeout_ms, s->ack_timeout_ms)
NUMBER(ack_keep_ms, s->ack_keep_ms)
NUMBER(repeat_keep_ms, s->repeat_keep_ms)
NUMBER(repeat_entries, s->repeat_entries)
NUMBER(deliveries, s->deliveries)
NUMBER(sockets, s->sockets)
NUMBER(http_conns, s->http_conns)
NUMBER(inbox_bytes, s->inbox_bytes)
NUMBER(memory_bytes, s->memory_bytes)
NUMBER(memory_connections, s->memory_percent[HUB_NO_CONNECTIONS])
NUMBER(memory_sends, s->memory_percent[HUB_NO_SENDS])
NUMBER(memory_readers, s->memory_percent[HUB_NO_READERS])
NUMBER(handshakes, s->handshakes)
NUMBER(pings, s->nuisances[WS_PINGS])
NUMBER(bad_commands, s->nuisances[WS_BAD_COMMANDS])
NUMBER(ping_interval_ms, s->ping_interval_ms)
NUMBER(pong_wait_ms, s->pong_wait_ms)
NUMBER(handshake_ms, s->handshake_ms)
NUMBER(head_ms, s->head_ms)
NUMBER(body_ms, s->body_ms)
NUMBER(keep_alive_ms, s->keep_alive_ms)
NUMBER(drain_ms, s->drain_ms)
NUMBER(drain_window_ms, s->drain_window_ms)
NUMBER(drain_delay_ms, s->drain_delay_ms)
NUMBER(body_bytes, s->body_bytes)
NUMBER(json_depth, s->json_depth)
NUMBER(json_values, s->json_values)
NUMBER(line_bytes, s->http.line_bytes)
NUMBER(head_bytes, s->http.head_bytes)
NUMBER(head_fields, s->http.fields)
NUMBER(message_bytes, s->ws.message_bytes)
NUMBER(empty_fragments, s->ws.empty_fragments)
NUMBER(dimension_bytes, s->body.dimension_bytes)
NUMBER(exclude_entries, s->body.exclude)
NUMBER(id_bytes, s->body.id_bytes)
NUMBER(envelopes, s->body.envelopes)
NUMBER(pool_size, s->body.pool)
NUMBER(queue_bytes, s->net.queue_bytes)
NUMBER(soft_queue_bytes, s->net.soft_queue_bytes)
NUMBER(stall_ms, s->net.stall_ms)
NUMBER(linger_ms, s->net.linger_ms)
NUMBER(close_wait_ms, s->net.close_wait_ms)
NUMBER(deflate_enabled, s->deflate.enabled)
NUMBER(deflate_level, s->deflate.level)
NUMBER(deflate_min_bytes, s->deflate.min_bytes)
NUMBER(deflate_server_forgets, s->deflate.server_forgets)
NUMBER(deflate_client_forgets, s->deflate.client_forgets)
NUMBER(deflate_server_bits, s->deflate.server_bits)
NUMBER(deflate_client_bits, s->deflate.client_bits)
NUMBER(deflate_memory_bytes, s->deflate.memory_bytes)
NUMBER(tls_handshakes, s->net.tls_handshakes)
NUMBER(tls_messages, s->net.tls_messages)
NUMBER(tls_enabled, s->tls.enabled)
NUMBER(tls_ws_enabled, s->tls.ws_enabled)
NUMBER(tls_key_store_type, s->tls.key_store_type)
NUMBER(tls_trust_store_type, s->tls.trust_store_type)
NUMBER(tls_client_auth, s->tls.client_auth)
NUMBER(tls_protocol, s->tls.protocol)
NUMBER(tls_kernel, s->tls.kernel)
NUMBER(scheduling, s->scheduling)
NUMBER(log_format, s->log_format)
NUMBER(log_level, s->log_level)
TEXT(address, address)
TEXT(instance_id, instance_id)
TEXT(external_url, external_url)
TEXT(internal_url, internal_url)
TEXT(browser_url, browser_url)
TEXT(tls_certificate, tls.certificate)
TEXT(tls_key_password, tls.key_password)
TEXT(tls_key_store_password, tls.key_store_password)
TEXT(tls_key_alias, tls.key_alias)
TEXT(tls_trust_certificate, tls.trust_certificate)
TEXT(tls_trust_store, tls.trust_store)
TEXT(tls_trust_store_password, tls.trust_store_password)
TEXT(tls_enabled_protocols, tls.enabled_protocols)
TEXT(tls_ciphers, tls.ciphers)

enum { MACHINE = -1, DAY = 86400000, SOCKETS = 1048576, MILLION = 1000000 };

NUMBER(redis_port, s->cluster.redis.port)
NUMBER(redis_database, s->cluster.redis.database)
NUMBER(redis_connect_ms, s->cluster.redis.connect_ms)
NUMBER(redis_answer_ms, s->cluster.redis.answer_ms)
NUMBER(lease_ms, s->cluster.lease_ms)
NUMBER(beat_ms, s->cluster.beat_ms)
NUMBER(echo_ms, s->cluster.echo_ms)
NUMBER(deaf_grace_ms, s->cluster.deaf_grace_ms)
NUMBER(register_ms, s->cluster.register_ms)
NUMBER(order_ms, s->cluster.order_ms)
NUMBER(window_bytes, s->cluster.window_bytes)
NUMBER(waiting_bytes, s->cluster.waiting_bytes)
NUMBER(cache_ms, s->cluster.cache_ms)
NUMBER(cache_entries, s->cluster.cache_entries)
TEXT(deploy_mode, cluster.deploy_mode)
TEXT(cluster_url, cluster.cluster_url)
TEXT(cluster_prefix, cluster.prefix)
TEXT(redis_host, cluster.redis.host)
TEXT(redis_username, cluster.redis.username)
TEXT(redis_password, cluster.redis.password)
TEXT(sentinel_master, cluster.redis.sentinel_master)
TEXT(sentinel_username, cluster.redis.sentinel_username)
TEXT(sentinel_password, cluster.redis.sentinel_password)
TEXT(redis_tls_enabled, cluster.redis.tls_enabled)
TEXT(redis_tls_ca, cluster.redis.tls_ca)
TEXT(redis_tls_certificate, cluster.redis.tls_certificate)
TEXT(redis_tls_key, cluster.redis.tls_key)
TEXT(redis_tls_verify, cluster.redis.tls_verify)

/* A key that holds a number. */
struct number {
    const char *key;
    int64_t (*get)(const struct settings *s);
    int64_t usual; /* MACHINE: depends on where the test runs */
    int64_t min, max;
};

static const struct number numbers[] = {
    {"server.port", rest_port, 8080, 0, 65535},
    {"pushca.pusher.socket-port", ws_port, 8883, 0, 65535},
    {"pushca.coordinator.token-life-s", token_life_s, 1800, 1, 31536000},
    {"pushca.pusher.shards", shards, MACHINE, 1, 64},
    {"pushca.pusher.socket-pool-size", sockets, MACHINE, 1, SOCKETS},
    {"pushca.pusher.ping-interval-ms", ping_interval_ms, 25000, 1000, DAY},
    {"pushca.pusher.pong-wait-ms", pong_wait_ms, 10000, 1000, DAY},
    {"pushca.pusher.deflate.level", deflate_level, 6, 1, 9},
    {"pushca.pusher.deflate.min-bytes", deflate_min_bytes, 256, 1, 1 << 30},
    {"pushca.pusher.deflate.server-max-window-bits", deflate_server_bits, 15, 9, 15},
    {"pushca.pusher.deflate.client-max-window-bits", deflate_client_bits, 15, 9, 15},
    {"pushca.pusher.deflate.memory-bytes", deflate_memory_bytes, 65536, 8192, 1 << 20},
    {"pushca.pusher.repeat-window-ms", repeat_keep_ms, 60000, 1, DAY},
    {"pushca.acknowledge-timeout.ms", ack_timeout_ms, 1000, 1, DAY},
    {"pushca.acknowledge-timeout.websocket-ms", ack_keep_ms, 35000, 1, DAY},
    {"pushca.drain-ms", drain_ms, 5000, 0, 600000},
    {"pushca.drain-window-ms", drain_window_ms, MACHINE, 1, 600000},
    {"pushca.drain-delay-ms", drain_delay_ms, 0, 0, 600000},
    {"pushca.limits.memory-bytes", memory_bytes, MACHINE, 64 << 20, INT64_C(1) << 50},
    {"pushca.limits.memory-connections-percent", memory_connections, 85, 1, 100},
    {"pushca.limits.memory-sends-percent", memory_sends, 92, 1, 100},
    {"pushca.limits.memory-readers-percent", memory_readers, 100, 1, 100},
    {"pushca.limits.handshakes", handshakes, MACHINE, 1, SOCKETS},
    {"pushca.limits.pings", pings, 2500, 0, 65000},
    {"pushca.limits.bad-commands", bad_commands, 2500, 0, 65000},
    {"pushca.limits.http-connections", http_conns, MACHINE, 1, SOCKETS},
    {"pushca.limits.handshake-ms", handshake_ms, 10000, 100, DAY},
    {"pushca.limits.head-arrival-ms", head_ms, 10000, 100, DAY},
    {"pushca.limits.body-arrival-ms", body_ms, 30000, 100, DAY},
    {"pushca.limits.keep-alive-ms", keep_alive_ms, 65000, 1, DAY},
    {"pushca.limits.request-line-bytes", line_bytes, 8192, 64, 1 << 20},
    {"pushca.limits.head-bytes", head_bytes, 16384, 64, 1 << 20},
    {"pushca.limits.head-fields", head_fields, 100, 1, 1000},
    {"pushca.limits.body-bytes", body_bytes, 1 << 20, 1, 1 << 30},
    {"pushca.limits.json-depth", json_depth, 64, 4, 1024},
    {"pushca.limits.json-values", json_values, 65536, 100, 1000000000},
    {"pushca.limits.dimension-bytes", dimension_bytes, 256, 1, 4096},
    {"pushca.limits.id-bytes", id_bytes, 256, 1, 4096},
    {"pushca.limits.exclude-entries", exclude_entries, 1000, 0, 100000},
    {"pushca.limits.envelopes", envelopes, 1000, 1, 100000},
    {"pushca.limits.pool-size", pool_size, 100, 1, 10000},
    {"pushca.limits.message-bytes", message_bytes, 8 << 20, 1, 1 << 30},
    {"pushca.limits.empty-fragments", empty_fragments, 64, 0, MILLION},
    {"pushca.limits.queue-bytes", queue_bytes, 1 << 20, 1024, 1 << 30},
    {"pushca.limits.soft-queue-bytes", soft_queue_bytes, 64 << 10, 1, 1 << 30},
    {"pushca.limits.stall-ms", stall_ms, 10000, 100, DAY},
    {"pushca.limits.linger-ms", linger_ms, 2000, 0, DAY},
    {"pushca.limits.close-wait-ms", close_wait_ms, 1000, 0, DAY},
    {"pushca.limits.tls-handshakes-per-turn", tls_handshakes, 8, 1, 1024},
    {"pushca.limits.tls-messages", tls_messages, 32, 0, 65000},
    {"pushca.limits.inbox-bytes", inbox_bytes, 2 << 20, 1024, 1 << 30},
    {"pushca.limits.open-deliveries", deliveries, 1000, 1, MILLION},
    {"pushca.limits.repeat-entries", repeat_entries, 262144, 1, 1 << 24},
    {"pushca.storage.redis.port", redis_port, 6379, 1, 65535},
    {"pushca.storage.redis.database", redis_database, 0, 0, 65535},
    {"pushca.storage.redis.connect-timeout-ms", redis_connect_ms, 2000, 10, 60000},
    {"pushca.storage.redis.timeout-ms", redis_answer_ms, 2000, 100, 60000},
    {"pushca.cluster.lease-ms", lease_ms, 3000, 500, 600000},
    {"pushca.cluster.beat-ms", beat_ms, 500, 100, 60000},
    {"pushca.cluster.echo-ms", echo_ms, 2000, 300, 600000},
    {"pushca.cluster.deaf-grace-ms", deaf_grace_ms, 10000, 0, DAY},
    {"pushca.cluster.register-ms", register_ms, 1000, 0, 60000},
    {"pushca.cluster.order-ms", order_ms, 10000, 0, 60000},
    {"pushca.cluster.window-bytes", window_bytes, 16 << 20, 64 << 10, 1 << 30},
    {"pushca.cluster.waiting-bytes", waiting_bytes, 16 << 20, 64 << 10, 1 << 30},
    {"pushca.cluster.cache-entries", cache_entries, 262144, 16, 1 << 24},
    {"pushca.coordinator.cache.search.ttl-ms", cache_ms, 5000, 0, DAY},
};

/* A key that holds a text or a word, with one that is taken, as what, and one that is not. */
struct word {
    const char *key;
    const char *(*get)(const struct settings *s);
    int64_t (*get_number)(const struct settings *s);
    const char *usual;
    int64_t usual_number;
    const char *good, *stored;
    int64_t stored_number;
    const char *bad;
};

static const struct word words[] = {
    {"server.address", address, NULL, "127.0.0.1", 0, "::1", "::1", 0, "localhost"},
    {"pushca.pusher.external-advertised-url", external_url, NULL, NULL, 0, "ws://h:1", "ws://h:1/",
     0, "http://h:1/"},
    {"pushca.pusher.internal-advertised-url", internal_url, NULL, NULL, 0, "wss://h/a",
     "wss://h/a/", 0, "ws://a_b/"},
    {"pushca.pusher.browser-advertised-url", browser_url, NULL, NULL, 0, "wss://h/", "wss://h/", 0,
     "wss://h/?q"},
    {"pushca.pusher.instance-id", instance_id, NULL, "node-", MACHINE, "Pusher-1", "Pusher-1", 0,
     "pusher_1"},
    {"pushca.pusher.deflate.enabled", NULL, deflate_enabled, NULL, false, "TRUE", NULL, true,
     "yes"},
    {"pushca.pusher.deflate.server-no-context-takeover", NULL, deflate_server_forgets, NULL, true,
     "false", NULL, false, "1"},
    {"pushca.pusher.deflate.client-no-context-takeover", NULL, deflate_client_forgets, NULL, true,
     "false", NULL, false, "on"},
    {"server.ssl.enabled", NULL, tls_enabled, NULL, TLS_AUTO, "false", NULL, TLS_OFF, "yes"},
    {"pushca.pusher.ssl.enabled", NULL, tls_ws_enabled, NULL, TLS_AUTO, "FALSE", NULL, TLS_OFF,
     "1"},
    {"server.ssl.certificate", tls_certificate, NULL, NULL, 0, "file:/a b/c.pem", "file:/a b/c.pem",
     0, "<path>"},
    {"server.ssl.key-password", tls_key_password, NULL, NULL, 0, "a b%c", "a b%c", 0, "<secret>"},
    {"server.ssl.key-store-type", NULL, tls_key_store_type, NULL, TLS_STORE_PKCS12, "pem", NULL,
     TLS_STORE_PEM, "JKS"},
    {"server.ssl.key-store-password", tls_key_store_password, NULL, NULL, 0, "x", "x", 0, "${x}"},
    {"server.ssl.key-alias", tls_key_alias, NULL, NULL, 0, "one", "one", 0, "<alias>"},
    {"server.ssl.client-auth", NULL, tls_client_auth, NULL, TLS_CLIENT_NONE, "None", NULL,
     TLS_CLIENT_NONE, "required"},
    {"server.ssl.trust-certificate", tls_trust_certificate, NULL, NULL, 0, "ca.pem", "ca.pem", 0,
     "${ca}"},
    {"server.ssl.trust-store", tls_trust_store, NULL, NULL, 0, "ca.p12", "ca.p12", 0, "<store>"},
    {"server.ssl.trust-store-type", NULL, tls_trust_store_type, NULL, TLS_STORE_PKCS12, "PEM", NULL,
     TLS_STORE_PEM, "DER"},
    {"server.ssl.trust-store-password", tls_trust_store_password, NULL, NULL, 0, "y", "y", 0,
     "<y>"},
    {"server.ssl.protocol", NULL, tls_protocol, NULL, TLS_PROTOCOL_ANY, "TLSv1.2", NULL,
     TLS_PROTOCOL_1_2, "SSL"},
    {"server.ssl.enabled-protocols", tls_enabled_protocols, NULL, "TLSv1.2,TLSv1.3", 0, "TLSv1.3",
     "TLSv1.3", 0, "<versions>"},
    {"server.ssl.ciphers", tls_ciphers, NULL, NULL, 0, "A,B", "A,B", 0, "<suites>"},
    {"pushca.pusher.ssl.kernel", NULL, tls_kernel, NULL, 0, "true", NULL, 1, "on"},
    {"pushca.pusher.scheduling", NULL, scheduling, NULL, SCHEDULING_BATCH, "Normal", NULL,
     SCHEDULING_NORMAL, "idle"},
    {"logging.level.root", NULL, log_level, NULL, LOG_INFO, "DEBUG", NULL, LOG_DEBUG, "trace"},
    {"logging.format", NULL, log_format, NULL, LOG_TEXT, "json", NULL, LOG_JSON, "xml"},
    {"pushca.pusher.deploy-mode", deploy_mode, NULL, "standalone", 0, "StandAlone", "standalone", 0,
     "swarm"},
    {"pushca.pusher.internal-cluster-url", cluster_url, NULL, NULL, 0, "http://pusher1:8080",
     "http://pusher1:8080", 0, "ws://pusher1:8080"},
    {"pushca.storage.redis.host", redis_host, NULL, "127.0.0.1", 0, "pushca-cache", "pushca-cache",
     0, "<host>"},
    {"pushca.storage.redis.username", redis_username, NULL, NULL, 0, "joe", "joe", 0, "${user}"},
    {"pushca.storage.redis.password", redis_password, NULL, NULL, 0, "a b%c", "a b%c", 0, "<x>"},
    {"pushca.storage.redis.prefix", cluster_prefix, NULL, "pushca", 0, "Test-1", "Test-1", 0,
     "a:b"},
    {"pushca.storage.redis.sentinel.master", sentinel_master, NULL, NULL, 0, "mymaster", "mymaster",
     0, "<name>"},
    {"pushca.storage.redis.sentinel.username", sentinel_username, NULL, NULL, 0, "eve", "eve", 0,
     "<user>"},
    {"pushca.storage.redis.sentinel.password", sentinel_password, NULL, NULL, 0, "z", "z", 0,
     "<z>"},
    {"pushca.storage.redis.ssl.enabled", redis_tls_enabled, NULL, "false", 0, "TRUE", "true", 0,
     "yes"},
    {"pushca.storage.redis.ssl.trust-certificate", redis_tls_ca, NULL, NULL, 0, "ca.pem", "ca.pem",
     0, "<ca>"},
    {"pushca.storage.redis.ssl.certificate", redis_tls_certificate, NULL, NULL, 0, "c.pem", "c.pem",
     0, "<c>"},
    {"pushca.storage.redis.ssl.certificate-private-key", redis_tls_key, NULL, NULL, 0, "k.pem",
     "k.pem", 0, "<k>"},
    {"pushca.storage.redis.ssl.verify", redis_tls_verify, NULL, "full", 0, "CA", "ca", 0, "none"},
};

/* These have tests of their own. */
static const char *const others[] = {
    "pushca.coordinator.secret-key",
    "pushca.pusher.allowed-origins",
    "pushca.pusher.trusted-proxies",
    "pushca.storage.redis.sentinel.nodes",
    "pushca.storage.redis.cluster.nodes",
    "server.ssl.certificate-private-key",
    "server.ssl.key-store",
    "pushca.license-key",
    "pushca.storage.redis.pool-size",
    "pushca.pusher.asyncworkers.pool-size",
    "pushca.pusher.async-workers.pool-size",
    "server.tomcat.threads.max",
    "server.tomcat.threads.min-spare",
    "server.tomcat.threads.*",
    "management.*",
    "springdoc.*",
};

static bool is_among_others(const char *key)
{
    size_t i;

    for (i = 0; i < COUNT(others); i++)
        if (strcmp(others[i], key) == 0)
            return true;
    return false;
}

static void every_key_is_in_one_table(void **state)
{
    size_t i;
    int known;

    (void)state;
    for (i = 0; i < COUNT(numbers); i++)
        assert_true(config_key_find(numbers[i].key) >= 0);
    for (i = 0; i < COUNT(words); i++)
        assert_true(config_key_find(words[i].key) >= 0);
    for (known = 0; known < config_key_count; known++)
        assert_int_equal(config_key_find(config_keys[known].name), known);
    assert_int_equal(config_key_count, COUNT(numbers) + COUNT(words) + COUNT(others));
    for (i = 0; i < COUNT(others); i++)
        assert_true(is_among_others(config_keys[config_key_find(others[i])].name));
}

static void defaults_are_the_documented_ones(void **state)
{
    struct load l = {.sets = {NULL}};
    size_t i;

    (void)state;
    load_run(&l);
    assert_non_null(l.config);
    for (i = 0; i < COUNT(numbers); i++)
        if (numbers[i].get && numbers[i].usual != MACHINE)
            assert_int_equal(numbers[i].get(l.s), numbers[i].usual);
    for (i = 0; i < COUNT(words); i++) {
        const struct word *w = &words[i];

        if (w->get_number)
            assert_int_equal(w->get_number(l.s), w->usual_number);
        else if (w->get && !w->usual)
            assert_null(w->get(l.s));
        else if (w->get)
            assert_memory_equal(w->get(l.s), w->usual, strlen(w->usual));
    }
    assert_null(l.s->origins);
    assert_true(l.s->shards >= 1 && l.s->sockets >= 1 && l.s->http_conns >= 32);
    assert_true(l.s->memory_bytes >= 64 << 20);
    assert_int_equal(strlen(l.s->instance_id), strlen("node-") + 12);
    assert_true(l.s->key_is_random);
    assert_int_equal(l.s->key.secret.len, 32);
    load_fini(&l);
}

static void two_starts_differ_in_name_and_secret(void **state)
{
    struct load a = {.sets = {NULL}}, b = {.sets = {NULL}};

    (void)state;
    load_run(&a);
    load_run(&b);
    assert_string_not_equal(a.s->instance_id, b.s->instance_id);
    assert_memory_not_equal(a.s->key.secret.at, b.s->key.secret.at, 32);
    load_fini(&a);
    load_fini(&b);
}

/* ---- the seven ways to write a key ---- */

enum way { NESTED, DOTTED, DOCUMENTED, DERIVED, DASHLESS, VARIABLE, SET, WAYS };

/* Appends key in upper case, '.' and '-' as '_'; or, as Spring writes it, without the dashes. */
static void derive(struct buf *out, const char *key, bool dashes)
{
    for (; *key; key++) {
        if (*key == '-' && !dashes)
            continue;
        buf_add_char(out, strchr(".-", *key)           ? '_'
                          : *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A')
                                                       : *key);
    }
}

static void nest(struct buf *out, const char *key)
{
    int depth = 0;

    for (; *key; key++) {
        if (*key == '.')
            buf_printf(out, ":\n%*s", ++depth * 2, "");
        else
            buf_add_char(out, *key);
    }
}

/* Writes value under key in one way; more: another "key=value". False: there is no such way. */
static bool prepare(struct load *l, struct buf *text, enum way way, const char *key,
                    const char *value)
{
    const char *documented = config_keys[config_key_find(key)].environment;

    if (way == NESTED) {
        nest(text, key);
        buf_printf(text, ": '%s'\n", value);
    } else if (way == DOTTED) {
        buf_printf(text, "%s: \"%s\"\n", key, value);
    } else if (way == DOCUMENTED) {
        if (!documented)
            return false;
        buf_printf(text, "%s=%s", documented, value);
    } else if (way == SET || way == VARIABLE) {
        buf_printf(text, "%s=%s", key, value);
    } else {
        derive(text, key, way == DERIVED);
        buf_printf(text, "=%s", value);
    }
    buf_add_char(text, '\0');
    if (way == NESTED || way == DOTTED)
        l->file = text->at;
    else if (way == SET)
        l->sets[0] = text->at;
    else
        l->env[0] = text->at;
    return true;
}

/* The settings after value was written in that way; false: there is no such way. The caller ends
   the load. */
static bool try_one(struct load *l, enum way way, const char *key, const char *value)
{
    struct buf text = {0};
    bool did;

    *l = (struct load){.file = NULL};
    /* large enough for what is compared with it, and no port of ours in the way */
    l->sets[1] =
        strcmp(key, "pushca.limits.queue-bytes") == 0 ? NULL : "pushca.limits.queue-bytes=1GB";
    did = prepare(l, &text, way, key, value);
    if (did) {
        if (!l->sets[0])
            l->sets[0] = "logging.nothing=1";
        load_run(l);
        l->file = NULL;
        l->env[0] = NULL;
    }
    buf_fini(&text);
    return did;
}

static void check_number(const struct number *n, enum way way, int64_t value)
{
    bool good = value >= n->min && value <= n->max;
    char text[32];
    struct load l;

    snprintf(text, sizeof(text), "%lld", (long long)value);
    if (!try_one(&l, way, n->key, text))
        return;
    if (good != !!l.config)
        fail_msg("%s=%s: %s", n->key, text, l.config ? "taken" : l.errors);
    if (good && n->get)
        assert_int_equal(n->get(l.s), value);
    if (!good && !strstr(l.errors, n->key))
        fail_msg("%s is not named in: %s", n->key, l.errors);
    if (!good && !strstr(l.errors, "expected "))
        fail_msg("nothing is expected in: %s", l.errors);
    load_fini(&l);
}

static void numbers_are_taken_from_min_to_max(void **state)
{
    size_t i;
    enum way way;

    (void)state;
    for (i = 0; i < COUNT(numbers); i++) {
        const struct number *n = &numbers[i];

        check_number(n, SET, n->min - 1);
        check_number(n, SET, n->min + 1);
        check_number(n, SET, n->max - 1);
        check_number(n, SET, n->max + 1);
        for (way = NESTED; way < WAYS; way++) {
            check_number(n, way, n->min);
            check_number(n, way, n->max);
        }
    }
}

static void check_word(const struct word *w, enum way way)
{
    struct load l;

    if (!try_one(&l, way, w->key, w->good))
        return;
    if (!l.config)
        fail_msg("%s=%s: %s", w->key, w->good, l.errors);
    if (w->get)
        assert_string_equal(w->get(l.s), w->stored);
    if (w->get_number)
        assert_int_equal(w->get_number(l.s), w->stored_number);
    load_fini(&l);
    assert_true(try_one(&l, way, w->key, w->bad));
    if (l.config || !strstr(l.errors, w->key))
        fail_msg("%s=%s: %s", w->key, w->bad, l.errors);
    load_fini(&l);
}

static void words_are_taken_or_refused(void **state)
{
    size_t i;
    enum way way;

    (void)state;
    for (i = 0; i < COUNT(words); i++)
        for (way = NESTED; way < WAYS; way++)
            check_word(&words[i], way);
}

static void what_is_ignored_may_hold_anything(void **state)
{
    static const char *const values[] = {"<your license key>", "${POOL:1}", "0", "x", ""};
    enum way way;
    size_t i;
    int k;

    (void)state;
    for (k = 0; k < config_key_count; k++)
        for (way = NESTED; way < WAYS && config_keys[k].type != CONFIG_ANY; way++)
            for (i = 0; i < COUNT(values) && config_keys[k].is_ignored; i++) {
                struct load l;

                if (!try_one(&l, way, config_keys[k].name, values[i]))
                    continue;
                if (!l.config)
                    fail_msg("%s=%s: %s", config_keys[k].name, values[i], l.errors);
                load_fini(&l);
            }
}

static void the_secret_is_taken_in_every_way(void **state)
{
    enum way way;

    (void)state;
    for (way = NESTED; way < WAYS; way++) {
        struct load l;

        if (!try_one(&l, way, "pushca.coordinator.secret-key", SECRET))
            continue;
        assert_non_null(l.config);
        assert_false(l.s->key_is_random);
        assert_int_equal(l.s->key.secret.len, strlen(SECRET));
        assert_memory_equal(l.s->key.secret.at, SECRET, strlen(SECRET));
        load_fini(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_in_one_table),
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(two_starts_differ_in_name_and_secret),
        cmocka_unit_test(numbers_are_taken_from_min_to_max),
        cmocka_unit_test(words_are_taken_or_refused),
        cmocka_unit_test(what_is_ignored_may_hold_anything),
        cmocka_unit_test(the_secret_is_taken_in_every_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
