#include "cluster/membership.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/log.h"
#include "cluster/record.h"
#include "flow/loop.h"
#include "unit/cluster/fake_redis.h"

/* One membership; what Redis lists is said by the test. The script itself is tried on a real one in
   nodes_test.c. */
static struct world {
    struct loop loop;
    struct redis redis;
    struct membership m;
    char trace[256]; /* +id, -id said BYE, xid died, rid lives anew, oid gone to us, c changed, t/T
                        twin older or newer, b buried */
    char last[2048]; /* arguments of the last beat from the id on, parted by '|' */
    int beats, evals;
    bool noscript, withdrawn;
    struct {
        char name[80], text[256];
        long long left;
    } listed[16];
    int count;
    long long status;
} w;

static void trace(const char *what, const char *id)
{
    size_t len = strlen(w.trace);

    snprintf(w.trace + len, sizeof(w.trace) - len, "%s%s ", what, id);
}

static void on_peer(void *context, struct peer *p)
{
    (void)context;
    assert_ptr_equal(membership_find(&w.m, bytes_text(p->id), p->life), p);
    trace("+", p->id);
}

static void on_gone(void *context, struct peer *p, enum gone how)
{
    static const char *const said[] = {"-", "x", "r", "o"};

    (void)context;
    assert_null(membership_numbered(&w.m, p->number));
    trace(said[how], p->id);
}

static void on_change(void *context)
{
    (void)context;
    trace("c", "");
}

static void on_twin(void *context, bool newer)
{
    (void)context;
    trace(newer ? "T" : "t", "");
}

static void on_buried(void *context)
{
    (void)context;
    trace("b", "");
}

static redisReply *script(const struct fake_command *c)
{
    redisReply *r;

    if (strcmp(c->argv[0], "EVALSHA") == 0 && w.noscript)
        return fake_text(REDIS_REPLY_ERROR, "NOSCRIPT No matching script.");
    w.evals += strcmp(c->argv[0], "EVAL") == 0;
    w.beats++;
    w.last[0] = '\0';
    for (int i = 4; i < c->argc; i++)
        snprintf(w.last + strlen(w.last), sizeof(w.last) - strlen(w.last), "%s|", c->argv[i]);
    if (fake.full)
        return fake_oom();
    r = fake_array((size_t)w.count * 3 + 1);
    r->element[0] = fake_number(w.status);
    for (int i = 0; i < w.count; i++) {
        r->element[i * 3 + 1] = fake_string(w.listed[i].name);
        r->element[i * 3 + 2] = fake_number(w.listed[i].left);
        r->element[i * 3 + 3] = fake_string(w.listed[i].text);
    }
    return r;
}

/* What a node of that life would have written. */
static void list(const char *id, uint64_t life, long long left)
{
    int i = 0;

    while (i < w.count && strcmp(w.listed[i].name, id) != 0)
        i++;
    w.count += i == w.count;
    snprintf(w.listed[i].name, sizeof(w.listed[i].name), "%s", id);
    w.listed[i].left = left;
    snprintf(w.listed[i].text, sizeof(w.listed[i].text),
             "%016" PRIx64 " 0\nws://%s\n\nwss://%s\nhttp://%s", life, id, id, id);
}

static void bury(const char *id, uint64_t life)
{
    char name[80];

    snprintf(name, sizeof(name), "!%s", id);
    list(name, life, 600000);
    snprintf(w.listed[w.count - 1].text, sizeof(w.listed[0].text), "%016" PRIx64, life);
}

static void unlist(const char *id)
{
    for (int i = 0; i < w.count; i++)
        if (strcmp(w.listed[i].name, id) == 0)
            w.listed[i] = w.listed[--w.count];
}

static int setup(void **state)
{
    const struct membership_settings set = {.prefix = "p",
                                            .id = "m",
                                            .life = 0x11,
                                            .external_url = "ws://m",
                                            .lease_ms = 3000,
                                            .beat_ms = 500,
                                            .window_bytes = 1000};
    const struct membership_events events = {&w, on_peer, on_gone, on_change, on_twin, on_buried};

    (void)state;
    fake_close();
    memset(&w, 0, sizeof(w));
    fake.script = script;
    w.loop.now_ms = fake.now_ms = 1000000;
    wheel_init(&w.loop.wheel, w.loop.now_ms);
    membership_open(&w.m, &w.loop, &w.redis, &set, &events);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    membership_close(&w.m);
    fake_close();
    return 0;
}

