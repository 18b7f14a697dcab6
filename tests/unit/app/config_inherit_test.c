#include "unit/app/load.h"

static char changed[512], held[512];

static void on_change(void *context, const char *key, bool needs_restart)
{
    char *list = needs_restart ? held : changed;

    assert_ptr_equal(context, &changed);
    snprintf(list + strlen(list), sizeof(changed) - strlen(list), "%s ", key);
}

/* The second takes over from the first. */
static void inherit(struct load *a, struct load *b)
{
    changed[0] = '\0';
    held[0] = '\0';
    load_run(a);
    load_run(b);
    assert_non_null(a->config);
    assert_non_null(b->config);
    config_inherit(b->config, a->config, on_change, &changed);
}

static void nothing_written_anew_is_nothing_changed(void **state)
{
    struct load a = {.sets = {NULL}}, b = {.sets = {NULL}};

    (void)state;
    inherit(&a, &b);
    assert_string_equal(changed, "");
    assert_string_equal(held, "");
    /* what chance made stays */
    assert_string_equal(a.s->instance_id, b.s->instance_id);
    assert_true(b.s->key_is_random);
    assert_memory_equal(a.s->key.secret.at, b.s->key.secret.at, 32);
    assert_ptr_not_equal(a.s->key.secret.at, b.s->key.secret.at);
    load_fini(&a);
    assert_int_equal(strlen(b.s->instance_id), strlen("node-") + 12); /* a copy */
    load_fini(&b);
}

static void what_may_change_changes(void **state)
{
    struct load a = {.sets = {"pushca.pusher.allowed-origins=http://a,http://b",
                              "pushca.limits.body-bytes=5", "pushca.drain-ms=7"}};
    struct load b = {.sets = {"pushca.pusher.allowed-origins=http://a",
                              "pushca.limits.body-bytes=6", "pushca.drain-ms=7ms",
                              "pushca.pusher.internal-advertised-url=ws://h/"}};

    (void)state;
    inherit(&a, &b);
    assert_string_equal(changed, "pushca.pusher.internal-advertised-url "
                                 "pushca.pusher.allowed-origins pushca.limits.body-bytes ");
    assert_string_equal(held, "");
    assert_int_equal(b.s->body_bytes, 6);
    assert_null(b.s->origins[1]);
    load_fini(&a);
    load_fini(&b);
}

static void what_needs_a_restart_stays(void **state)
{
    struct load a = {.sets = {SECRET, "server.port=1", "pushca.pusher.instance-id=one",
                              "pushca.limits.http-connections=99", "pushca.limits.handshakes=98"}};
    struct load b = {.sets = {"server.address=::1", "server.port=3", "pushca.pusher.socket-port=4",
                              "pushca.pusher.shards=64", "pushca.pusher.scheduling=normal",
                              "pushca.coordinator.secret-key=another-one-of-32-bytes-or-even-more",
                              "pushca.pusher.instance-id=two", "server.ssl.enabled=false",
                              "pushca.pusher.ssl.enabled=false",
                              "pushca.limits.http-connections=99", "pushca.limits.handshakes=98"}};

    (void)state;
    inherit(&a, &b);
    assert_string_equal(changed, "");
    assert_string_equal(held, "server.address server.port pushca.pusher.socket-port "
                              "server.ssl.enabled pushca.pusher.ssl.enabled "
                              "pushca.coordinator.secret-key pushca.pusher.instance-id "
                              "pushca.pusher.shards pushca.pusher.scheduling ");
    assert_string_equal(b.s->address, "127.0.0.1");
    assert_int_equal(b.s->rest_port, 1);
    assert_int_equal(b.s->ws_port, 8883);
    assert_int_equal(b.s->shards, a.s->shards);
    assert_string_equal(b.s->instance_id, "one");
    assert_memory_equal(b.s->key.secret.at, "0123456789abcdef0123456789abcdef", 32);
    assert_int_equal(b.s->key.secret.len, 32);
    load_fini(&a);
    load_fini(&b);
}

/* A secret that is taken away would be another random one. */
static void a_secret_left_out_is_told(void **state)
{
    struct load a = {.sets = {SECRET}}, b = {.sets = {NULL}};

    (void)state;
    inherit(&a, &b);
    assert_string_equal(held, "pushca.coordinator.secret-key ");
    assert_false(b.s->key_is_random);
    load_fini(&a);
    load_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_written_anew_is_nothing_changed),
        cmocka_unit_test(what_may_change_changes),
        cmocka_unit_test(what_needs_a_restart_stays),
        cmocka_unit_test(a_secret_left_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
