#include "cluster/directory.h"

#include <inttypes.h>
#include "base/log.h"
#include "base/mem.h"
#include "cluster/membership.h"
#include "unit/cluster/redis_site.h"

/* Nodes that are not more than a membership and a directory, each with a loop of its own, on one
   real Redis. What they wait for has a bound that is never met in a good run. */
enum {
    NODES = 3,
    MASTERS = 3,
    LEASE_MS = 1500,
    BEAT_MS = 250,
    WAIT_MS = 120000,
    CLIENTS_MAX = 16384
};

struct node {
    struct site site;
    char id[16];
    struct membership members;
    struct directory *directory;
    uint64_t life;
    bool open;
    int peers_seen, gone, died, buried, twins, moved, lists;
    uint64_t *here;
    uint32_t here_count;
    enum directory_answer answer;
    uint32_t answered_peer;
    int answers, written, refused;
    bool paused; /* its loop does not turn */
};

static struct world {
    struct server server;
    struct server others[MASTERS - 1]; /* of a Redis Cluster */
    char addresses[MASTERS][32];
    const char *seeds[MASTERS + 1]; /* the first is null: one server */
    struct node node[NODES];
    uint64_t lives;
} w;

static void on_peer(void *context, struct peer *p)
{
    struct node *n = context;

    (void)p;
    n->peers_seen++;
}

static void on_gone(void *context, struct peer *p, enum gone how)
{
    struct node *n = context;

    n->gone++;
    n->died += how == GONE_DIED;
    directory_forget_peer(n->directory, p);
    directory_sweep(n->directory, p->id, p->life);
}

static void on_twin(void *context, bool newer)
{
    struct node *n = context;

    n->twins += newer;
}

static void on_buried(void *context)
{
    struct node *n = context;

    n->buried++;
    n->life = ++w.lives;
    directory_begin(n->directory, n->life);
    membership_begin(&n->members, n->life);
}

static void on_list(void *context)
{
    struct node *n = context;

    n->lists++;
    for (uint32_t i = 0; i < n->here_count; i++)
        directory_put_again(n->directory, n->here[i]);
    directory_listed(n->directory);
}

static bool is_here(void *context, uint64_t hash)
{
    const struct node *n = context;

    for (uint32_t i = 0; i < n->here_count; i++)
        if (n->here[i] == hash)
            return true;
    return false;
}

static void left(struct node *n, uint64_t hash)
{
    for (uint32_t i = 0; i < n->here_count; i++)
        if (n->here[i] == hash)
            n->here[i] = n->here[--n->here_count];
}

static void on_moved(void *context, uint64_t hash)
{
    (void)hash;
    ((struct node *)context)->moved++;
}

/* Here it is always the other one who has it. */
static void on_contest(void *context, uint64_t hash, struct peer *peer)
{
    (void)peer;
    left(context, hash);
}

static void on_master(void *context, uint32_t master)
{
    struct node *n = container_of(context, struct node, site);

    if (n->open)
        directory_on_master(n->directory, master);
}

static void node_open(struct node *n, const char *id)
{
    const struct redis_events redis = {&n->site, site_on_up, on_master, site_on_subscribed,
                                       site_on_message};
    const struct membership_events members = {n, on_peer, on_gone, NULL, on_twin, on_buried};
    const struct directory_events events = {n, on_list, on_moved, on_contest, is_here};
    struct membership_settings m = {
        .prefix = "test", .lease_ms = LEASE_MS, .beat_ms = BEAT_MS, .window_bytes = 1 << 20};
    struct directory_settings d = {.prefix = "test", .cache_ms = 5000, .cache_entries = 1000};

    *n = (struct node){0};
    site_prepare(&n->site);
    snprintf(n->id, sizeof(n->id), "%s", id);
    n->life = ++w.lives;
    n->here = mem_alloc(CLIENTS_MAX * sizeof(*n->here));
    n->site.set.port = w.server.port;
    n->site.set.nodes = w.seeds[0] ? w.seeds : NULL;
    n->site.set.answer_ms = 1000;
    assert_int_equal(redis_open(&n->site.redis, &n->site.loop, &n->site.set, &redis), ERR_OK);
    m.id = d.id = n->id;
    m.life = d.life = n->life;
    membership_open(&n->members, &n->site.loop, n->site.redis, &m, &members);
    n->directory = directory_open(&n->site.loop, n->site.redis, &n->members, &d, &events);
    n->open = true;
}

