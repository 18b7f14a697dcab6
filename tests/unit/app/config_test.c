#include "unit/app/load.h"

#define KEY32 "0123456789abcdef0123456789abcdef"

static void each_source_wins_over_the_one_behind(void **state)
{
    struct load l = {.file = "pushca.pusher.shards: 3\npushca.drain-ms: 30\nserver.port: 3\n"
                             "logging.format: json\n",
                     .env = {"PUSHCA_PUSHER_SHARDS=4", "PUSHCA_DRAIN_MS=40", NULL},
                     .sets = {"pushca.pusher.shards=5", NULL}};

    (void)state;
    load_run(&l);
    assert_int_equal(l.s->shards, 5);
    assert_int_equal(l.s->drain_ms, 40);
    assert_int_equal(l.s->rest_port, 3);
    assert_int_equal(l.s->ws_port, 8883);
    assert_int_equal(l.s->log_format, LOG_JSON);
    load_fini(&l);
}

static void only_the_value_that_wins_is_checked(void **state)
{
    (void)state;
    ACCEPTED(.file = "pushca.coordinator.secret-key: <yours>\nserver.port: x\n",
             .env = {"PUSHCA_COORDINATOR_SECRET_KEY=" KEY32, NULL},
             .sets = {"server.port=1", NULL});
    REFUSED("--set: server.port: ", .file = "server.port: 1\n", .sets = {"server.port=x", NULL});
    REFUSED("environment SERVER_PORT: server.port: ", .file = "server.port: 1\n",
            .env = {"SERVER_PORT=x", NULL});
}

static void the_last_set_counts(void **state)
{
    struct load l = {.sets = {"server.port=1", "server.port=2", NULL}};

    (void)state;
    load_run(&l);
    assert_int_equal(l.s->rest_port, 2);
    load_fini(&l);
}

static void an_empty_variable_is_none(void **state)
{
    struct load l = {.env = {"SERVER_PORT=", "PUSHCA_NONSENSE=", "PUSHCA_LICENSE_KEY=", NULL},
                     .sets = {SECRET, NULL}};

    (void)state;
    load_run(&l);
    assert_int_equal(l.s->rest_port, 8080);
    assert_int_equal(config_note_count(l.config), 0);
    load_fini(&l);
}

static void two_variables_of_one_key_must_agree(void **state)
{
    (void)state;
    ACCEPTED(.env = {"PUSHCA_SERVER_SOCKET_PORT=1", "PUSHCA_PUSHER_SOCKET_PORT=1", NULL});
    ACCEPTED(.env = {"pushca.pusher.socket-port=1", "PUSHCA_PUSHER_SOCKET_PORT=1", NULL});
    REFUSED("environment PUSHCA_PUSHER_SOCKET_PORT: pushca.pusher.socket-port: expected the same "
            "value as in the environment PUSHCA_SERVER_SOCKET_PORT\n",
            .env = {"PUSHCA_SERVER_SOCKET_PORT=1", "PUSHCA_PUSHER_SOCKET_PORT=2", NULL});
}

static void the_file_may_be_named_by_the_environment(void **state)
{
    static const char *const forms[] = {"spring.config.location=%s", "SPRING_CONFIG_LOCATION=%s",
                                        "spring.config.location=file:%s"};
    char name[] = "/tmp/pushca-config-XXXXXX", variable[128];
    int fd = mkstemp(name);
    size_t i;

    (void)state;
    assert_int_equal(write(fd, "server.port: 77\n", 16), 16);
    close(fd);
    for (i = 0; i < COUNT(forms); i++) {
        struct load l = {.env = {variable, NULL}};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(variable, sizeof(variable), forms[i], name);
#pragma GCC diagnostic pop
        load_run(&l);
        assert_non_null(l.config);
        assert_int_equal(l.s->rest_port, 77);
        assert_string_equal(config_file(l.config), name);
        load_fini(&l);
    }
    snprintf(variable, sizeof(variable), "spring.config.location=%s", name);
    {
        struct load l = {.file = "server.port: 78\n", .env = {variable, NULL}};

        load_run(&l);
        assert_int_equal(l.s->rest_port, 78);
        load_fini(&l);
    }
    unlink(name);
    REFUSED("expected a readable YAML file: No such file", .env = {variable, NULL});
    REFUSED("expected a readable YAML file: Is a directory",
            .env = {"spring.config.location=/tmp", NULL});
}

