#include "unit/app/load.h"

#define CLUSTER  SECRET, "pushca.pusher.deploy-mode=cluster"
#define KNOWN    "pushca.pusher.instance-id=one", "pushca.pusher.internal-cluster-url=http://one:8080"
#define MASTER   "pushca.storage.redis.sentinel.master=mymaster"
#define SENTINEL "pushca.storage.redis.sentinel.nodes=s1:26379,s2:26379"
#define NODES    "pushca.storage.redis.cluster.nodes=r1:6379,r_2.example:6380,[::1]:6381"

static void a_cluster_is_one(void **state)
{
    struct load l = {.sets = {CLUSTER, KNOWN, NULL}};

    (void)state;
    load_run(&l);
    assert_true(cluster_is_on(&l.s->cluster));
    assert_false(redis_has_tls(&l.s->cluster.redis));
    assert_null(l.s->cluster.redis.sentinels);
    assert_null(l.s->cluster.redis.nodes);
    assert_int_equal(config_note_count(l.config), 0);
    load_fini(&l);
}

static void it_says_what_is_missing(void **state)
{
    struct load l = {.sets = {CLUSTER, NULL}};

    (void)state;
    load_run(&l);
    assert_int_equal(config_note_count(l.config), 2);
    assert_true(load_has_note(&l, "pushca.pusher.instance-id is not given: "));
    assert_true(load_has_note(&l, "pushca.pusher.internal-cluster-url is not given: "));
    load_fini(&l);
}

/* Where all listen on 127.0.0.1 they are on one machine, and its clients are too. */
static void an_address_that_is_each_ones_own_is_said(void **state)
{
    static const char *const everywhere[] = {"server.address=0.0.0.0", "server.address=::"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(everywhere); i++) {
        struct load l = {.sets = {CLUSTER, KNOWN, everywhere[i], NULL, NULL}};

        load_run(&l);
        assert_true(load_has_note(&l, "pushca.pusher.external-advertised-url is not given: "));
        load_fini(&l);
        l.sets[5] = "pushca.pusher.external-advertised-url=ws://one:8883";
        load_run(&l);
        assert_false(load_has_note(&l, "pushca.pusher.external-advertised-url"));
        load_fini(&l);
    }
}

static void it_needs_the_secret(void **state)
{
    (void)state;
    REFUSED("default: pushca.coordinator.secret-key: expected the one secret of all servers with "
            "pushca.pusher.deploy-mode: cluster (environment PUSHCA_COORDINATOR_SECRET_KEY)",
            .sets = {"pushca.pusher.deploy-mode=Cluster", NULL});
    ACCEPTED(.env = {"PUSHCA_COORDINATOR_SECRET_KEY=0123456789abcdef0123456789abcdef",
                     "PUSHCA_PUSHER_DEPLOY_MODE=cluster", NULL});
}

static void standalone_has_no_use_for_it(void **state)
{
    struct load l = {.env = {"PUSHCA_REDIS_HOST_NAME=pushca-cache", NULL},
                     .sets = {SECRET, "pushca.cluster.beat-ms=60000", MASTER, NODES, NULL}};

    (void)state;
    load_run(&l);
    assert_false(cluster_is_on(&l.s->cluster));
    assert_int_equal(config_note_count(l.config), 1);
    assert_string_equal(config_note(l.config, 0),
                        "accepted without meaning here: pushca.storage.redis.host, "
                        "pushca.storage.redis.sentinel.master, pushca.storage.redis.cluster.nodes, "
                        "pushca.cluster.beat-ms");
    load_fini(&l);
}

static void nodes_are_lists(void **state)
{
    struct load texts = {.sets = {CLUSTER, KNOWN, NODES, NULL}};
    struct load yaml = {.file = "pushca.storage.redis.sentinel:\n  master: m\n  nodes:\n"
                                "    - s1:26379\n    - ' s2:26380 '\n",
                        .sets = {CLUSTER, KNOWN, NULL}};
    const char *const *nodes;

    (void)state;
    load_run(&texts);
    nodes = texts.s->cluster.redis.nodes;
    assert_string_equal(nodes[0], "r1:6379");
    assert_string_equal(nodes[1], "r_2.example:6380");
    assert_string_equal(nodes[2], "[::1]:6381");
    assert_null(nodes[3]);
    load_fini(&texts);
    load_run(&yaml);
    assert_string_equal(yaml.s->cluster.redis.sentinel_master, "m");
    nodes = yaml.s->cluster.redis.sentinels;
    assert_string_equal(nodes[0], "s1:26379");
    assert_string_equal(nodes[1], "s2:26380");
    assert_null(nodes[2]);
    load_fini(&yaml);
}