/* Without a word, as kill -9. */
static void node_kill(struct node *n)
{
    if (!n->open)
        return;
    n->open = false;
    redis_close(n->site.redis, true);
    n->site.redis = NULL;
    directory_close(n->directory);
    membership_close(&n->members);
    loop_close(&n->site.loop);
    inbox_close(&n->site.inbox);
    mem_free(n->here);
}

static void turn(void)
{
    static int64_t beaten_ms[NODES];

    for (int i = 0; i < NODES; i++) {
        struct node *n = &w.node[i];

        if (!n->open || n->paused)
            continue;
        loop_turn(&n->site.loop, 2);
        if (n->site.loop.now_ms - beaten_ms[i] < BEAT_MS)
            continue;
        beaten_ms[i] = n->site.loop.now_ms;
        directory_beat(n->directory);
    }
}

static void turn_ms(int64_t ms)
{
    for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;)
        turn();
}

#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        int64_t until_ms_ = clock_mono_ms() + WAIT_MS;                                             \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() >= until_ms_)                                                      \
                fail_msg("waited in vain, line %d: %s", __LINE__, #condition);                     \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static bool all_see(uint32_t peers)
{
    for (int i = 0; i < NODES; i++)
        if (w.node[i].open && w.node[i].members.peers.len != peers)
            return false;
    return true;
}

static bool all_whole(void)
{
    for (int i = 0; i < NODES; i++)
        if (w.node[i].open && !directory_is_whole(w.node[i].directory))
            return false;
    return true;
}

static void on_found(void *context, uint64_t token, enum directory_answer answer, struct peer *peer)
{
    struct node *n = context;

    (void)token;
    n->answers++;
    n->answer = answer;
    n->answered_peer = peer ? peer->number : 0;
}

static enum directory_answer ask(struct node *n, uint64_t hash)
{
    int before = n->answers;

    directory_verify(n->directory, hash, on_found, n, 1);
    AWAIT(n->answers > before);
    return n->answer;
}

/* Does n find it at `at`? */
static bool finds(struct node *n, uint64_t hash, const struct node *at)
{
    const struct peer *p;

    if (ask(n, hash) != DIRECTORY_FOUND)
        return false;
    p = membership_numbered(&n->members, n->answered_peer);
    return p && strcmp(p->id, at->id) == 0;
}

static void on_put(void *context, uint64_t hash, uint64_t token, enum directory_put put)
{
    struct node *n = context;

    (void)hash;
    (void)token;
    n->written += put != DIRECTORY_UNWRITTEN;
    n->refused += put == DIRECTORY_UNWRITTEN;
}

static void arrive(struct node *n, uint64_t hash)
{
    n->here[n->here_count++] = hash;
    directory_put(n->directory, hash, on_put, n, hash);
}

static long long keys_on(const struct server *s)
{
    return server_number(s, "EVAL %s 0", "return #redis.call('KEYS','test:client:*')");
}

static long long keys(void)
{
    long long n = keys_on(&w.server);

    for (int i = 0; i < MASTERS - 1 && w.others[i].pid; i++)
        n += keys_on(&w.others[i]);
    return n;
}

static void open_nodes(void)
{
    static const char *const ids[] = {"a", "b", "c"};

    for (int i = 0; i < NODES; i++)
        node_open(&w.node[i], ids[i]);
    AWAIT(all_see(NODES - 1) && all_whole());
}

static int setup(void **state)
{
    (void)state;
    if (!server_is_installed())
        return 0;
    w = (struct world){0};
    server_start(&w.server);
    open_nodes();
    return 0;
}

static struct server *master(int i)
{
    return i ? &w.others[i - 1] : &w.server;
}

/* A Redis Cluster of three masters. */
static int setup_cluster(void **state)
{
    (void)state;
    if (!server_is_installed())
        return 0;
    w = (struct world){0};
    for (int i = 0; i < MASTERS; i++) {
        struct server *s = master(i);

        s->args[0] = "--cluster-enabled";
        s->args[1] = "yes";
        server_start(s);
        assert_true(server_says(s, "OK", "CLUSTER SET-CONFIG-EPOCH %d", i + 1));
        assert_true(server_says(s, "OK", "CLUSTER ADDSLOTSRANGE %d %d", i * 16384 / MASTERS,
                                (i + 1) * 16384 / MASTERS - 1));
        assert_true(
            server_says(s, "OK", "CLUSTER MEET 127.0.0.1 %d %d", w.server.port, w.server.bus));
        snprintf(w.addresses[i], sizeof(w.addresses[i]), "127.0.0.1:%u", (unsigned)s->port);
        w.seeds[i] = w.addresses[i];
    }
    for (int i = 0; i < MASTERS; i++)
        for (int j = 0; !server_says(master(i), "cluster_state:ok", "CLUSTER INFO") && j < 1000;
             j++)
            usleep(20000);
    open_nodes();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        node_kill(&w.node[i]);
    for (int i = 0; i < MASTERS; i++)
        server_end(master(i));
    return 0;
}

static void nothing_dies(void)
{
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(w.node[i].gone, 0);
        assert_int_equal(w.node[i].buried, 0);
    }
}