static void no_file_is_no_error(void **state)
{
    struct load l = {.sets = {SECRET, NULL}};

    (void)state;
    load_run(&l);
    assert_null(config_file(l.config));
    assert_int_equal(config_note_count(l.config), 0);
    load_fini(&l);
}

static char *long_comment(size_t len)
{
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, '#', len);
    text[len] = '\0';
    return text;
}

static void a_file_may_have_one_mebibyte(void **state)
{
    char *text = long_comment(1048577);

    (void)state;
    REFUSED("FILE: expected a readable YAML file: it is larger than 1 MiB", .file = text);
    text[1048576] = '\0';
    ACCEPTED(.file = text);
    text[1048575] = '\0';
    ACCEPTED(.file = text);
    free(text);
}

static void every_wrong_key_is_reported_at_once(void **state)
{
    struct load l = {.file = "server:\n"
                             "  port: 65536\n"
                             "pushca:\n"
                             "  pusher:\n"
                             "    socket-prot: 1\n"
                             "    shards: many\n"
                             "  limits.stall-ms: 99\n",
                     .env = {"LOGGING_FORMAT=xml", NULL},
                     .sets = {"pushca.nothing.such=1", "nonsense", NULL}};
    static const char *const lines[] = {
        "FILE:2: server.port: expected a whole number from 0 to 65535, found \"65536\"\n",
        "FILE:5: pushca.pusher.socket-prot: unknown key; did you mean pushca.pusher.socket-port?\n",
        "FILE:6: pushca.pusher.shards: expected a whole number from 1 to 64, found \"many\"\n",
        ("FILE:7: pushca.limits.stall-ms: expected milliseconds (or 500ms, 10s, 5m) from 100 to "
         "86400000, found \"99\"\n"),
        "environment LOGGING_FORMAT: logging.format: expected text or json, found \"xml\"\n",
        "--set: pushca.nothing.such: unknown key; expected one that --help-config lists\n",
        "--set nonsense: expected KEY=VALUE\n",
    };
    size_t i, total = 0;

    (void)state;
    load_run(&l);
    assert_null(l.config);
    for (i = 0; i < COUNT(lines); i++) {
        if (!strstr(l.errors, lines[i]))
            fail_msg("expected: %s\nfound: %s", lines[i], l.errors);
        total += strlen(lines[i]);
    }
    assert_int_equal(strlen(l.errors), total);
    load_fini(&l);
}

static void many_wrong_keys_are_cut(void **state)
{
    struct buf text = {0};
    int i;

    (void)state;
    for (i = 0; i < 500; i++)
        buf_printf(&text, "pushca.wrong-%d: 1\n", i);
    buf_add_char(&text, '\0');
    REFUSED("FILE:100: pushca.wrong-99: unknown key", .file = text.at);
    REFUSED("500 keys and lines are wrong, not all are shown\n", .file = text.at);
    buf_fini(&text);
}

static void sections_and_values_are_told_apart(void **state)
{
    (void)state;
    ACCEPTED(.file = "pushca:\nserver:\n");
    ACCEPTED(.file = "pushca: {}\nserver: {tomcat: ~}\n");
    REFUSED("FILE:1: pushca: expected keys below it, found a value", .file = "pushca: 1\n");
    REFUSED("FILE:2: pushca.pusher: expected keys below it, found a value",
            .file = "pushca:\n  pusher: [1]\n");
    REFUSED("FILE:3: pushca.drain-ms.value: pushca.drain-ms has a value, expected no keys below it",
            .file = "pushca:\n  drain-ms:\n    value: 1\n");
    REFUSED("FILE:1: pushca.drain-ms: expected milliseconds (or 500ms, 10s, 5m) from 0 to 600000, "
            "found a section",
            .file = "pushca.drain-ms: {}\n");
    REFUSED("found a list\n", .file = "pushca.drain-ms: [1]\n");
    REFUSED("found nothing\n", .file = "pushca.drain-ms:\n");
    REFUSED("found nothing\n", .file = "pushca.drain-ms: ''\n");
    REFUSED("found nothing\n", .sets = {"pushca.drain-ms=", NULL});
}