static void wait_ms(int64_t ms)
{
    w.loop.now_ms += ms;
    wheel_run(&w.loop.wheel, w.loop.now_ms, 10);
}

static void pass(int64_t ms)
{
    for (; ms > 0; ms -= 10) {
        wait_ms(10);
        fake_answer_all();
    }
}

static void beats(int n)
{
    for (int until = w.beats + n; w.beats < until;)
        pass(10);
}

static void assert_trace(const char *what)
{
    assert_string_equal(w.trace, what);
    w.trace[0] = '\0';
}

static struct peer *peer(const char *id)
{
    for (uint32_t i = 0; i < w.m.peers.len; i++)
        if (strcmp(((struct peer *)w.m.peers.at[i])->id, id) == 0)
            return w.m.peers.at[i];
    return NULL;
}

static void who_is_listed_is_a_peer(void **state)
{
    (void)state;
    list("m", 0x11, 3000);
    list("a", 0xa, 3000);
    list("late", 0xe, 0);
    pass(20);
    assert_int_equal(w.beats, 1);
    assert_trace("+a c ");
    assert_string_equal(w.last, "m|0000000000000011|0000000000000011 0\nws://m\n\n\n|3000|0|");
    assert_true(w.m.listed && w.m.answered_ms);
    assert_string_equal(peer("a")->external_url, "ws://a");
    assert_null(peer("a")->internal_url);
    assert_string_equal(peer("a")->cluster_url, "http://a");
    assert_int_equal(peer("a")->stream.window_bytes, 1000);
    pass(1000);
    assert_int_equal(w.beats, 3);
    assert_trace("");
    assert_string_equal(w.last, "m|0000000000000011|0000000000000011 0\nws://m\n\n\n|3000|1|");
    /* it says something else of itself */
    snprintf(w.listed[1].text, sizeof(w.listed[1].text), "000000000000000a 1\n\nx\n\n");
    pass(500);
    assert_trace("c ");
    assert_true(peer("a")->leaving);
    assert_null(peer("a")->external_url);
    assert_string_equal(peer("a")->internal_url, "x");
}

static void the_script_is_sent_whole_when_redis_lacks_it(void **state)
{
    (void)state;
    w.noscript = true;
    list("a", 0xa, 3000);
    pass(20);
    assert_int_equal(w.evals, 1);
    assert_trace("+a c ");
    w.noscript = false;
    pass(500);
    assert_int_equal(w.evals, 1);
    assert_int_equal(w.beats, 2);
}

/* Its lease ended: suspected at the second answer, looked at once more at once. */
static void a_dead_peer_is_buried(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    pass(5000);
    assert_trace("+a c ");
    list("a", 0xa, -10);
    beats(1);
    assert_null(strstr(w.last, "|a|"));
    beats(2);
    assert_non_null(strstr(w.last, "|1|a|000000000000000a|0|"));
    assert_trace(""); /* not before Redis agrees */
    bury("a", 0xa);
    unlist("a");
    pass(500);
    assert_trace("xa c ");
    /* that life does not come back, and is told so */
    unlist("!a");
    list("a", 0xa, 3000);
    pass(1000);
    assert_trace("");
    assert_non_null(strstr(w.last, "|1|a|000000000000000a|1|"));
    /* another one does, as another peer */
    list("a", 0xaa, 3000);
    pass(500);
    assert_trace("+a c ");
    assert_int_equal(peer("a")->number, 2);
}

static void who_is_heard_is_not_suspected(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    pass(5000);
    list("a", 0xa, -10);
    for (int i = 0; i < 10; i++) {
        peer("a")->heard_ms = w.loop.now_ms;
        pass(500);
        assert_null(strstr(w.last, "|a|"));
    }
    pass(1500);
    assert_non_null(strstr(w.last, "|a|"));
}

static void whom_redis_forgot_has_a_lease_to_come_back(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    list("b", 0xb, 3000);
    pass(5000);
    unlist("a");
    unlist("b");
    pass(2900);
    assert_null(strstr(w.last, "|a|"));
    list("a", 0xa, 3000);
    pass(1100);
    assert_null(strstr(w.last, "|a|"));
    assert_non_null(strstr(w.last, "|b|"));
    assert_trace("+a +b c ");
}