static void they_find_each_others_clients(void **state)
{
    (void)state;
    server_needed();
    arrive(&w.node[1], 1);
    AWAIT(w.node[1].written == 1);
    assert_true(finds(&w.node[0], 1, &w.node[1]));
    assert_true(finds(&w.node[2], 1, &w.node[1]));
    assert_int_equal(ask(&w.node[1], 1), DIRECTORY_HERE);
    assert_int_equal(ask(&w.node[0], 2), DIRECTORY_NOBODY);
    /* it moves */
    arrive(&w.node[2], 1);
    AWAIT(w.node[2].written == 1);
    assert_int_equal(w.node[2].moved, 1);
    directory_remove(w.node[1].directory, 1);
    assert_int_equal(ask(&w.node[1], 1), DIRECTORY_FOUND);
    assert_true(finds(&w.node[0], 1, &w.node[2]));
    /* it goes */
    left(&w.node[2], 1);
    directory_remove(w.node[2].directory, 1);
    assert_int_equal(ask(&w.node[2], 1), DIRECTORY_NOBODY);
}

static void on_done(void *context)
{
    *(bool *)context = true;
}

static void one_leaves_and_one_dies_and_comes_back(void **state)
{
    bool done = false;
    int64_t since;

    (void)state;
    server_needed();
    for (uint64_t h = 1; h <= 10; h++)
        arrive(&w.node[2], h);
    AWAIT(w.node[2].written == 10);
    turn_ms(LEASE_MS); /* answers are steady */
    since = clock_mono_ms();
    node_kill(&w.node[2]);
    AWAIT(w.node[0].died == 1 && w.node[1].died == 1);
    print_message("gone %lld ms after its end, with a lease of %d\n",
                  (long long)(clock_mono_ms() - since), LEASE_MS);
    AWAIT(keys() == 0);
    assert_int_equal(ask(&w.node[1], 1), DIRECTORY_NOBODY);
    node_open(&w.node[2], "c");
    AWAIT(all_see(2) && all_whole());
    /* killed, and back before its lease is over */
    node_kill(&w.node[2]);
    node_open(&w.node[2], "c");
    AWAIT(w.node[0].gone == 2 && w.node[1].gone == 2 && all_see(2));
    assert_int_equal(w.node[0].died, 1);
    /* says so, and leaves */
    membership_leave(&w.node[2].members);
    AWAIT(((struct peer *)w.node[0].members.peers.at[1])->leaving ||
          ((struct peer *)w.node[0].members.peers.at[0])->leaving);
    directory_withdraw(w.node[2].directory);
    membership_withdraw(&w.node[2].members, on_done, &done);
    AWAIT(done);
    assert_int_equal(server_number(&w.server, "HEXISTS test:{nodes} c"), 0);
}