static void near_misses_are_named(void **state)
{
    (void)state;
    REFUSED("did you mean pushca.pusher.socket-port?",
            .sets = {"pushca.pusher.socketPort=1", NULL});
    REFUSED("did you mean pushca.pusher.socket-port?", .sets = {"pushca.socket-port=1", NULL});
    REFUSED("did you mean pushca.coordinator.secret-key?",
            .sets = {"pushca.coordinator.secret_key=1", NULL});
    REFUSED("did you mean pushca.limits.message-bytes?",
            .sets = {"pushca.limits.mesage-byte=1", NULL});
    REFUSED("expected one that --help-config lists", .sets = {"pushca.x.y.z=1", NULL});
}

static void foreign_keys_get_one_note_each(void **state)
{
    struct load l = {.file = "spring.main.banner-mode: off\nsever.port: 1\n"
                             "server:\n  servlet: [a, {b: c}]\n",
                     .env = {"PUSHCA_SERVER_SOKET_PORT=1", "pushca_what=1", "HOME=/", NULL},
                     .sets = {SECRET, NULL}};

    (void)state;
    load_run(&l);
    assert_non_null(l.config);
    assert_int_equal(config_note_count(l.config), 5);
    assert_true(load_has_note(&l, ":1: spring.main.banner-mode has no meaning here"));
    assert_true(load_has_note(&l, ":2: sever.port has no meaning here; did you mean server.port?"));
    assert_true(load_has_note(&l, ":4: server.servlet has no meaning here"));
    assert_true(load_has_note(&l, "PUSHCA_SERVER_SOKET_PORT has no meaning here; did you mean "
                                  "PUSHCA_SERVER_SOCKET_PORT?"));
    assert_true(load_has_note(&l, "pushca_what has no meaning here"));
    load_fini(&l);
}

static void notes_are_bounded(void **state)
{
    struct buf text = {0};
    struct load l = {.sets = {SECRET, NULL}};
    int i;

    (void)state;
    for (i = 0; i < 900; i++)
        buf_printf(&text, "foreign-%d: 1\n", i);
    buf_add_char(&text, '\0');
    l.file = text.at;
    load_run(&l);
    assert_int_equal(config_note_count(l.config), 101);
    load_fini(&l);
    buf_fini(&text);
}

static void what_has_no_meaning_is_said_once(void **state)
{
    struct load l = {.file = "management.endpoint.health.show-details: always\n"
                             "management.endpoints: {a: [1, {b: 2}]}\n"
                             "server.tomcat: {threads: {max: 5, other: 1}}\n"
                             "pushca.license-key: ''\n",
                     .env = {"PUSHCA_REDIS_PORT=1", NULL},
                     .sets = {SECRET, "springdoc.x=1", NULL}};

    (void)state;
    load_run(&l);
    assert_non_null(l.config);
    assert_int_equal(config_note_count(l.config), 1);
    assert_string_equal(config_note(l.config, 0),
                        "accepted without meaning here: pushca.storage.redis.port, "
                        "pushca.license-key, server.tomcat.threads.max, "
                        "server.tomcat.threads.*, management.*, springdoc.*");
    load_fini(&l);
}

static void secrets_are_long_and_not_repeated(void **state)
{
    struct load l = {.sets = {"pushca.coordinator.secret-key=" KEY32, NULL}};

    (void)state;
    load_run(&l);
    assert_memory_equal(l.s->key.secret.at, KEY32, 32);
    assert_int_equal(l.s->key.secret.len, 32);
    assert_false(l.s->key_is_random);
    load_fini(&l);
    ACCEPTED(.sets = {"pushca.coordinator.secret-key=" KEY32 "x", NULL});
    REFUSED("expected at least 32 bytes, found 31: make one by `openssl rand -hex 32`",
            .sets = {"pushca.coordinator.secret-key=123456789abcdef0123456789abcdef", NULL});
    l = (struct load){.file = "pushca.coordinator.secret-key: hush-hush\nserver.port: no\n"};
    load_run(&l);
    assert_null(strstr(l.errors, "hush"));
    load_fini(&l);
    l = (struct load){.sets = {"server.port=no", "pushca.coordinator.secret-kay=hush-hush", NULL}};
    load_run(&l);
    assert_null(strstr(l.errors, "hush"));
    load_fini(&l);
}