static void nobody_dies_of_a_pause(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    pass(5000);
    list("a", 0xa, -7000);
    wait_ms(10000); /* frozen */
    pass(2900);
    assert_null(strstr(w.last, "|a|"));
    list("a", 0xa, 3000);
    pass(3000);
    assert_trace("+a c ");
    /* cut off */
    w.redis.cut = true;
    pass(10000);
    w.redis.cut = false;
    list("a", 0xa, -7000);
    pass(2900);
    assert_null(strstr(w.last, "|a|"));
    pass(1000);
    assert_non_null(strstr(w.last, "|a|"));
}

static void nobody_dies_of_a_full_redis(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    pass(5000);
    fake.full = true;
    pass(10000);
    assert_true(w.m.refused);
    assert_non_null(peer("a"));
    fake.full = false;
    list("a", 0xa, -7000);
    pass(1500);
    assert_false(w.m.refused);
    assert_null(strstr(w.last, "|a|"));
    assert_trace("+a c ");
}

static void a_restarted_node_is_another_peer(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    pass(20);
    list("a", 0xab, 3000);
    pass(500);
    assert_trace("+a c ra +a c ");
    assert_null(membership_numbered(&w.m, 1));
    assert_int_equal(membership_numbered(&w.m, 2)->life, 0xab);
}

/* So that it need not be read again when another life of that node sends it. */
static void what_was_read_of_an_ended_life_is_known(void **state)
{
    struct peer *p;

    (void)state;
    list("a", 0xa, 3000);
    pass(20);
    p = peer("a");
    p->stream.their_epoch = 3;
    p->stream.expected = 10;
    p->skip = 2;
    list("a", 0xab, 3000);
    pass(500);
    assert_int_equal(membership_has_read(&w.m, 0xa, 3, 4), 6 + 2);
    assert_int_equal(membership_has_read(&w.m, 0xa, 3, 10), 2);
    assert_int_equal(membership_has_read(&w.m, 0xa, 3, 11), 0); /* it cannot begin there */
    assert_int_equal(membership_has_read(&w.m, 0xa, 4, 4), 0);  /* of that stream nothing came */
    assert_int_equal(membership_has_read(&w.m, 0xb, 3, 4), 0);
    assert_int_equal(membership_has_read(&w.m, 0, 0, 0), 0);
}

/* Two nodes of one name, and the second is gone: the first is listed again, in a life that the
   others took for ended. It has to hear so, to begin another. */
static void a_twin_that_comes_back_is_buried(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    pass(20);
    list("a", 0xab, 3000);
    pass(500);
    list("a", 0xa, 3000);
    pass(1000);
    assert_non_null(strstr(w.last, "|a|000000000000000a|1"));
    assert_null(membership_find(&w.m, BYTES("a"), 0xa));
}

static void who_said_bye_does_not_come_back(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    pass(20);
    membership_bye(&w.m, peer("a"));
    pass(1000);
    assert_trace("+a c -a c ");
    assert_null(strstr(w.last, "|a|"));
}

static void twins_and_graves_of_our_own_are_told(void **state)
{
    (void)state;
    w.status = 1;
    pass(20);
    assert_trace("t ");
    assert_true(w.m.listed);
    w.status = 2;
    list("m", 0x99, 3000);
    list("a", 0xa, 3000);
    pass(500);
    assert_trace("+a c T ");
    w.status = 3;
    pass(500);
    assert_trace("b ");
    membership_begin(&w.m, 0x12);
    assert_false(w.m.listed);
    w.status = 0;
    pass(10);
    assert_trace("oa +a c ");
    assert_int_equal(peer("a")->number, 2);
    assert_non_null(strstr(w.last, "|0000000000000012 0\n"));
}

/* An answer to the former life is not this one's. */
static void an_answer_to_the_former_life_does_not_count(void **state)
{
    (void)state;
    list("a", 0xa, 3000);
    wait_ms(10);
    membership_begin(&w.m, 0x12);
    fake_answer(1);
    assert_trace("");
    fake_answer_all();
    assert_trace("+a c ");
}

static void hostile_lists_are_read(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "000000000000000a 2\n\n\n\n",
        "000000000000000a 0\n\n\n",
        "000000000000000a 0\n\n\n\n\n",
        "0000000000000000 0\n\n\n\n",
        "000000000000000A 0\n\n\n\n",
        "00000000000000a 0\n\n\n\n",
        "000000000000000a 0\na b\n\n\n",
        "000000000000000a 0\n\x01\n\n\n",
        "000000000000000a0\n\n\n\n",
    };
    static const char *const names[] = {
        "",
        "!",
        "!!",
        "a b",
        "a\n",
        "\xc3\xa4",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    (void)state;
    w.count = 1;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        list("a", 0xa, 3000);
        snprintf(w.listed[0].name, sizeof(w.listed[0].name), "a");
        snprintf(w.listed[0].text, sizeof(w.listed[0].text), "%s", bad[i]);
        w.listed[0].left = 3000;
        w.count = 1;
        pass(500);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        w.count = 0;
        list("a", 0xa, 3000);
        snprintf(w.listed[0].name, sizeof(w.listed[0].name), "%s", names[i]);
        pass(500);
    }
    assert_trace("");
    assert_int_equal(w.m.peers.len, 0);
}

