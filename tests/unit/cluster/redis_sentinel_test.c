#include "unit/cluster/redis_answer.h"

/* One master, one replica, one Sentinel whose vote is enough. */
static struct server master, replica, sentinel;
static struct site site;
static char sentinel_at[32];
static const char *const two[] = {"127.0.0.1:1", sentinel_at, NULL}; /* nobody is at the first */
static const char *const *sentinels = two;

static int end(void **state)
{
    (void)state;
    if (site.redis)
        site_close(&site);
    server_end(&sentinel);
    server_end(&replica);
    server_end(&master);
    return 0;
}

static void write_configuration(const char *password)
{
    char path[128];
    FILE *f;

    snprintf(sentinel.folder, sizeof(sentinel.folder), "/tmp/pushca-redis-XXXXXX");
    assert_non_null(mkdtemp(sentinel.folder));
    snprintf(path, sizeof(path), "%s/sentinel.conf", sentinel.folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "sentinel monitor main 127.0.0.1 %u 1\n", (unsigned)master.port);
    fprintf(f, "sentinel down-after-milliseconds main 500\n");
    fprintf(f, "sentinel failover-timeout main 3000\n");
    if (password)
        fprintf(f, "requirepass %s\n", password);
    fclose(f);
}

static void begin(const char *password)
{
    static char port[16];

    server_needed();
    master = (struct server){0};
    sentinel = (struct server){.sentinel = true};
    server_start(&master);
    snprintf(port, sizeof(port), "%u", (unsigned)master.port);
    replica = (struct server){
        .args = {"--replicaof", "127.0.0.1", port, "--repl-diskless-sync-delay", "0"}};
    server_start(&replica);
    write_configuration(password);
    server_start(&sentinel);
    snprintf(sentinel_at, sizeof(sentinel_at), "127.0.0.1:%u", (unsigned)sentinel.port);
    site_prepare(&site);
    site.set.port = 1; /* not used */
    site.set.sentinels = sentinels;
    site.set.sentinel_master = "main";
    site.set.sentinel_password = password;
    site.set.answer_ms = 500;
    site_open(&site);
}

static bool replica_is_known(void)
{
    redisContext *c = server_dial(&sentinel);
    redisReply *reply = c ? redisCommand(c, "SENTINEL replicas main") : NULL;
    bool known = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;

    if (reply)
        freeReplyObject(reply);
    if (c)
        redisFree(c);
    return known && server_says(&replica, NULL, "GET there");
}

static void the_master_is_found_and_followed(void **state)
{
    struct answer a;

    (void)state;
    begin(NULL);
    redis_subscribe(site.redis, BYTES("c"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    SITE_ASK(&site, &a, "SET there yes");
    assert_string_equal(a.text, "OK");
    SITE_AWAIT(&site, replica_is_known());
    site_turn_ms(&site, 1200); /* Sentinel looks at a replica each second */
    server_kill(&master);
    SITE_AWAIT(&site, !site.up && !site.subscribed);
    SITE_AWAIT(&site, site.up && site.subscribed);
    assert_int_equal(redis_masters(site.redis), 1);
    assert_int_equal(site.masters[0], 2);
    SITE_ASK(&site, &a, "SET there again");
    assert_string_equal(a.text, "OK");
    assert_true(server_says(&replica, "again", "GET there"));
    redis_publish(site.redis, BYTES("c"), BYTES("hello"), NULL, NULL);
    SITE_AWAIT(&site, site.messages == 1);
}

/* As many as the configuration takes, and only the last one is there. */
static void the_last_of_many_is_asked(void **state)
{
    static const char *many[REDIS_SEEDS_MAX + 1];
    int i;

    (void)state;
    for (i = 0; i < REDIS_SEEDS_MAX - 1; i++)
        many[i] = "127.0.0.1:1";
    many[i] = sentinel_at;
    sentinels = many;
    begin(NULL);
    sentinels = two;
    SITE_AWAIT(&site, site.up);
}

/* By hand, and the old master lives on: what the Sentinel says counts. */
static void a_failover_by_hand_is_followed(void **state)
{
    struct answer a;

    (void)state;
    begin("sesame");
    sentinel.args[0] = NULL;
    SITE_AWAIT(&site, site.up);
    site_turn_ms(&site, 1500);
    for (int i = 0; i < 100; i++) {
        redisContext *c = server_dial(&sentinel);
        redisReply *auth = redisCommand(c, "AUTH sesame");
        redisReply *reply = redisCommand(c, "SENTINEL failover main");
        bool started = reply && reply->type == REDIS_REPLY_STATUS;

        freeReplyObject(auth);
        freeReplyObject(reply);
        redisFree(c);
        if (started)
            break;
        site_turn_ms(&site, 100);
    }
    SITE_AWAIT(&site, site.masters[0] == 2 && site.up);
    SITE_ASK(&site, &a, "SET k v");
    assert_string_equal(a.text, "OK");
    SITE_AWAIT(&site, server_says(&replica, "v", "GET k"));
}

static void an_unknown_name_is_never_up(void **state)
{
    struct answer a;

    (void)state;
    begin(NULL);
    SITE_AWAIT(&site, site.up);
    site_close(&site);
    site_prepare(&site);
    site.set.sentinels = sentinels;
    site.set.sentinel_master = "other";
    site_open(&site);
    site_turn_ms(&site, 500);
    assert_false(site.up);
    assert_int_equal(redis_masters(site.redis), 0);
    assert_null(redis_tag_of(site.redis, 0));
    SITE_ASK(&site, &a, "GET k");
    assert_int_equal(a.type, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_master_is_found_and_followed, end),
        cmocka_unit_test_teardown(the_last_of_many_is_asked, end),
        cmocka_unit_test_teardown(a_failover_by_hand_is_followed, end),
        cmocka_unit_test_teardown(an_unknown_name_is_never_up, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
