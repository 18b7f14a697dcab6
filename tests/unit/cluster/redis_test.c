#include "unit/cluster/redis_answer.h"

#include "base/mem.h"

static struct server server;
static struct site site;

static int end(void **state)
{
    (void)state;
    if (site.redis)
        site_close(&site);
    server_end(&server);
    return 0;
}

static void begin(void)
{
    server_needed();
    server = (struct server){0};
    server_start(&server);
    site_prepare(&site);
    site.set.port = server.port;
    site_open(&site);
}

static void begin_up(void)
{
    begin();
    SITE_AWAIT(&site, site.up);
}

/* ---- commands ---- */

static void commands_are_answered_in_order(void **state)
{
    struct answer a;

    (void)state;
    begin_up();
    assert_int_equal(redis_masters(site.redis), 1);
    assert_int_equal(site.masters[0], 1);
    SITE_ASK(&site, &a, "SET k v");
    assert_string_equal(a.text, "OK");
    SITE_ASK(&site, &a, "GET k");
    assert_string_equal(a.text, "v");
    SITE_ASK(&site, &a, "GET nothing");
    assert_int_equal(a.type, REDIS_REPLY_NIL);
    SITE_ASK(&site, &a, "INCR k");
    assert_int_equal(a.type, REDIS_REPLY_ERROR);
    SITE_ASK(&site, &a, "PING");
    assert_string_equal(a.text, "PONG");
    assert_string_equal(redis_tag_of(site.redis, 0), "0");
    assert_null(redis_tag_of(site.redis, 1));
    assert_int_equal(redis_master_of(site.redis, BYTES("k")), 0);
}

static void commands_wait_for_the_first_connection(void **state)
{
    struct answer a = {0};

    (void)state;
    begin();
    site_give(&site, &a, "ECHO early");
    assert_int_equal(a.count, 0);
    SITE_AWAIT(&site, a.count);
    assert_string_equal(a.text, "early");
}

struct counting {
    long long next, wrong;
};

static void count_up(void *context, const struct redisReply *reply)
{
    struct counting *c = context;

    c->wrong += !reply || reply->type != REDIS_REPLY_INTEGER || reply->integer != c->next + 1;
    c->next++;
}

static void many_commands_go_out_together_and_keep_their_order(void **state)
{
    enum { MANY = 20000 };
    struct bytes argv[2] = {BYTES("INCR"), BYTES("counter")};
    struct counting c = {0};

    (void)state;
    begin_up();
    for (int i = 0; i < MANY; i++)
        redis_command(site.redis, argv, 2, 1, count_up, &c);
    SITE_AWAIT(&site, c.next == MANY);
    assert_int_equal(c.wrong, 0);
}

static void give_next(void *context, const struct redisReply *reply)
{
    struct counting *c = context;
    struct bytes argv[2] = {BYTES("INCR"), BYTES("counter")};

    count_up(c, reply);
    if (c->next < 50)
        redis_command(site.redis, argv, 2, 1, give_next, c);
}

static void an_answer_may_give_the_next_command(void **state)
{
    struct counting c = {0};
    struct bytes argv[2] = {BYTES("INCR"), BYTES("counter")};

    (void)state;
    begin_up();
    redis_command(site.redis, argv, 2, 1, give_next, &c);
    SITE_AWAIT(&site, c.next == 50);
    assert_int_equal(c.wrong, 0);
}

static void large_values_come_and_go(void **state)
{
    enum { LARGE = 20 * 1024 * 1024 };
    char *large = mem_alloc(LARGE);
    struct answer a = {0};

    (void)state;
    memset(large, 'x', LARGE);
    begin_up();
    redis_command(site.redis,
                  (struct bytes[]){BYTES("SET"), BYTES("large"), bytes_of(large, LARGE)}, 3, 1,
                  answer_done, &a);
    mem_free(large);
    SITE_AWAIT(&site, a.count);
    assert_string_equal(a.text, "OK");
    SITE_ASK(&site, &a, "GET large");
    assert_int_equal(a.len, LARGE);
}

/* ---- channels ---- */