static redisReply *wrong(const struct fake_command *c)
{
    static int n;
    redisReply *r;

    (void)c;
    switch (n++ % 6) {
    case 0:
        return fake_number(0);
    case 1:
        return fake_array(0);
    case 2:
        r = fake_array(1);
        r->element[0] = fake_string("0");
        return r;
    case 3:
        return fake_string(NULL);
    case 4:
        r = fake_array(4);
        r->element[0] = fake_number(77);
        r->element[1] = fake_number(1);
        r->element[2] = fake_string("3000");
        r->element[3] = fake_array(0);
        return r;
    default:
        r = fake_array(3);
        r->element[0] = fake_number(0);
        r->element[1] = fake_string("a");
        r->element[2] = fake_number(3);
        return r;
    }
}

static void hostile_answers_are_read(void **state)
{
    (void)state;
    fake.instead = wrong;
    pass(6000);
    assert_trace("");
    fake.instead = NULL;
    list("a", 0xa, 3000);
    pass(500);
    assert_trace("+a c ");
}

static void long_urls_are_left_out(void **state)
{
    char url[RECORD_URL_MAX + 2];
    struct record r = {.life = 5, .leaving = true}, back;
    struct buf text = {0};

    (void)state;
    memset(url, 'u', sizeof(url) - 1);
    url[sizeof(url) - 1] = '\0';
    r.url[0] = bytes_text(url);
    r.url[1] = BYTES("a\nb");
    r.url[2] = bytes_of(url, RECORD_URL_MAX);
    record_write(&text, &r);
    assert_int_equal(record_read(buf_bytes(&text), &back), ERR_OK);
    assert_true(back.leaving);
    assert_int_equal(back.life, 5);
    assert_int_equal(back.url[0].len, 0);
    assert_int_equal(back.url[1].len, 0);
    assert_int_equal(back.url[2].len, RECORD_URL_MAX);
    for (size_t i = 0; i < text.len; i++)
        assert_int_equal(record_read(bytes_of(text.at, i), &back) == ERR_OK,
                         i >= 18 + 4 && i >= text.len - 0);
    buf_fini(&text);
}

/* As the others have it. */
static uint64_t hash_of_us(void)
{
    static uint64_t hash;
    struct membership other;
    const struct membership_settings set = {
        .prefix = "p", .id = "o", .life = 0x22, .lease_ms = 3000, .beat_ms = 500};
    const struct membership_events events = {0};

    if (hash)
        return hash;
    membership_open(&other, &w.loop, &w.redis, &set, &events);
    list("m", 0x11, 3000);
    pass(20);
    for (uint32_t i = 0; i < other.peers.len; i++)
        if (strcmp(((struct peer *)other.peers.at[i])->id, "m") == 0)
            hash = ((struct peer *)other.peers.at[i])->id_hash;
    membership_close(&other);
    return hash;
}

/* The home of h, asked on the node of that id, as a peer of ours; null: ours. */
static struct peer *home_as(const char *id, uint64_t h)
{
    struct membership as = {.set.id = id, .loop = &w.loop};
    struct peer us = {.id = "m"}, *home, *found;

    us.id_hash = hash_of_us();
    for (uint32_t i = 0; i < w.m.peers.len; i++)
        if (w.m.peers.at[i] != peer(id))
            vec_push(&as.peers, w.m.peers.at[i]);
    if (peer(id))
        vec_push(&as.peers, &us);
    home = membership_home(&as, h);
    found = home ? (home == &us ? NULL : home) : peer(id);
    vec_fini(&as.peers);
    return found;
}