static void flushall_is_mended(void **state)
{
    (void)state;
    server_needed();
    for (uint64_t h = 1; h <= 50; h++)
        arrive(&w.node[h % NODES], h);
    AWAIT(w.node[0].written + w.node[1].written + w.node[2].written == 50);
    for (int i = 0; i < 3; i++) {
        assert_true(server_says(&w.server, "OK", "FLUSHALL"));
        for (uint64_t h = 1; h <= 50; h++) /* never a false nobody */
            assert_int_not_equal(ask(&w.node[(h + 1) % NODES], h), DIRECTORY_NOBODY);
        AWAIT(keys() == 50 && all_whole());
    }
    AWAIT(server_number(&w.server, "HLEN test:{nodes}") == NODES);
    for (uint64_t h = 1; h <= 50; h++)
        assert_true(finds(&w.node[(h + 1) % NODES], h, &w.node[h % NODES]));
    assert_true(server_says(&w.server, "OK", "SCRIPT FLUSH"));
    turn_ms(LEASE_MS * 2);
    nothing_dies();
}

static void a_frozen_redis_kills_nobody(void **state)
{
    (void)state;
    server_needed();
    for (uint64_t h = 1; h <= 10; h++)
        arrive(&w.node[2], h);
    AWAIT(w.node[2].written == 10);
    turn_ms(LEASE_MS);
    kill(w.server.pid, SIGSTOP);
    turn_ms(LEASE_MS * 2);
    assert_int_equal(ask(&w.node[0], 1), DIRECTORY_FAILED);
    kill(w.server.pid, SIGCONT);
    AWAIT(all_whole());
    AWAIT(w.node[0].members.steady_ms && all_see(2));
    turn_ms(LEASE_MS * 2);
    nothing_dies();
    assert_true(finds(&w.node[0], 1, &w.node[2]));
    assert_int_equal(ask(&w.node[0], 99), DIRECTORY_NOBODY);
}

static void a_restarted_redis_is_filled_again(void **state)
{
    (void)state;
    server_needed();
    for (uint64_t h = 1; h <= 30; h++)
        arrive(&w.node[h % NODES], h);
    AWAIT(keys() == 30);
    server_kill(&w.server);
    turn_ms(500);
    directory_remove(w.node[0].directory, 3); /* while nobody hears */
    left(&w.node[0], 3);
    arrive(&w.node[0], 60);
    turn_ms(500);
    server_start(&w.server);
    AWAIT(all_whole() && keys() == 30);
    assert_int_equal(ask(&w.node[1], 3), DIRECTORY_NOBODY);
    assert_true(finds(&w.node[1], 60, &w.node[0]));
    turn_ms(LEASE_MS * 2);
    nothing_dies();
    AWAIT(all_see(2));
}

/* What it had saved, and who has left since then. */
static void a_redis_with_an_older_truth_is_put_right(void **state)
{
    int64_t since;

    (void)state;
    server_needed();
    for (uint64_t h = 1; h <= 30; h++)
        arrive(&w.node[h % NODES], h);
    AWAIT(keys() == 30);
    assert_true(server_says(&w.server, "OK", "SAVE"));
    for (uint64_t h = 1; h <= 5; h++) {
        left(&w.node[h % NODES], h);
        directory_remove(w.node[h % NODES].directory, h);
    }
    arrive(&w.node[0], 60);
    AWAIT(keys() == 26);
    server_kill(&w.server);
    server_start(&w.server);
    since = clock_mono_ms();
    assert_int_equal(keys(), 30);
    AWAIT(all_whole() && keys() == 26);
    print_message("right again after %lld ms\n", (long long)(clock_mono_ms() - since));
    for (uint64_t h = 1; h <= 5; h++)
        assert_int_equal(ask(&w.node[(h + 1) % NODES], h), DIRECTORY_NOBODY);
    assert_true(finds(&w.node[1], 60, &w.node[0]));
    nothing_dies();
}

