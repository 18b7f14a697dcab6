#include "app/config_defaults.h"

#include "unit/app/load.h"

static const int64_t MIB = 1048576;

static struct settings filled(struct settings s, uint32_t files, uint32_t cores, int64_t memory)
{
    struct config_machine m = {files, cores, memory};

    s.instance_id = "node";
    s.net.queue_bytes = (size_t)MIB;
    config_defaults_fill(&s, &m, NULL);
    return s;
}

static void sockets_leave_a_reserve(void **state)
{
    static const struct {
        uint32_t files, sockets, http;
    } table[] = {
        {1048576, 891290, 78572},
        {20000, 17000, 1429},
        {2560, 2176, 121},
        {2580, 2193, 122},
        {1024, 640, 121},
        {512, 256, 57},
        {511, 256, 56},
        {256, 128, 32},
        {100, 50, 32},
        {1, 1, 32},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        struct settings s = filled((struct settings){0}, table[i].files, 2, 0);

        assert_int_equal(s.sockets, table[i].sockets);
        assert_int_equal(s.http_conns, table[i].http);
        assert_int_equal(s.handshakes, table[i].http);
    }
}

/* Up to the largest number of shards, what is opened stays under the file limit. */
static void everything_fits_under_the_file_limit(void **state)
{
    uint32_t shards, files;

    (void)state;
    for (shards = 1; shards <= 64; shards++)
        for (files = 1024; files <= 1048576; files *= 2) {
            struct settings s = filled((struct settings){.shards = shards}, files, 1, 0);
            uint32_t all = s.sockets + s.http_conns + s.handshakes + config_own_files(&s);

            assert_int_equal(s.shards, shards);
            assert_true(config_own_files(&s) >= 7 * shards + 32);
            if (s.http_conns > 32)
                assert_true(all <= files);
        }
}

/* What is given to sockets is taken from the others, down to their least. */
static void a_given_number_of_sockets_leaves_less(void **state)
{
    static const struct {
        uint32_t sockets, others;
    } table[] = {{10000, 1429}, {17000, 1429}, {17001, 1428},
                 {18000, 929},  {19795, 32},   {19999, 32}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        struct settings given = {.sockets = table[i].sockets};
        struct settings s = filled(given, 20000, 2, 0);

        assert_int_equal(s.http_conns, table[i].others);
        assert_int_equal(s.handshakes, table[i].others);
    }
}

static void given_values_stay(void **state)
{
    struct settings s = filled((struct settings){.shards = 3,
                                                 .sockets = 500,
                                                 .http_conns = 7,
                                                 .handshakes = 8,
                                                 .memory_bytes = 99,
                                                 .net.soft_queue_bytes = 5},
                               1024, 8, 1000 * MIB);

    (void)state;
    assert_int_equal(s.shards, 3);
    assert_int_equal(s.sockets, 500);
    assert_int_equal(s.http_conns, 7);
    assert_int_equal(s.handshakes, 8);
    assert_int_equal(s.memory_bytes, 99);
    assert_int_equal(s.net.soft_queue_bytes, 5);
    assert_string_equal(s.instance_id, "node");
}

static void memory_is_three_quarters_but_64_mib(void **state)
{
    struct settings none = {0};

    (void)state;
    assert_int_equal(filled(none, 1024, 1, 1000 * MIB).memory_bytes, 750 * MIB);
    assert_int_equal(filled(none, 1024, 1, 88 * MIB).memory_bytes, 66 * MIB);
    assert_int_equal(filled(none, 1024, 1, 80 * MIB).memory_bytes, 64 * MIB);
    assert_int_equal(filled(none, 1024, 1, 0).memory_bytes, 64 * MIB);
    assert_int_equal(filled(none, 1024, 5, 0).shards, 5);
}

static void count(void *context, const char *what)
{
    (void)what;
    ++*(int *)context;
}

