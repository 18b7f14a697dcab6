#include "app/config_schema.h"

#include "unit/app/load.h"

static void names_are_found_and_derived(void **state)
{
    int port = config_key_find("pushca.pusher.socket-port");

    (void)state;
    assert_string_equal(config_keys[port].name, "pushca.pusher.socket-port");
    assert_int_equal(config_key_by_environment("PUSHCA_SERVER_SOCKET_PORT"), port);
    assert_int_equal(config_key_by_environment("PUSHCA_PUSHER_SOCKET_PORT"), port);
    assert_int_equal(config_key_by_environment("PUSHCA_PUSHER_SOCKETPORT"), port);
    assert_int_equal(config_key_by_environment("pushca.pusher.socket-port"), port);
    assert_int_equal(config_key_by_environment("pushca_pusher_socket_port"), -1);
    assert_int_equal(config_key_by_environment("management.x"), -1);
    assert_int_equal(config_key_by_environment("MANAGEMENT_*"), -1);
    assert_int_equal(config_key_find("pushca.pusher.socket-por"), -1);
    assert_int_equal(config_key_find("pushca.pusher.socket-port.x"), -1);
    assert_int_equal(config_key_find(""), -1);
    assert_true(config_key_find("management.a.b") >= 0);
    assert_int_equal(config_key_find("management"), -1);
    assert_true(config_key_find("server.tomcat.threads.max") !=
                config_key_find("server.tomcat.threads.other"));
    assert_int_equal(config_key_above("pushca.pusher.socket-port.x.y"), port);
    assert_int_equal(config_key_above("pushca.pusher.x"), -1);
    assert_true(config_name_is_section("pushca"));
    assert_true(config_name_is_section("management"));
    assert_false(config_name_is_section("pushca.pusher.socket-port"));
    assert_false(config_name_is_section("push"));
    assert_false(config_name_is_section(""));
}

static void no_variable_means_two_keys(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < config_key_count; i++) {
        struct buf name = {0};

        if (config_keys[i].type == CONFIG_ANY)
            continue;
        config_key_environment(&config_keys[i], &name);
        buf_add_char(&name, '\0');
        assert_int_equal(config_key_by_environment(name.at), i);
        buf_fini(&name);
    }
}

static void expect_near(const char *name, const char *wanted)
{
    struct buf found = {0};
    bool did = config_suggest_key(name, &found);

    buf_add_char(&found, '\0');
    assert_int_equal(did, wanted != NULL);
    assert_string_equal(found.at, wanted ? wanted : "");
    buf_fini(&found);
}

static void suggestions_are_near(void **state)
{
    char long_name[1000];

    (void)state;
    expect_near("server.prot", "server.port");
    expect_near("Server.Port", "server.port");
    expect_near("pushca.pusher.sockets-port", "pushca.pusher.socket-port");
    expect_near("pushca.limits.stall", "pushca.limits.stall-ms");
    expect_near("pushca.stall-ms", "pushca.limits.stall-ms");
    expect_near("pushca.pool-size", NULL); /* three keys end so */
    expect_near("spring.datasource.url", NULL);
    expect_near("x", NULL);
    expect_near("", NULL);
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    expect_near(long_name, NULL);
}

static char *read_file(const char *name)
{
    FILE *f = fopen(name, "r");
    char *text = calloc(1, 65536);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

/* The rows of the tables in docs/configuration.md are the lines of config_describe. */
static void the_documentation_has_every_key(void **state)
{
    struct buf wanted = {0}, rows = {0};
    char *text = read_file("docs/configuration.md"), *line, *next;

    (void)state;
    for (line = text; *line; line = next) {
        next = strchr(line, '\n');
        assert_non_null(next);
        next++;
        if (strncmp(line, "| `", 3) == 0)
            buf_add(&rows, bytes_of(line, (size_t)(next - line)));
    }
    buf_add_char(&rows, '\0');
    config_describe(&wanted);
    buf_add_char(&wanted, '\0');
    assert_string_equal(rows.at, wanted.at);
    free(text);
    buf_fini(&rows);
    buf_fini(&wanted);
}

/* What has a number and is one: all of pushca.limits, bytes, times, and two that count. */
static bool is_limit(const struct config_key *k)
{
    return strncmp(k->name, "pushca.limits.", 14) == 0 || k->type == CONFIG_SIZE ||
           k->type == CONFIG_MS || k->type == CONFIG_SECONDS ||
           strcmp(k->name, "pushca.pusher.socket-pool-size") == 0 ||
           strcmp(k->name, "pushca.cluster.cache-entries") == 0;
}

static void the_threat_model_names_every_limit(void **state)
{
    char *text = read_file("docs/threat-model.md"), name[128];
    int i, unnamed = 0;

    (void)state;
    for (i = 0; i < config_key_count; i++) {
        snprintf(name, sizeof(name), "`%s`", config_keys[i].name);
        if (!is_limit(&config_keys[i]) || strstr(text, name))
            continue;
        print_error("docs/threat-model.md does not name %s\n", name);
        unnamed++;
    }
    assert_int_equal(unnamed, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_and_derived),
        cmocka_unit_test(no_variable_means_two_keys),
        cmocka_unit_test(suggestions_are_near),
        cmocka_unit_test(the_documentation_has_every_key),
        cmocka_unit_test(the_threat_model_names_every_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