static void a_full_redis_kills_nobody(void **state)
{
    (void)state;
    server_needed();
    arrive(&w.node[0], 1);
    AWAIT(w.node[0].written == 1);
    assert_true(server_says(&w.server, "OK", "CONFIG SET maxmemory-policy noeviction"));
    assert_true(server_says(&w.server, "OK", "CONFIG SET maxmemory 1mb"));
    AWAIT(w.node[0].members.refused && w.node[1].members.refused && w.node[2].members.refused);
    turn_ms(LEASE_MS * 3);
    nothing_dies();
    assert_true(all_see(2));
    /* what is there is found, and marks stand; who comes is not written, and that is known */
    assert_true(finds(&w.node[1], 1, &w.node[0]));
    assert_int_equal(ask(&w.node[1], 2), DIRECTORY_NOBODY);
    arrive(&w.node[0], 2);
    AWAIT(w.node[0].refused == 1);
    assert_int_equal(ask(&w.node[1], 2), DIRECTORY_UNSURE);
    left(&w.node[0], 1);
    directory_remove(w.node[0].directory, 1);
    AWAIT(keys() == 0);
    assert_true(server_says(&w.server, "OK", "CONFIG SET maxmemory 0"));
    AWAIT(all_whole());
    assert_true(finds(&w.node[1], 2, &w.node[0]));
    assert_int_equal(ask(&w.node[1], 1), DIRECTORY_NOBODY);
    turn_ms(LEASE_MS * 2);
    nothing_dies();
}

/* Cut off or frozen for longer than its lease: buried by the others, it lives anew. */
static void who_was_away_too_long_lives_anew(void **state)
{
    uint64_t before;

    (void)state;
    server_needed();
    for (uint64_t h = 1; h <= 10; h++)
        arrive(&w.node[0], h);
    arrive(&w.node[1], 11);
    AWAIT(keys() == 11);
    turn_ms(LEASE_MS);
    before = w.node[0].life;
    w.node[0].paused = true;
    AWAIT(w.node[1].died == 1 && w.node[2].died == 1);
    AWAIT(keys() == 1);
    w.node[0].paused = false;
    AWAIT(w.node[0].buried == 1 && all_see(2) && all_whole());
    assert_int_not_equal(w.node[0].life, before);
    AWAIT(keys() == 11); /* nothing of the others was swept meanwhile */
    assert_true(finds(&w.node[1], 1, &w.node[0]));
    assert_true(finds(&w.node[0], 11, &w.node[1]));
    turn_ms(LEASE_MS * 2);
    assert_int_equal(w.node[0].buried, 1);
    assert_int_equal(w.node[1].died, 1);
}

static void an_older_twin_is_told(void **state)
{
    (void)state;
    server_needed();
    node_kill(&w.node[2]);
    node_open(&w.node[2], "a");
    AWAIT(w.node[0].twins > 0);
    assert_int_equal(w.node[2].twins, 0);
}

static void foreign_fields_are_dropped(void **state)
{
    (void)state;
    server_needed();
    assert_int_equal(server_number(&w.server, "HSET test:{nodes} x junk y %s z %s !q %s v %s",
                                   "99999999999999999 0", "1 0", "12345678901234 \n",
                                   "-5 0000000000000001 0"),
                     5);
    turn_ms(BEAT_MS * 4);
    assert_int_equal(server_number(&w.server, "HLEN test:{nodes}"), NODES);
    /* not even a hash */
    assert_true(server_says(&w.server, "OK", "SET test:{nodes} junk"));
    AWAIT(w.node[0].members.refused);
    turn_ms(LEASE_MS);
    assert_int_equal(server_number(&w.server, "DEL test:{nodes}"), 1);
    AWAIT(server_number(&w.server, "HLEN test:{nodes}") == NODES);
    nothing_dies();
}

static void ten_thousand_entries_are_swept(void **state)
{
    (void)state;
    server_needed();
    for (uint64_t h = 1; h <= 10000; h++)
        arrive(&w.node[2], h * 0x9e3779b97f4a7c15U);
    for (uint64_t h = 1; h <= 500; h++)
        arrive(&w.node[1], h);
    AWAIT(w.node[2].written == 10000 && w.node[1].written == 500);
    /* written again after a flush */
    assert_true(server_says(&w.server, "OK", "FLUSHALL"));
    AWAIT(keys() == 10500 && all_whole());
    node_kill(&w.node[2]);
    AWAIT(w.node[0].died == 1);
    AWAIT(keys() == 500 && !directory_is_sweeping(w.node[0].directory));
    for (uint64_t h = 1; h <= 20; h++)
        assert_true(finds(&w.node[0], h, &w.node[1]));
}