/* Every node must find the same home: asked here as each of them. */
static void a_home_is_the_same_for_all(void **state)
{
    static const char *const ids[] = {"m", "a", "b", "zz"};
    int had[4] = {0}, moved = 0;

    (void)state;
    list("a", 0xa, 3000);
    list("b", 0xb, 3000);
    list("zz", 0xc, 3000);
    pass(20);
    for (uint64_t h = 0; h < 8000; h++) {
        struct peer *home = membership_home(&w.m, h);
        const char *id = home ? home->id : "m";

        for (int i = 0; i < 4; i++)
            had[i] += strcmp(id, ids[i]) == 0;
        assert_ptr_equal(home, home_as(ids[h % 4], h));
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(had[i], 1800, 2200);
    /* who leaves gives its own away, and nothing else moves */
    for (uint64_t h = 0; h < 8000; h++) {
        struct peer *before = membership_home(&w.m, h), *after;

        peer("b")->leaving = true;
        after = membership_home(&w.m, h);
        peer("b")->leaving = false;
        assert_true(before == after || before == peer("b"));
        assert_ptr_not_equal(after, peer("b"));
        moved += before != after;
    }
    assert_int_equal(moved, had[2]);
    /* nor does it when one cannot hear, from the second on in which that is so; rather to one that
       cannot hear than to one that leaves */
    pass(2000);
    for (uint64_t h = 0; h < 8000; h++) {
        struct peer *before = membership_home(&w.m, h), *after;

        peer("b")->unheard_ms = w.loop.now_ms - UNHEARD_MS + 1;
        assert_ptr_equal(membership_home(&w.m, h), before);
        peer("b")->unheard_ms--;
        after = membership_home(&w.m, h);
        assert_true(before == after || before == peer("b"));
        assert_ptr_not_equal(after, peer("b"));
        peer("a")->leaving = peer("zz")->leaving = w.m.leaving = true;
        assert_ptr_equal(membership_home(&w.m, h), peer("b"));
        peer("a")->leaving = peer("zz")->leaving = w.m.leaving = false;
        peer("b")->unheard_ms = 0;
    }
    w.m.leaving = true;
    for (uint64_t h = 0; h < 100; h++)
        assert_non_null(membership_home(&w.m, h));
    for (uint32_t i = 0; i < 3; i++)
        ((struct peer *)w.m.peers.at[i])->leaving = true;
    had[0] = 0;
    for (uint64_t h = 0; h < 8000; h++)
        had[0] += membership_home(&w.m, h) == NULL;
    assert_in_range(had[0], 1800, 2200);
}

static void the_first_has_the_smallest_id(void **state)
{
    (void)state;
    list("n", 0xa, 3000);
    pass(20);
    assert_true(membership_is_first(&w.m));
    list("a", 0xb, 3000);
    pass(500);
    assert_false(membership_is_first(&w.m));
    peer("a")->leaving = true;
    assert_true(membership_is_first(&w.m));
    w.m.leaving = true;
    assert_false(membership_is_first(&w.m));
}

static void leaving_is_said_at_once(void **state)
{
    (void)state;
    pass(20);
    wait_ms(500); /* one is under way, and does not say it */
    membership_leave(&w.m);
    fake_answer(2);
    assert_non_null(strstr(w.last, "|0000000000000011 1\n"));
    assert_false(fake_answer(1));
}

static void on_withdrawn(void *context)
{
    *(bool *)context = true;
}

static void a_withdrawal_ends_the_beats(void **state)
{
    bool done = false;

    (void)state;
    wait_ms(10);
    membership_withdraw(&w.m, on_withdrawn, &done);
    assert_false(done);
    fake_answer_all();
    assert_true(done);
    assert_int_equal(w.beats, 2);
    membership_beat(&w.m);
    pass(2000);
    assert_int_equal(w.beats, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_listed_is_a_peer),
        TEST(the_script_is_sent_whole_when_redis_lacks_it),
        TEST(a_dead_peer_is_buried),
        TEST(who_is_heard_is_not_suspected),
        TEST(whom_redis_forgot_has_a_lease_to_come_back),
        TEST(nobody_dies_of_a_pause),
        TEST(nobody_dies_of_a_full_redis),
        TEST(a_restarted_node_is_another_peer),
        TEST(what_was_read_of_an_ended_life_is_known),
        TEST(a_twin_that_comes_back_is_buried),
        TEST(who_said_bye_does_not_come_back),
        TEST(twins_and_graves_of_our_own_are_told),
        TEST(an_answer_to_the_former_life_does_not_count),
        TEST(hostile_lists_are_read),
        TEST(hostile_answers_are_read),
        TEST(long_urls_are_left_out),
        TEST(a_home_is_the_same_for_all),
        TEST(the_first_has_the_smallest_id),
        TEST(leaving_is_said_at_once),
        TEST(a_withdrawal_ends_the_beats),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