static void a_random_secret_is_warned_about(void **state)
{
    struct load l = {.file = NULL};

    (void)state;
    load_run(&l);
    assert_int_equal(config_note_count(l.config), 1);
    assert_true(load_has_note(&l, "pushca.coordinator.secret-key is not given"));
    load_fini(&l);
}

static void placeholders_are_refused_by_name(void **state)
{
    (void)state;
    REFUSED("FILE:1: pushca.coordinator.secret-key: is still the placeholder",
            .file = "pushca.coordinator.secret-key: <your secret key for JWT signature>\n");
    REFUSED("${...}", .file = "pushca.coordinator.secret-key: ${SECRET:" KEY32 "}\n");
    REFUSED("FILE:1: pushca.pusher.instance-id: is still the placeholder",
            .file = "pushca.pusher.instance-id: <name>\n");
    ACCEPTED(.file = "management.x: <y>\n");
}

/* The sample file of the base specification, the placeholder of its secret filled in. */
static void the_sample_file_loads(void **state)
{
    struct config_sources from = {.file = "tests/system/data/application.yaml"};
    const char *const sets[] = {SECRET};
    struct config *config;
    struct buf errors = {0};

    (void)state;
    assert_int_equal(config_load(&from, &config, &errors), ERR_BAD);
    buf_add_char(&errors, '\0');
    assert_non_null(strstr(errors.at, "application.yaml:8: pushca.coordinator.secret-key: "));
    errors.len = 0;
    from.sets = sets;
    from.set_count = 1;
    assert_int_equal(config_load(&from, &config, &errors), ERR_OK);
    assert_int_equal(errors.len, 0);
    assert_string_equal(config_settings(config)->address, "0.0.0.0");
    assert_int_equal(config_note_count(config), 4);
    config_free(config);
    buf_fini(&errors);
}

static void origins_are_a_list(void **state)
{
    static const char *const ways[] = {
        "pushca.pusher.allowed-origins: [https://a.example, 'http://b.example:81']\n",
        ("pushca:\n  pusher:\n    allowed-origins:\n    - https://a.example\n"
         "    - http://b.example:81\n"),
        "pushca.pusher.allowed-origins: https://a.example , http://b.example:81\n",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ways); i++) {
        struct load l = {.file = ways[i]};

        load_run(&l);
        assert_non_null(l.config);
        assert_string_equal(l.s->origins[0], "https://a.example");
        assert_string_equal(l.s->origins[1], "http://b.example:81");
        assert_null(l.s->origins[2]);
        load_fini(&l);
    }
    ACCEPTED(.file = "pushca.pusher.allowed-origins: '*'\n");
    ACCEPTED(.sets = {"pushca.pusher.allowed-origins=null", NULL});
    REFUSED("without a scheme", .sets = {"pushca.pusher.allowed-origins=a.example", NULL});
    REFUSED("without a scheme", .sets = {"pushca.pusher.allowed-origins=*,https://a", NULL});
    REFUSED("'/' after its host", .sets = {"pushca.pusher.allowed-origins=https://a/", NULL});
    REFUSED("without a scheme", .sets = {"pushca.pusher.allowed-origins=https://a,", NULL});
    REFUSED("found nothing", .file = "pushca.pusher.allowed-origins: []\n");
    REFUSED("found a section", .file = "pushca.pusher.allowed-origins: [{a: b}]\n");
}