static void nodes_have_a_host_and_a_port(void **state)
{
    static const char *const bad[] = {
        "r1",    "r1:",     "r1:0",  ":1",     "r1:65536",        "r1:6379x",        "r1:1,",
        ",r1:1", "r1:1,,b", "a b:1", "[::1]1", "[::1]",           "[1.2.3.4]:1",     "::1:6379",
        "r/1:1", "u@r1:1",  "r1:-1", "r1:+1",  "redis://r1:6379", "r1:6379 r2:6379",
    };
    struct buf many = {0};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        char set[100];

        snprintf(set, sizeof(set), "pushca.storage.redis.cluster.nodes=%s", bad[i]);
        REFUSED(": it has an entry that is not host:port", .sets = {set, NULL});
    }
    buf_printf(&many, "pushca.storage.redis.cluster.nodes=r:1");
    for (i = 1; i < REDIS_SEEDS_MAX; i++)
        buf_printf(&many, ",r:1");
    buf_add_char(&many, '\0');
    ACCEPTED(.sets = {many.at, NULL});
    many.len--;
    buf_add(&many, bytes_of(",r:1", 5));
    REFUSED("has more than 100 entries", .sets = {many.at, NULL});
    buf_fini(&many);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    ACCEPTED(.sets = {CLUSTER, MASTER, SENTINEL, "pushca.storage.redis.database=3", NULL});
    ACCEPTED(.sets = {CLUSTER, NODES, NULL});
    REFUSED("--set: pushca.storage.redis.sentinel.master: expected "
            "pushca.storage.redis.sentinel.nodes beside it",
            .sets = {CLUSTER, MASTER, NULL});
    REFUSED("--set: pushca.storage.redis.sentinel.nodes: expected "
            "pushca.storage.redis.sentinel.master beside it",
            .sets = {CLUSTER, SENTINEL, NULL});
    REFUSED("--set: pushca.storage.redis.cluster.nodes: expected either it or "
            "pushca.storage.redis.sentinel.*, not both",
            .sets = {CLUSTER, MASTER, SENTINEL, NODES, NULL});
    REFUSED("--set: pushca.storage.redis.database: expected 0 beside ",
            .sets = {CLUSTER, NODES, "pushca.storage.redis.database=1", NULL});
    REFUSED("--set: pushca.storage.redis.username: expected pushca.storage.redis.password",
            .sets = {CLUSTER, "pushca.storage.redis.username=joe", NULL});
    REFUSED("--set: pushca.storage.redis.sentinel.username: expected ",
            .sets = {CLUSTER, MASTER, SENTINEL, "pushca.storage.redis.sentinel.username=s", NULL});
    REFUSED("--set: pushca.storage.redis.ssl.certificate-private-key: expected ",
            .sets = {CLUSTER, "pushca.storage.redis.ssl.certificate-private-key=k.pem", NULL});
}

static void there_are_three_beats_in_a_lease_and_two_in_an_echo(void **state)
{
    (void)state;
    ACCEPTED(.sets = {CLUSTER, "pushca.cluster.beat-ms=950", NULL});
    REFUSED("default: pushca.cluster.echo-ms: expected at least twice pushca.cluster.beat-ms and "
            "100 ms",
            .sets = {CLUSTER, "pushca.cluster.beat-ms=951", NULL});
    ACCEPTED(.sets = {CLUSTER, "pushca.cluster.lease-ms=1500", NULL});
    REFUSED("--set: pushca.cluster.lease-ms: expected at least three times pushca.cluster.beat-ms",
            .sets = {CLUSTER, "pushca.cluster.lease-ms=1499", NULL});
    ACCEPTED(.sets = {CLUSTER, "pushca.cluster.beat-ms=100", "pushca.cluster.echo-ms=300",
                      "pushca.cluster.lease-ms=500", NULL});
}

static void messages_fit_through_redis(void **state)
{
    (void)state;
    ACCEPTED(.sets = {CLUSTER, KNOWN, "pushca.limits.message-bytes=16MB", NULL});
    REFUSED("--set: pushca.limits.message-bytes: expected at most 16MB in a cluster",
            .sets = {CLUSTER, KNOWN, "pushca.limits.message-bytes=16777217", NULL});
    REFUSED("--set: pushca.limits.body-bytes: expected at most 16MB in a cluster",
            .sets = {CLUSTER, KNOWN, "pushca.limits.body-bytes=16777217", NULL});
    ACCEPTED(.sets = {SECRET, "pushca.limits.message-bytes=64MB", NULL});
}

