#include "unit/cluster/redis_answer.h"

/* A folder with certificates: ca.pem signs server.pem (localhost), client.pem; other-ca.pem is
   somebody else's. */
static char folder[64], ca[96], other_ca[96], own[96], key[96], server_own[96], server_key[96];
static struct server server;
static struct site site;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("%s", command);
}

static void make_authority(const char *name)
{
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
        "/CN=%s -keyout %s/%s.key -out %s/%s.pem 2>/dev/null",
        name, folder, name, folder, name);
}

static void make_certificate(const char *name, const char *names)
{
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%s -keyout "
        "%s/%s.key -out %s/%s.csr 2>/dev/null",
        name, folder, name, folder, name);
    run("printf 'subjectAltName=%s' > %s/%s.ext", names, folder, name);
    run("openssl x509 -req -days 2 -in %s/%s.csr -CA %s/ca.pem -CAkey %s/ca.key -CAcreateserial "
        "-extfile %s/%s.ext -out %s/%s.pem 2>/dev/null",
        folder, name, folder, folder, folder, name, folder, name);
}

static void path_to(char out[96], const char *name)
{
    snprintf(out, 96, "%s/%s", folder, name);
}

static int begin_all(void **state)
{
    (void)state;
    if (!server_is_installed() || system("openssl version >/dev/null 2>&1") != 0) {
        print_message("redis-server or openssl is not installed: SKIPPED\n");
        exit(0);
    }
    snprintf(folder, sizeof(folder), "/tmp/pushca-redis-XXXXXX");
    assert_non_null(mkdtemp(folder));
    make_authority("ca");
    make_authority("other-ca");
    make_certificate("server", "DNS:localhost");
    make_certificate("client", "DNS:client");
    path_to(ca, "ca.pem");
    path_to(other_ca, "other-ca.pem");
    path_to(own, "client.pem");
    path_to(key, "client.key");
    path_to(server_own, "server.pem");
    path_to(server_key, "server.key");
    return 0;
}

static int end_all(void **state)
{
    (void)state;
    run("rm -rf '%s'", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (site.redis)
        site_close(&site);
    server_end(&server);
    return 0;
}

static void begin(const char *asks_clients)
{
    static char port[16];

    server = (struct server){.port = port_free(), .bus = port_free()};
    snprintf(port, sizeof(port), "%u", (unsigned)server.port);
    const char *args[] = {"--port",
                          "0",
                          "--tls-port",
                          port,
                          "--tls-cert-file",
                          server_own,
                          "--tls-key-file",
                          server_key,
                          "--tls-ca-cert-file",
                          ca,
                          "--tls-auth-clients",
                          asks_clients,
                          "--requirepass",
                          "sesame"};
    memcpy(server.args, args, sizeof(args));
    server_start(&server);
    site_prepare(&site);
    site.set.host = "localhost";
    site.set.port = server.port;
    site.set.password = "sesame";
    site.set.tls_enabled = "true";
    site.set.tls_ca = ca;
}

static void all_goes_through_tls(void **state)
{
    enum { LARGE = 5 * 1024 * 1024 };
    char *large = calloc(1, LARGE);
    struct answer a = {0}, small[200] = {0};

    (void)state;
    begin("no");
    site_open(&site);
    redis_subscribe(site.redis, BYTES("c"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    redis_command(site.redis,
                  (struct bytes[]){BYTES("SET"), BYTES("large"), bytes_of(large, LARGE)}, 3, 1,
                  answer_done, &a);
    for (int i = 0; i < 200; i++)
        site_give(&site, &small[i], "ECHO %d", i);
    SITE_AWAIT(&site, small[199].count);
    assert_string_equal(a.text, "OK");
    for (int i = 0; i < 200; i++)
        assert_int_equal(strtol(small[i].text, NULL, 10), i);
    SITE_ASK(&site, &a, "GET large");
    assert_int_equal(a.len, LARGE);
    redis_publish(site.redis, BYTES("c"), bytes_of(large, LARGE), NULL, NULL);
    SITE_AWAIT(&site, site.messages == 1 && site.bytes == LARGE);
    free(large);
    server_kill(&server);
    SITE_AWAIT(&site, !site.up && !site.subscribed);
    server_start(&server);
    SITE_AWAIT(&site, site.up && site.subscribed);
}

static void a_client_shows_its_certificate(void **state)
{
    struct answer a;

    (void)state;
    begin("yes");
    site_open(&site);
    SITE_ASK(&site, &a, "GET k"); /* without one: not let in */
    assert_int_equal(a.type, 0);
    site_close(&site);

    site_prepare(&site);
    site.set.host = "localhost";
    site.set.port = server.port;
    site.set.password = "sesame";
    site.set.tls_enabled = "true";
    site.set.tls_ca = ca;
    site.set.tls_certificate = own;
    site.set.tls_key = key;
    site_open(&site);
    SITE_AWAIT(&site, site.up);
}

/* What the first command ends with: 0, null; else it was let in. */
static int tried(void)
{
    struct answer a;

    site_open(&site);
    SITE_ASK(&site, &a, "GET k");
    return a.type;
}

static void a_strangers_signature_is_refused(void **state)
{
    (void)state;
    begin("no");
    site.set.tls_ca = other_ca;
    assert_int_equal(tried(), 0);
    assert_false(site.up);
}

static void another_hosts_certificate_is_refused(void **state)
{
    (void)state;
    begin("no");
    site.set.host = "127.0.0.1"; /* its certificate is for localhost */
    assert_int_equal(tried(), 0);
}

static void any_host_will_do_if_only_the_chain_counts(void **state)
{
    (void)state;
    begin("no");
    site.set.host = "127.0.0.1";
    site.set.tls_verify = "ca";
    assert_int_equal(tried(), REDIS_REPLY_NIL);
    site_close(&site);
    site_prepare(&site);
    site.set.port = server.port;
    site.set.password = "sesame";
    site.set.tls_enabled = "true";
    site.set.tls_verify = "ca";
    site.set.tls_ca = other_ca;
    assert_int_equal(tried(), 0);
}

static void a_plain_server_is_not_spoken_to(void **state)
{
    (void)state;
    server = (struct server){0};
    server_start(&server);
    site_prepare(&site);
    site.set.host = "localhost";
    site.set.port = server.port;
    site.set.tls_enabled = "true";
    site.set.tls_ca = ca;
    site.set.answer_ms = site.set.connect_ms = 500;
    assert_int_equal(tried(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_goes_through_tls, end),
        cmocka_unit_test_teardown(a_client_shows_its_certificate, end),
        cmocka_unit_test_teardown(a_strangers_signature_is_refused, end),
        cmocka_unit_test_teardown(another_hosts_certificate_is_refused, end),
        cmocka_unit_test_teardown(any_host_will_do_if_only_the_chain_counts, end),
        cmocka_unit_test_teardown(a_plain_server_is_not_spoken_to, end),
    };

    return cmocka_run_group_tests(tests, begin_all, end_all);
}