static void units_are_understood(void **state)
{
    static const struct {
        const char *set;
        int64_t is;
    } good[] = {
        {"pushca.limits.stall-ms=500", 500},
        {"pushca.limits.stall-ms=500ms", 500},
        {"pushca.limits.stall-ms=10s", 10000},
        {"pushca.limits.stall-ms=5m", 300000},
        {"pushca.limits.stall-ms=2h", 7200000},
        {"pushca.limits.stall-ms=1d", 86400000},
        {"pushca.limits.body-bytes=77", 77},
        {"pushca.limits.body-bytes=77B", 77},
        {"pushca.limits.body-bytes=64KB", 65536},
        {"pushca.limits.body-bytes=1MB", 1048576},
        {"pushca.limits.body-bytes=8MiB", 8388608},
        {"pushca.limits.body-bytes=1KiB", 1024},
        {"pushca.limits.body-bytes=1GB", 1 << 30},
        {"pushca.limits.body-bytes=1GiB", 1 << 30},
        {"pushca.coordinator.token-life-s=90", 90},
        {"pushca.coordinator.token-life-s=90s", 90},
        {"pushca.coordinator.token-life-s=30m", 1800},
        {"pushca.coordinator.token-life-s=2000ms", 2},
    };
    static const char *const bad[] = {
        "pushca.limits.stall-ms=10 s",
        "pushca.limits.stall-ms=10S",
        "pushca.limits.stall-ms=s",
        "pushca.limits.stall-ms=1.5s",
        "pushca.limits.stall-ms=-500",
        "pushca.limits.stall-ms=+500",
        "pushca.limits.stall-ms=0500",
        "pushca.limits.stall-ms=0x500",
        "pushca.limits.stall-ms=1_000",
        "pushca.limits.stall-ms=500 ",
        "pushca.limits.stall-ms= 500",
        "pushca.limits.stall-ms=1KB",
        "pushca.limits.body-bytes=1kb",
        "pushca.limits.body-bytes=1M",
        "pushca.limits.body-bytes=1s",
        "pushca.limits.body-bytes=9223372036854775808",
        "server.port=80s",
        "server.port=1KB",
        "pushca.limits.memory-bytes=9007199254740993KB",
        "server.port=080",
        "pushca.limits.stall-ms=18446744073709551716",
        "pushca.coordinator.token-life-s=1500ms",
        "pushca.limits.stall-ms=213503982334601d",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        struct load l = {.sets = {good[i].set, NULL}};
        int64_t is;

        load_run(&l);
        if (!l.config)
            fail_msg("%s: %s", good[i].set, l.errors);
        is = strstr(good[i].set, "stall")  ? l.s->net.stall_ms
             : strstr(good[i].set, "body") ? (int64_t)l.s->body_bytes
                                           : l.s->token_life_s;
        assert_int_equal(is, good[i].is);
        load_fini(&l);
    }
    for (i = 0; i < COUNT(bad); i++)
        REFUSED("expected", .sets = {bad[i], NULL});
}

static void identifiers_are_short_and_plain(void **state)
{
    char text[128] = "pushca.pusher.instance-id=";
    size_t name = strlen(text), len;

    (void)state;
    for (len = 62; len <= 64; len++) {
        memset(text + name, 'a', len);
        text[name + len] = '\0';
        if (len <= 63)
            ACCEPTED(.sets = {text, NULL});
        else
            REFUSED("1 to 63 letters, digits or '-'", .sets = {text, NULL});
    }
    REFUSED("expected", .sets = {"pushca.pusher.instance-id=a.b", NULL});
    REFUSED("expected", .sets = {"pushca.pusher.instance-id=a b", NULL});
}

/* key=one one one ..., count times, is taken up to the limit. */
static void expect_bound(const char *key, const char *one, int limit, const char *words)
{
    int count;

    for (count = limit - 1; count <= limit + 1; count++) {
        struct buf text = {0};
        int i;

        buf_printf(&text, "%s", key);
        for (i = 0; i < count; i++)
            buf_add(&text, bytes_text(one));
        if (!strchr(key, '='))
            buf_add(&text, BYTES("=1"));
        if (strchr(one, ','))
            text.len--;
        buf_add_char(&text, '\0');
        if (count <= limit)
            ACCEPTED(.sets = {text.at, NULL});
        else
            REFUSED(words, .sets = {text.at, NULL});
        buf_fini(&text);
    }
}