static void certificates_without_tls_are_doubted(void **state)
{
    struct load l = {
        .sets = {CLUSTER, KNOWN, "pushca.storage.redis.ssl.trust-certificate=ca.pem", NULL, NULL}};

    (void)state;
    load_run(&l);
    assert_true(load_has_note(&l, "pushca.storage.redis.ssl.enabled is false"));
    load_fini(&l);
    l.sets[5] = "pushca.storage.redis.ssl.enabled=true";
    load_run(&l);
    assert_true(redis_has_tls(&l.s->cluster.redis));
    assert_int_equal(config_note_count(l.config), 0);
    load_fini(&l);
}

static void a_url_that_others_cannot_ask_is_doubted(void **state)
{
    static const char plain[] = "pushca.pusher.internal-cluster-url does not begin with https://",
                      need[] = "server.ssl.client-auth is need";
    struct load l = {.sets = {CLUSTER, KNOWN, "server.ssl.certificate=c.pem", NULL, NULL, NULL}};

    (void)state;
    load_run(&l);
    assert_true(load_has_note(&l, plain));
    load_fini(&l);
    l.sets[5] = "pushca.pusher.internal-cluster-url=https://one:8080";
    load_run(&l);
    assert_int_equal(config_note_count(l.config), 0);
    load_fini(&l);
    l.sets[6] = "server.ssl.client-auth=need";
    l.sets[7] = "server.ssl.trust-certificate=ca.pem";
    load_run(&l);
    assert_true(load_has_note(&l, need));
    load_fini(&l);
}

static void passwords_are_not_repeated(void **state)
{
    struct buf set = {0};
    struct load l = {.sets = {NULL}};

    (void)state;
    buf_add(&set, BYTES("pushca.storage.redis.password="));
    while (set.len < 1100)
        buf_add(&set, BYTES("hush"));
    buf_add_char(&set, '\0');
    l.sets[0] = set.at;
    load_run(&l);
    assert_null(l.config);
    assert_null(strstr(l.errors, "hush"));
    load_fini(&l);
    buf_fini(&set);
}

static char held[512];

static void on_change(void *context, const char *key, bool needs_restart)
{
    (void)context;
    assert_true(needs_restart);
    snprintf(held + strlen(held), sizeof(held) - strlen(held), "%s ", key);
}

static void a_reload_changes_nothing_of_it(void **state)
{
    struct load a = {.sets = {CLUSTER, KNOWN, NODES, "pushca.storage.redis.password=first", NULL}};
    struct load b = {.sets = {SECRET, KNOWN, MASTER, SENTINEL, "pushca.cluster.lease-ms=5000",
                              "pushca.storage.redis.password=second", NULL}};

    (void)state;
    load_run(&a);
    load_run(&b);
    config_inherit(b.config, a.config, on_change, NULL);
    assert_string_equal(held, "pushca.pusher.deploy-mode pushca.storage.redis.password "
                              "pushca.storage.redis.sentinel.nodes "
                              "pushca.storage.redis.sentinel.master "
                              "pushca.storage.redis.cluster.nodes pushca.cluster.lease-ms ");
    load_fini(&a);
    assert_true(cluster_is_on(&b.s->cluster));
    assert_string_equal(b.s->cluster.redis.password, "first");
    assert_null(b.s->cluster.redis.sentinels);
    assert_null(b.s->cluster.redis.sentinel_master);
    assert_string_equal(b.s->cluster.redis.nodes[2], "[::1]:6381");
    assert_null(b.s->cluster.redis.nodes[3]);
    assert_int_equal(b.s->cluster.lease_ms, 3000);
    load_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_is_one),
        cmocka_unit_test(it_says_what_is_missing),
        cmocka_unit_test(an_address_that_is_each_ones_own_is_said),
        cmocka_unit_test(it_needs_the_secret),
        cmocka_unit_test(standalone_has_no_use_for_it),
        cmocka_unit_test(nodes_are_lists),
        cmocka_unit_test(nodes_have_a_host_and_a_port),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(there_are_three_beats_in_a_lease_and_two_in_an_echo),
        cmocka_unit_test(messages_fit_through_redis),
        cmocka_unit_test(certificates_without_tls_are_doubted),
        cmocka_unit_test(a_url_that_others_cannot_ask_is_doubted),
        cmocka_unit_test(passwords_are_not_repeated),
        cmocka_unit_test(a_reload_changes_nothing_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