static void fill(int from, int count, const char *owner)
{
    const char *script =
        "for i=ARGV[1],ARGV[1]+ARGV[2]-1 do"
        " redis.call('SET',string.format('test:client:ff%014x',i),ARGV[3]) end return 1";
    char first[16], number[16];

    snprintf(first, sizeof(first), "%d", from);
    snprintf(number, sizeof(number), "%d", count);
    assert_int_equal(server_number(&w.server, "EVAL %s 0 %s %s %s", script, first, number, owner),
                     1);
}

/* A node dies that had very many; lookups go on meanwhile. */
static void three_hundred_thousand_entries_are_swept_in_time(void **state)
{
    enum { ALL = 300000, STEP = 5000 };
    char owner[40];
    int64_t since, began, slowest = 0;
    int asked = 0;

    (void)state;
    server_needed();
    snprintf(owner, sizeof(owner), "c %016" PRIx64, w.node[2].life);
    arrive(&w.node[1], 1);
    AWAIT(w.node[1].written == 1);
    for (int i = 0; i < ALL; i += STEP, turn())
        fill(i, STEP, owner);
    turn_ms(LEASE_MS);
    node_kill(&w.node[2]);
    AWAIT(w.node[0].died == 1);
    for (since = clock_mono_ms(); directory_is_sweeping(w.node[0].directory); asked++) {
        began = clock_mono_us();
        assert_true(finds(&w.node[0], 1, &w.node[1]));
        if (clock_mono_us() - began > slowest)
            slowest = clock_mono_us() - began;
        assert_true(clock_mono_ms() - since < WAIT_MS);
    }
    print_message("%d entries swept in %lld ms, %d lookups meanwhile, the slowest %lld us\n", ALL,
                  (long long)(clock_mono_ms() - since), asked, (long long)slowest);
    assert_int_equal(keys(), 1);
}

/* Each master counts for itself: what was emptied is not trusted, the others are. */
static void a_redis_cluster_has_a_mark_on_every_master(void **state)
{
    int unsure = 0;

    (void)state;
    server_needed();
    assert_int_equal(redis_masters(w.node[0].site.redis), MASTERS);
    for (uint64_t h = 1; h <= 90; h++)
        arrive(&w.node[h % NODES], h);
    AWAIT(keys() == 90);
    for (int i = 0; i < MASTERS; i++)
        assert_in_range(keys_on(master(i)), 10, 50);
    for (uint64_t h = 1; h <= 90; h++)
        assert_true(finds(&w.node[(h + 1) % NODES], h, &w.node[h % NODES]));
    for (uint64_t h = 1001; h <= 1050; h++)
        assert_int_equal(ask(&w.node[h % NODES], h), DIRECTORY_NOBODY);
    assert_true(server_says(master(1), "OK", "FLUSHALL"));
    for (uint64_t h = 1; h <= 90; h++)
        assert_int_not_equal(ask(&w.node[(h + 1) % NODES], h), DIRECTORY_NOBODY);
    for (uint64_t h = 1001; h <= 1050; h++)
        unsure += ask(&w.node[h % NODES], h) != DIRECTORY_NOBODY;
    print_message("%d of 50 were unsure right after\n", unsure);
    AWAIT(keys() == 90 && all_whole());
    for (uint64_t h = 1001; h <= 1050; h++)
        assert_int_equal(ask(&w.node[h % NODES], h), DIRECTORY_NOBODY);
    nothing_dies();
    node_kill(&w.node[2]);
    AWAIT(w.node[0].died == 1 && w.node[1].died == 1);
    AWAIT(keys() == 60);
    assert_int_equal(ask(&w.node[0], 2), DIRECTORY_NOBODY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_find_each_others_clients),
        TEST(one_leaves_and_one_dies_and_comes_back),
        TEST(flushall_is_mended),
        TEST(a_frozen_redis_kills_nobody),
        TEST(a_restarted_redis_is_filled_again),
        TEST(a_redis_with_an_older_truth_is_put_right),
        TEST(a_full_redis_kills_nobody),
        TEST(who_was_away_too_long_lives_anew),
        TEST(an_older_twin_is_told),
        TEST(foreign_fields_are_dropped),
        TEST(ten_thousand_entries_are_swept),
        TEST(three_hundred_thousand_entries_are_swept_in_time),
        cmocka_unit_test_setup_teardown(a_redis_cluster_has_a_mark_on_every_master, setup_cluster,
                                        teardown),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