static void texts_and_lists_are_bounded(void **state)
{
    (void)state;
    expect_bound("pushca.coordinator.secret-key=", "s", 4096, "expected at most 4096 bytes");
    expect_bound("pushca.storage.redis.host=", "h", 255, "expected a text of 1 to 255 bytes");
    expect_bound("pushca.pusher.allowed-origins=", "http://a,", 1000, "more than 1000 entries");
    expect_bound("", "k", 255, "expected a key of at most 255 bytes");
}

static void values_that_contradict_are_refused(void **state)
{
    struct load l = {.sets = {"pushca.limits.queue-bytes=4096", NULL}};

    (void)state;
    load_run(&l); /* its default follows */
    assert_int_equal(l.s->net.soft_queue_bytes, 4096);
    load_fini(&l);
    ACCEPTED(.sets = {"pushca.limits.queue-bytes=4096", "pushca.limits.soft-queue-bytes=4096",
                      NULL});
    REFUSED(
        "--set: pushca.limits.soft-queue-bytes: expected no more than "
        "pushca.limits.queue-bytes\n",
        .sets = {"pushca.limits.queue-bytes=4096", "pushca.limits.soft-queue-bytes=4097", NULL});
    REFUSED("default: pushca.pusher.socket-port: expected another port than server.port\n",
            .sets = {"server.port=8883", NULL});
    ACCEPTED(.sets = {"server.port=0", "pushca.pusher.socket-port=0", NULL});
}

static void doubts_are_noted(void **state)
{
    struct load l = {.sets = {SECRET, "pushca.pusher.socket-pool-size=1048576",
                              "pushca.limits.memory-bytes=1000TB",
                              "pushca.limits.dimension-bytes=4096", NULL}};

    (void)state;
    load_run(&l);
    assert_int_equal(l.s->sockets, 1048576);
    assert_true(load_has_note(&l, "the file limit is "));
    assert_true(load_has_note(&l, "is more than this machine or cgroup has"));
    assert_true(load_has_note(&l, "pushca.limits.request-line-bytes is too short"));
    load_fini(&l);
}

static void sets_are_pairs(void **state)
{
    (void)state;
    REFUSED("--set : expected KEY=VALUE", .sets = {"", NULL});
    REFUSED("--set : expected KEY=VALUE, found no key", .sets = {"=1", NULL});
    REFUSED("without control characters", .sets = {"a\nb=1", NULL});
    ACCEPTED(.sets = {" server.port =1", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_source_wins_over_the_one_behind),
        cmocka_unit_test(only_the_value_that_wins_is_checked),
        cmocka_unit_test(the_last_set_counts),
        cmocka_unit_test(an_empty_variable_is_none),
        cmocka_unit_test(two_variables_of_one_key_must_agree),
        cmocka_unit_test(the_file_may_be_named_by_the_environment),
        cmocka_unit_test(no_file_is_no_error),
        cmocka_unit_test(a_file_may_have_one_mebibyte),
        cmocka_unit_test(every_wrong_key_is_reported_at_once),
        cmocka_unit_test(many_wrong_keys_are_cut),
        cmocka_unit_test(sections_and_values_are_told_apart),
        cmocka_unit_test(near_misses_are_named),
        cmocka_unit_test(foreign_keys_get_one_note_each),
        cmocka_unit_test(notes_are_bounded),
        cmocka_unit_test(what_has_no_meaning_is_said_once),
        cmocka_unit_test(secrets_are_long_and_not_repeated),
        cmocka_unit_test(a_random_secret_is_warned_about),
        cmocka_unit_test(placeholders_are_refused_by_name),
        cmocka_unit_test(the_sample_file_loads),
        cmocka_unit_test(origins_are_a_list),
        cmocka_unit_test(units_are_understood),
        cmocka_unit_test(identifiers_are_short_and_plain),
        cmocka_unit_test(texts_and_lists_are_bounded),
        cmocka_unit_test(values_that_contradict_are_refused),
        cmocka_unit_test(doubts_are_noted),
        cmocka_unit_test(sets_are_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