static void messages_come_in(void **state)
{
    struct answer a = {0};

    (void)state;
    begin();
    redis_subscribe(site.redis, BYTES("p:node:1"));
    redis_subscribe(site.redis, BYTES("p:node:1"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    redis_publish(site.redis, BYTES("p:node:1"), BYTES("hello"), answer_done, &a);
    SITE_AWAIT(&site, site.messages == 1 && a.count);
    assert_string_equal(site.message, "hello");
    assert_int_equal(a.integer, 1);
    redis_publish(site.redis, BYTES("p:node:2"), BYTES("nobody"), answer_done, &a);
    SITE_AWAIT(&site, a.count == 2);
    assert_int_equal(a.integer, 0);
    assert_int_equal(site.messages, 1);
}

static void a_large_message_comes_in(void **state)
{
    enum { LARGE = 6 * 1024 * 1024 };
    char *large = mem_alloc(LARGE);

    (void)state;
    memset(large, 'y', LARGE);
    begin();
    redis_subscribe(site.redis, BYTES("c"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    redis_publish(site.redis, BYTES("c"), bytes_of(large, LARGE), NULL, NULL);
    mem_free(large);
    SITE_AWAIT(&site, site.messages == 1);
    assert_int_equal(site.bytes, LARGE);
}

static void channels_are_renewed_on_demand(void **state)
{
    (void)state;
    begin();
    redis_subscribe(site.redis, BYTES("c"));
    SITE_AWAIT(&site, site.subscribed);
    redis_resubscribe(site.redis);
    SITE_AWAIT(&site, site.unsubscribed == 1);
    SITE_AWAIT(&site, site.subscribed);
    redis_publish(site.redis, BYTES("c"), BYTES("again"), NULL, NULL);
    SITE_AWAIT(&site, site.messages == 1);
    assert_int_equal(server_number(&server, "CLIENT KILL TYPE pubsub"), 1);
    SITE_AWAIT(&site, site.unsubscribed == 2);
    SITE_AWAIT(&site, site.subscribed);
    assert_int_equal(site.downs, 0);
}

/* ---- faults ---- */

static void a_killed_server_is_found_again(void **state)
{
    struct answer a = {0}, under_way = {0};

    (void)state;
    begin();
    redis_subscribe(site.redis, BYTES("c"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    kill(server.pid, SIGSTOP);
    site_give(&site, &under_way, "INCR n");
    loop_turn(&site.loop, 0);
    server_kill(&server);
    SITE_AWAIT(&site, !site.up && !site.subscribed && under_way.count);
    assert_int_equal(under_way.type, 0);
    SITE_ASK(&site, &a, "GET k"); /* at once null: nothing waits for a server that is away */
    assert_int_equal(a.type, 0);
    server_start(&server);
    SITE_AWAIT(&site, site.up && site.subscribed);
    assert_int_equal(site.masters[0], 2);
    SITE_ASK(&site, &a, "SET k v");
    assert_string_equal(a.text, "OK");
    redis_publish(site.redis, BYTES("c"), BYTES("back"), NULL, NULL);
    SITE_AWAIT(&site, site.messages == 1);
    assert_int_equal(under_way.count, 1);
}

static void a_frozen_server_is_given_up_and_found_again(void **state)
{
    struct answer a = {0};
    int64_t begun_ms;

    (void)state;
    server_needed();
    server = (struct server){0};
    server_start(&server);
    site_prepare(&site);
    site.set.port = server.port;
    site.set.answer_ms = 300;
    site_open(&site);
    redis_subscribe(site.redis, BYTES("c"));
    SITE_AWAIT(&site, site.up && site.subscribed);
    site_turn_ms(&site, 1000); /* silence alone is no reason */
    assert_int_equal(site.downs, 0);
    assert_int_equal(site.unsubscribed, 0);
    kill(server.pid, SIGSTOP);
    begun_ms = clock_mono_ms();
    site_give(&site, &a, "PING");
    SITE_AWAIT(&site, a.count && !site.up && !site.subscribed);
    assert_int_equal(a.type, 0);
    assert_true(clock_mono_ms() - begun_ms >= 300);
    kill(server.pid, SIGCONT);
    SITE_AWAIT(&site, site.up && site.subscribed);
}

static void bury(void *context, const struct redisReply *reply)
{
    (*(int *)context) += !reply;
}

static void output_is_bounded(void **state)
{
    enum { PIECE = 1024 * 1024, PIECES = 80 };
    char *piece = mem_zero(PIECE);
    static int failed;

    (void)state;
    failed = 0;
    begin_up();
    kill(server.pid, SIGSTOP);
    for (int i = 0; i < PIECES; i++)
        redis_command(site.redis, (struct bytes[]){BYTES("ECHO"), bytes_of(piece, PIECE)}, 2, -1,
                      bury, &failed);
    mem_free(piece);
    assert_int_equal(failed, 0);
    SITE_AWAIT(&site, failed >= PIECES - 64);
    assert_true(failed < PIECES);
    kill(server.pid, SIGCONT);
    SITE_AWAIT(&site, site.up);
}

static void what_is_under_way_ends_with_null_at_the_close(void **state)
{
    struct answer a = {0}, b = {0};

    (void)state;
    begin_up();
    site_give(&site, &a, "INCR n");
    site_give(&site, &b, "INCR n");
    site_close(&site);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.type, 0);
    assert_int_equal(b.count, 1);
}

/* ---- who may in ---- */

static void a_password_is_said_first(void **state)
{
    struct answer a;

    (void)state;
    server_needed();
    server = (struct server){.args = {"--requirepass", "open sesame", "--databases", "8"}};
    server_start(&server);
    site_prepare(&site);
    site.set.port = server.port;
    site.set.password = "open sesame";
    site.set.database = 7;
    site_open(&site);
    SITE_AWAIT(&site, site.up);
    SITE_ASK(&site, &a, "SET k v");
    SITE_ASK(&site, &a, "CLIENT INFO");
    assert_non_null(strstr(a.text, "name=pushca:commands"));
    assert_non_null(strstr(a.text, "db=7"));
    site_close(&site);

    site_prepare(&site);
    site.set.port = server.port;
    site.set.username = "default";
    site.set.password = "open sesame";
    site_open(&site);
    SITE_AWAIT(&site, site.up);
}

static void a_wrong_password_is_told_apart(void **state)
{
    struct answer a;

    (void)state;
    server_needed();
    server = (struct server){.args = {"--requirepass", "open sesame"}};
    server_start(&server);
    site_prepare(&site);
    site.set.port = server.port;
    site.set.password = "wrong";
    site_open(&site);
    SITE_ASK(&site, &a, "GET k");
    assert_int_equal(a.type, 0);
    assert_false(site.up);
}

static void a_replica_is_no_master(void **state)
{
    static struct server replica;
    char port[16];
    struct answer a;

    (void)state;
    server_needed();
    server = (struct server){0};
    server_start(&server);
    snprintf(port, sizeof(port), "%u", (unsigned)server.port);
    replica = (struct server){.args = {"--replicaof", "127.0.0.1", port}};
    server_start(&replica);
    site_prepare(&site);
    site.set.port = replica.port;
    site_open(&site);
    SITE_ASK(&site, &a, "GET k");
    assert_int_equal(a.type, 0);
    assert_false(site.up);
    server_says(&replica, "OK", "REPLICAOF NO ONE");
    SITE_AWAIT(&site, site.up);
    server_says(&replica, "OK", "REPLICAOF 127.0.0.1 %s", port);
    SITE_ASK(&site, &a, "SET k v"); /* READONLY is nobody's business */
    assert_int_equal(a.type, 0);
    SITE_AWAIT(&site, !site.up);
    server_end(&replica);
}

static void a_host_is_found_by_its_name(void **state)
{
    (void)state;
    server_needed();
    server = (struct server){0};
    server_start(&server);
    site_prepare(&site);
    site.set.host = "localhost"; /* on many machines ::1 comes first, where nobody listens */
    site.set.port = server.port;
    site_open(&site);
    SITE_AWAIT(&site, site.up);
}

static void settings_that_cannot_be_are_refused(void **state)
{
    struct redis_events events = {0};
    struct redis *r = NULL;
    static const char *const bad[] = {"no port", NULL};

    (void)state;
    site_prepare(&site);
    assert_int_equal(redis_open(&r, &site.loop, &site.set, &events), ERR_BAD);
    site.set.port = 1;
    site.set.nodes = bad;
    assert_int_equal(redis_open(&r, &site.loop, &site.set, &events), ERR_BAD);
    site.set.nodes = NULL;
    site.set.sentinel_master = "m";
    assert_int_equal(redis_open(&r, &site.loop, &site.set, &events), ERR_BAD);
    site.set.sentinel_master = NULL;
    site.set.tls_enabled = "true";
    site.set.tls_ca = "/nowhere/ca.pem";
    assert_int_equal(redis_open(&r, &site.loop, &site.set, &events), ERR_BAD);
    assert_null(r);
    loop_close(&site.loop);
    inbox_close(&site.inbox);
}

#define TEST(f) cmocka_unit_test_teardown(f, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_are_answered_in_order),
        TEST(commands_wait_for_the_first_connection),
        TEST(many_commands_go_out_together_and_keep_their_order),
        TEST(an_answer_may_give_the_next_command),
        TEST(large_values_come_and_go),
        TEST(messages_come_in),
        TEST(a_large_message_comes_in),
        TEST(channels_are_renewed_on_demand),
        TEST(a_killed_server_is_found_again),
        TEST(a_frozen_server_is_given_up_and_found_again),
        TEST(output_is_bounded),
        TEST(what_is_under_way_ends_with_null_at_the_close),
        TEST(a_password_is_said_first),
        TEST(a_wrong_password_is_told_apart),
        TEST(a_replica_is_no_master),
        TEST(a_host_is_found_by_its_name),
        TEST(settings_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