static int doubts_of(const struct settings *s, uint32_t files, int64_t memory)
{
    struct config_machine m = {files, 1, memory};
    int doubts = 0;

    config_doubts_check(s, &m, count, &doubts);
    return doubts;
}

static void doubts_begin_at_the_edge(void **state)
{
    struct settings s = {.shards = 1,
                         .sockets = 1000,
                         .http_conns = 100,
                         .handshakes = 50,
                         .memory_bytes = 5000,
                         .http.line_bytes = 8192,
                         .body.dimension_bytes = 256};
    uint32_t all = 1150 + config_own_files(&s);

    (void)state;
    assert_int_equal(doubts_of(&s, all, 5000), 0);
    assert_int_equal(doubts_of(&s, all - 1, 5000), 1);
    assert_int_equal(doubts_of(&s, all, 4999), 1);
    assert_int_equal(doubts_of(&s, all, 0), 0);
    s.body.dimension_bytes = 1024;
    assert_int_equal(doubts_of(&s, all, 5000), 1);
}

/* ---- TLS ---- */

static void tls_is_on_where_it_was_asked_for(void **state)
{
    static const struct {
        uint32_t both, ws;
        const char *certificate;
        bool rest_on, ws_on;
    } table[] = {
        {TLS_AUTO, TLS_AUTO, NULL, false, false}, {TLS_AUTO, TLS_AUTO, "c", true, true},
        {TLS_OFF, TLS_AUTO, "c", false, false},   {TLS_OFF, TLS_ON, "c", false, true},
        {TLS_ON, TLS_OFF, "c", true, false},      {TLS_AUTO, TLS_OFF, "c", true, false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        struct tls_settings t = {.enabled = table[i].both,
                                 .ws_enabled = table[i].ws,
                                 .certificate = table[i].certificate};

        assert_int_equal(tls_is_on_for_rest(&t), table[i].rest_on);
        assert_int_equal(tls_is_on_for_ws(&t), table[i].ws_on);
        assert_int_equal(tls_is_on(&t), table[i].rest_on || table[i].ws_on);
        t.key_store = t.certificate;
        t.certificate = NULL;
        assert_int_equal(tls_is_on_for_rest(&t), table[i].rest_on);
    }
}

static void remember(void *context, const char *key, const char *what)
{
    const char **last = context;

    assert_non_null(strstr(what, "expected"));
    assert_null(*last);
    *last = key;
}

static void tls_keys_belong_together(void **state)
{
    static const struct {
        struct tls_settings t;
        const char *wrong;
    } table[] = {
        {{.certificate = "c", .private_key = "k"}, NULL},
        {{.enabled = TLS_ON, .key_store = "s"}, NULL},
        {{.enabled = TLS_ON}, "server.ssl.enabled"},
        {{.ws_enabled = TLS_ON}, "pushca.pusher.ssl.enabled"},
        {{.certificate = "c", .key_store = "s"}, "server.ssl.key-store"},
        {{.private_key = "k"}, "server.ssl.certificate-private-key"},
        {{.trust_certificate = "c", .trust_store = "s"}, "server.ssl.trust-store"},
        {{.client_auth = TLS_CLIENT_WANT}, "server.ssl.client-auth"},
        {{.client_auth = TLS_CLIENT_NEED, .trust_store = "s"}, NULL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        struct settings s = {.tls = table[i].t};
        const char *wrong = NULL;

        config_relations_check(&s, remember, &wrong);
        if (table[i].wrong)
            assert_string_equal(wrong, table[i].wrong);
        else
            assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_leave_a_reserve),
        cmocka_unit_test(everything_fits_under_the_file_limit),
        cmocka_unit_test(a_given_number_of_sockets_leaves_less),
        cmocka_unit_test(given_values_stay),
        cmocka_unit_test(memory_is_three_quarters_but_64_mib),
        cmocka_unit_test(doubts_begin_at_the_edge),
        cmocka_unit_test(tls_is_on_where_it_was_asked_for),
        cmocka_unit_test(tls_keys_belong_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
