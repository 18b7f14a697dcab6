#include "cluster/directory.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/log.h"
#include "cluster/membership.h"
#include "flow/loop.h"
#include "unit/cluster/fake_redis.h"

enum { NODES = 3, CLIENTS = 64, SAID = 256 };

/* Nodes that share a Redis in memory; the test says who knows whom. */
struct node {
    struct redis redis;
    struct membership members;
    struct peer peers[NODES];
    struct directory *d;
    uint64_t here[CLIENTS]; /* 0: free */
    int lists, moved, elsewhere;
    bool lists_late; /* the test lists itself */
    uint64_t last_moved, last_elsewhere;
};

static struct world {
    struct loop loop;
    struct node node[NODES];
    /* answers in the order in which they came */
    struct {
        uint64_t token;
        int answer;
        uint32_t peer;
    } said[SAID];
    int n;
} w;

static void on_found(void *context, uint64_t token, enum directory_answer answer, struct peer *peer)
{
    (void)context;
    w.said[w.n].token = token;
    w.said[w.n].answer = (int)answer;
    w.said[w.n++].peer = peer ? peer->number : 0;
}

static void on_put(void *context, uint64_t token, bool written)
{
    (void)context;
    w.said[w.n].token = token;
    w.said[w.n++].answer = written;
}

static void list_now(struct node *n)
{
    for (int i = 0; i < CLIENTS; i++)
        if (n->here[i])
            directory_put_again(n->d, n->here[i]);
    directory_listed(n->d);
}

static void on_list(void *context)
{
    struct node *n = context;

    n->lists++;
    if (!n->lists_late)
        list_now(n);
}

static void on_moved(void *context, uint64_t hash)
{
    struct node *n = context;

    n->moved++;
    n->last_moved = hash;
}

static void on_elsewhere(void *context, uint64_t hash)
{
    struct node *n = context;

    n->elsewhere++;
    n->last_elsewhere = hash;
}

static bool is_here(void *context, uint64_t hash)
{
    const struct node *n = context;

    for (int i = 0; i < CLIENTS; i++)
        if (n->here[i] == hash)
            return true;
    return false;
}

static void here(struct node *n, uint64_t hash)
{
    for (int i = 0; i < CLIENTS; i++)
        if (!n->here[i]) {
            n->here[i] = hash;
            return;
        }
    fail();
}

static void not_here(struct node *n, uint64_t hash)
{
    for (int i = 0; i < CLIENTS; i++)
        if (n->here[i] == hash)
            n->here[i] = 0;
}

static void knows(struct node *n, const struct node *other)
{
    int i = (int)(other - w.node);
    struct peer *p = &n->peers[i];

    *p = (struct peer){.number = (uint32_t)(i + 1), .life = other->members.set.life};
    snprintf(p->id, sizeof(p->id), "%s", other->members.set.id);
    vec_push(&n->members.peers, p);
}

static void forgets(struct node *n, int other)
{
    for (uint32_t i = 0; i < n->members.peers.len; i++)
        if (n->members.peers.at[i] == &n->peers[other])
            vec_swap_remove(&n->members.peers, i);
}

static void end_life(struct node *n, const char *id, uint64_t life)
{
    n->members.ended[n->members.ended_next++ % MEMBERSHIP_ENDED] = (struct ended){life, true};
    directory_sweep(n->d, id, life);
}

static void open_node(struct node *n)
{
    const struct directory_settings set = {"pushca", n->members.set.id, n->members.set.life, 5000,
                                           8};
    const struct directory_events events = {n, on_list, on_moved, on_elsewhere, is_here};

    n->d = directory_open(&w.loop, &n->redis, &n->members, &set, &events);
}

static int setup(void **state)
{
    static const char *const ids[NODES] = {"a", "b", "c"};

    (void)state;
    fake_close();
    w = (struct world){0};
    w.loop.now_ms = fake.now_ms = 1000000;
    wheel_init(&w.loop.wheel, w.loop.now_ms);
    for (int i = 0; i < NODES; i++) {
        struct node *n = &w.node[i];

        n->members.set.id = ids[i];
        n->members.set.life = 0xa0 + (uint64_t)i;
        n->members.set.beat_ms = 500;
        n->members.answered_ms = w.loop.now_ms;
        n->members.events = (struct membership_events){0};
    }
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES; j++)
            if (i != j)
                knows(&w.node[i], &w.node[j]);
    for (int i = 0; i < NODES; i++)
        open_node(&w.node[i]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        directory_close(w.node[i].d);
        vec_fini(&w.node[i].members.peers);
    }
    fake_close();
    return 0;
}

/* So much time, in beats, with all that is given carried out. */
static void pass(int64_t ms)
{
    for (int64_t until = w.loop.now_ms + ms; w.loop.now_ms < until;) {
        w.loop.now_ms = fake.now_ms = w.loop.now_ms + 10;
        wheel_run(&w.loop.wheel, w.loop.now_ms, 100);
        for (int i = 0; i < NODES && w.loop.now_ms % 500 == 0; i++) {
            w.node[i].members.answered_ms = w.loop.now_ms;
            directory_beat(w.node[i].d);
        }
        fake_answer_all();
    }
}

static void all_whole(void)
{
    pass(1000);
    for (int i = 0; i < NODES; i++)
        assert_true(directory_is_whole(w.node[i].d));
}

static void assert_answer(int node, uint64_t hash, enum directory_answer answer, uint32_t peer)
{
    w.n = 0;
    directory_verify(w.node[node].d, hash, on_found, NULL, 9);
    fake_answer_all();
    assert_int_equal(w.n, 1);
    assert_int_equal(w.said[0].token, 9);
    assert_int_equal(w.said[0].answer, answer);
    assert_int_equal(w.said[0].peer, peer);
}

static const char *entry(uint64_t hash)
{
    char key[64];

    snprintf(key, sizeof(key), "pushca:client:%016" PRIx64, hash);
    return fake_get(key);
}

static void set_entry(uint64_t hash, const char *value)
{
    char key[64];

    snprintf(key, sizeof(key), "pushca:client:%016" PRIx64, hash);
    fake_set(key, value, 0);
}

static void put(int node, uint64_t hash)
{
    here(&w.node[node], hash);
    directory_put(w.node[node].d, hash, NULL, NULL, 0);
}

#define OWNED_BY_A "a 00000000000000a0"
#define OWNED_BY_B "b 00000000000000a1"

static void a_client_is_found_where_it_is(void **state)
{
    struct peer *peer = NULL;

    (void)state;
    all_whole();
    put(1, 7);
    fake_answer_all();
    assert_string_equal(entry(7), OWNED_BY_B);
    assert_answer(0, 7, DIRECTORY_FOUND, 2);
    assert_true(directory_cached(w.node[0].d, 7, &peer));
    assert_int_equal(peer->number, 2);
    assert_answer(1, 7, DIRECTORY_HERE, 0);
    assert_false(directory_cached(w.node[1].d, 7, &peer));
    assert_answer(0, 8, DIRECTORY_NOBODY, 0);
    /* the cache is used for its time, and not for those who are gone */
    w.loop.now_ms += 4999;
    assert_true(directory_cached(w.node[0].d, 7, &peer));
    forgets(&w.node[0], 1);
    assert_false(directory_cached(w.node[0].d, 7, &peer));
    knows(&w.node[0], &w.node[1]);
    assert_answer(0, 7, DIRECTORY_FOUND, 2);
    w.loop.now_ms += 5000;
    assert_false(directory_cached(w.node[0].d, 7, &peer));
    /* gone */
    not_here(&w.node[1], 7);
    directory_remove(w.node[1].d, 7);
    fake_answer_all();
    assert_null(entry(7));
    assert_answer(0, 7, DIRECTORY_NOBODY, 0);
}

static void the_cache_forgets_the_oldest(void **state)
{
    struct peer *peer = NULL;

    (void)state;
    all_whole();
    for (uint64_t h = 1; h <= 9; h++)
        put(1, h);
    for (uint64_t h = 1; h <= 9; h++)
        directory_look_up(w.node[0].d, h, on_found, NULL, h);
    fake_answer_all();
    assert_false(directory_cached(w.node[0].d, 1, &peer));
    for (uint64_t h = 2; h <= 9; h++)
        assert_true(directory_cached(w.node[0].d, h, &peer));
    directory_forget(w.node[0].d, 2);
    assert_false(directory_cached(w.node[0].d, 2, &peer));
    directory_forget_peer(w.node[0].d, &w.node[0].peers[1]);
    assert_false(directory_cached(w.node[0].d, 9, &peer));
}

static void answers_come_in_the_order_asked(void **state)
{
    int before;

    (void)state;
    all_whole();
    put(1, 1);
    put(2, 3);
    fake_answer_all();
    w.n = 0;
    before = fake.carried_out;
    directory_look_up(w.node[0].d, 5, on_found, NULL, 1); /* a doubt: takes longer */
    directory_look_up(w.node[0].d, 1, on_found, NULL, 2);
    directory_look_up(w.node[0].d, 5, on_found, NULL, 3);
    directory_look_up(w.node[0].d, 3, on_found, NULL, 4);
    directory_look_up(w.node[0].d, 1, on_found, NULL, 5);
    fake_answer(3);
    assert_int_equal(w.n, 0);
    fake_answer_all();
    assert_int_equal(w.n, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(w.said[i].token, i + 1);
    assert_int_equal(w.said[0].answer, DIRECTORY_NOBODY);
    assert_int_equal(w.said[1].peer, 2);
    assert_int_equal(w.said[2].answer, DIRECTORY_NOBODY);
    assert_int_equal(w.said[3].peer, 3);
    /* three questions; and marks, entry, marks */
    assert_int_equal(fake.carried_out - before, 6);
}

static void a_question_overtaken_by_a_move_is_not_kept(void **state)
{
    struct peer *peer = NULL;

    (void)state;
    all_whole();
    put(1, 1);
    fake_answer_all();
    w.n = 0;
    directory_look_up(w.node[0].d, 1, on_found, NULL, 1);
    directory_forget(w.node[0].d, 1);
    directory_look_up(w.node[0].d, 1, on_found, NULL, 2);
    fake_answer(1); /* the first question's answer may be old */
    assert_int_equal(w.n, 1);
    assert_false(directory_cached(w.node[0].d, 1, &peer));
    fake_answer_all();
    assert_int_equal(w.n, 2);
    assert_true(directory_cached(w.node[0].d, 1, &peer));
}

static void nobody_only_when_all_marks_stand(void **state)
{
    (void)state;
    assert_answer(0, 1, DIRECTORY_UNSURE, 0); /* nobody has a mark yet */
    all_whole();
    assert_answer(0, 1, DIRECTORY_NOBODY, 0);
    fake_del("pushca:whole:{t0}:c");
    assert_answer(0, 1, DIRECTORY_UNSURE, 0);
    fake_set("pushca:whole:{t0}:c", "-", 0);
    assert_answer(0, 1, DIRECTORY_UNSURE, 0);
    fake_set("pushca:whole:{t0}:c", "00000000000000a1 00000000000000ff", 0); /* another life's */
    assert_answer(0, 1, DIRECTORY_UNSURE, 0);
    fake_set("pushca:whole:{t0}:c", "00000000000000a2 00000000000000ff", 0);
    assert_answer(0, 1, DIRECTORY_NOBODY, 0);
    w.node[0].members.answered_ms = 0; /* who knows who is there */
    assert_answer(0, 1, DIRECTORY_UNSURE, 0);
}

static void a_flush_between_the_looks_is_seen(void **state)
{
    (void)state;
    all_whole();
    put(1, 1);
    fake_answer_all();
    fake_flush();
    w.n = 0;
    directory_look_up(w.node[0].d, 1, on_found, NULL, 1);
    fake_answer(1);
    /* all are written again, but b: in the meantime marks of other random numbers */
    fake_set("pushca:whole:{t0}:b", "00000000000000a1 0000000000000001", 0);
    fake_set("pushca:whole:{t0}:c", "00000000000000a2 0000000000000002", 0);
    fake_answer(2);
    fake_set("pushca:whole:{t0}:b", "00000000000000a1 0000000000000003", 0);
    fake_answer_all();
    assert_int_equal(w.n, 1);
    assert_int_equal(w.said[0].answer, DIRECTORY_UNSURE);
    /* and by and by it is as before */
    pass(3000);
    assert_string_equal(entry(1), OWNED_BY_B);
    assert_answer(0, 1, DIRECTORY_FOUND, 2);
    assert_answer(0, 2, DIRECTORY_NOBODY, 0);
}

static void an_answer_that_fails_is_told(void **state)
{
    (void)state;
    all_whole();
    w.node[0].redis.cut = true;
    assert_answer(0, 1, DIRECTORY_FAILED, 0);
    w.node[0].redis.cut = false;
    w.n = 0;
    directory_look_up(w.node[0].d, 1, on_found, NULL, 1);
    fake_answer(2); /* missed; the first marks */
    w.node[0].redis.cut = true;
    fake_answer_all();
    assert_int_equal(w.said[0].answer, DIRECTORY_FAILED);
    w.node[0].redis.cut = false;
    assert_answer(0, 1, DIRECTORY_NOBODY, 0);
}

static void a_peer_gone_while_its_answer_waits_is_not_named(void **state)
{
    (void)state;
    all_whole();
    put(1, 1);
    fake_answer_all();
    w.n = 0;
    directory_look_up(w.node[0].d, 5, on_found, NULL, 1);
    directory_look_up(w.node[0].d, 1, on_found, NULL, 2);
    fake_answer(2);
    forgets(&w.node[0], 1);
    fake_answer_all();
    assert_int_equal(w.n, 2);
    assert_int_equal(w.said[0].answer, DIRECTORY_UNSURE); /* other peers than were asked for */
    assert_int_equal(w.said[1].answer, DIRECTORY_UNSURE);
    assert_int_equal(w.said[1].peer, 0);
}

static void a_move_is_told_and_the_old_node_cannot_remove(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    fake_answer_all();
    assert_int_equal(w.node[0].moved, 0);
    put(1, 1);
    fake_answer_all();
    assert_int_equal(w.node[1].moved, 1);
    assert_int_equal(w.node[1].last_moved, 1);
    directory_remove(w.node[0].d, 1);
    fake_answer_all();
    assert_string_equal(entry(1), OWNED_BY_B);
    assert_answer(2, 1, DIRECTORY_FOUND, 2);
}

static void a_full_redis_takes_the_mark(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    fake_answer_all();
    pass(5000);
    fake.full = true;
    pass(5000);
    all_whole(); /* marks are renewed all the same: nothing is missing */
    w.n = 0;
    here(&w.node[0], 2);
    directory_put(w.node[0].d, 2, on_put, NULL, 4);
    fake_answer_all();
    assert_int_equal(w.n, 1);
    assert_int_equal(w.said[0].token, 4);
    assert_false(w.said[0].answer);
    assert_false(directory_is_whole(w.node[0].d));
    assert_answer(1, 2, DIRECTORY_UNSURE, 0);
    assert_answer(1, 1, DIRECTORY_FOUND, 1);
    pass(5000);
    assert_int_equal(w.node[0].lists, 1); /* not asked for in vain */
    assert_answer(1, 2, DIRECTORY_UNSURE, 0);
    fake.full = false;
    pass(2000);
    assert_string_equal(entry(2), OWNED_BY_A);
    assert_true(directory_is_whole(w.node[0].d));
    assert_answer(1, 3, DIRECTORY_NOBODY, 0);
}

/* A put that failed is written with the next list even if its client is not let in yet. */
static void a_failed_put_is_wanted_until_removed(void **state)
{
    (void)state;
    all_whole();
    fake.full = true;
    directory_put(w.node[0].d, 1, on_put, NULL, 1);
    directory_put(w.node[0].d, 2, on_put, NULL, 2);
    fake_answer_all();
    fake.full = false;
    directory_remove(w.node[0].d, 2);
    pass(2000);
    assert_string_equal(entry(1), OWNED_BY_A);
    assert_null(entry(2));
}

static void writing_again_does_not_touch_newer_entries(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    put(0, 2);
    put(0, 3);
    put(0, 4);
    fake_answer_all();
    set_entry(1, OWNED_BY_B); /* moved, and we have not heard of it */
    fake_del("pushca:client:0000000000000002");
    set_entry(3, "gone 00000000000000dd"); /* nobody knows (yet) */
    set_entry(4, "junk");
    directory_on_master(w.node[0].d, 0);
    fake_answer_all();
    assert_string_equal(entry(1), OWNED_BY_B);
    assert_int_equal(w.node[0].elsewhere, 1);
    assert_int_equal(w.node[0].last_elsewhere, 1);
    assert_string_equal(entry(2), OWNED_BY_A);
    assert_string_equal(entry(3), "gone 00000000000000dd");
    assert_string_equal(entry(4), OWNED_BY_A);
    assert_false(directory_is_whole(w.node[0].d));
    pass(11000);
    assert_string_equal(entry(3), OWNED_BY_A); /* nobody came */
    assert_true(directory_is_whole(w.node[0].d));
}

static void a_client_that_leaves_while_listed_stays_away(void **state)
{
    (void)state;
    w.node[0].lists_late = true;
    for (int i = 0; i < NODES; i++)
        here(&w.node[0], (uint64_t)i + 1);
    directory_beat(w.node[0].d);
    fake_answer_all();
    assert_int_equal(w.node[0].lists, 1);
    directory_put_again(w.node[0].d, 1);
    directory_put_again(w.node[0].d, 2);
    fake_answer(1);
    not_here(&w.node[0], 2);
    directory_remove(w.node[0].d, 2);
    not_here(&w.node[0], 3);
    directory_put_again(w.node[0].d, 3);
    assert_false(directory_is_whole(w.node[0].d));
    directory_listed(w.node[0].d);
    fake_answer_all();
    assert_true(directory_is_whole(w.node[0].d));
    assert_string_equal(entry(1), OWNED_BY_A);
    assert_null(entry(2));
    assert_null(entry(3));
    /* not between on_list and listed: of no meaning */
    directory_put_again(w.node[0].d, 3);
    directory_listed(w.node[0].d);
    assert_false(fake_answer(1));
}

static void a_remove_that_was_lost_is_repeated(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    put(0, 2);
    put(0, 3);
    fake_answer_all();
    not_here(&w.node[0], 1);
    not_here(&w.node[0], 2);
    w.node[0].redis.cut = true;
    directory_remove(w.node[0].d, 1);
    directory_remove(w.node[0].d, 2);
    directory_remove(w.node[0].d, 3);
    fake_answer(2);
    w.node[0].redis.cut =
        false; /* 2 and 3 are back: the remove of 3 fails with that put behind it */
    directory_put(w.node[0].d, 2, NULL, NULL, 0);
    here(&w.node[0], 2);
    directory_put(w.node[0].d, 3, NULL, NULL, 0);
    w.node[0].redis.cut = true;
    fake_answer(1);
    w.node[0].redis.cut = false;
    fake_answer_all();
    pass(2000);
    assert_null(entry(1));
    assert_string_equal(entry(2), OWNED_BY_A);
    assert_string_equal(entry(3), OWNED_BY_A);
}

static void lost_marks_are_noticed(void **state)
{
    (void)state;
    all_whole();
    for (uint64_t h = 1; h < 20; h++)
        put(0, h);
    fake_answer_all();
    fake_flush();
    pass(1000);
    assert_int_equal(w.node[0].lists, 2);
    for (uint64_t h = 1; h < 20; h++)
        assert_string_equal(entry(h), OWNED_BY_A);
    assert_true(directory_is_whole(w.node[0].d));
    /* the link breaks in the middle of a list, more than once */
    for (int i = 0; i < 8; i++) {
        directory_on_master(w.node[0].d, 0);
        fake_answer(i);
        w.node[0].redis.cut = true;
        fake_answer_all();
        w.node[0].redis.cut = false;
    }
    pass(3000);
    assert_true(directory_is_whole(w.node[0].d));
    assert_answer(1, 99, DIRECTORY_NOBODY, 0);
}

static void marks_are_taken_back_at_the_end(void **state)
{
    (void)state;
    all_whole();
    directory_withdraw(w.node[0].d);
    pass(3000);
    assert_null(fake_get("pushca:whole:{t0}:a"));
    assert_non_null(fake_get("pushca:whole:{t0}:b"));
    assert_false(directory_is_whole(w.node[0].d));
}

static void a_mark_runs_out_with_its_node(void **state)
{
    (void)state;
    all_whole();
    assert_int_equal(directory_mark_ms(w.node[0].d), 2000);
    for (int i = 0; i < 4; i++) {
        fake.now_ms += 500;
        directory_beat(w.node[0].d);
        fake_answer_all();
    }
    assert_non_null(fake_get("pushca:whole:{t0}:a"));
    assert_null(fake_get("pushca:whole:{t0}:b"));
}

static void every_master_has_its_part(void **state)
{
    (void)state;
    fake.masters = 3;
    all_whole();
    for (uint64_t h = 1; h < 10; h++)
        put(0, h);
    fake_answer_all();
    assert_non_null(fake_get("pushca:whole:{t2}:b"));
    fake_del("pushca:whole:{t1}:b");
    /* '1' % 3 == 1, '2' % 3 == 2 */
    assert_answer(0, 0x11, DIRECTORY_UNSURE, 0);
    assert_answer(0, 0x12, DIRECTORY_NOBODY, 0);
    /* only what belongs there is written again */
    for (uint64_t h = 1; h < 10; h++)
        set_entry(h, "junk");
    directory_on_master(w.node[0].d, 1);
    fake_answer_all();
    assert_string_equal(entry(1), OWNED_BY_A);
    assert_string_equal(entry(2), "junk");
    assert_string_equal(entry(4), OWNED_BY_A);
    pass(1000);
    assert_answer(0, 0x11, DIRECTORY_NOBODY, 0);
    fake.masters = 1;
    pass(1000);
    assert_answer(0, 0x11, DIRECTORY_NOBODY, 0);
    fake.masters = 2;
    pass(1000);
    assert_answer(0, 0x11, DIRECTORY_NOBODY, 0);
}

static void entries_of_an_ended_life_are_swept(void **state)
{
    char value[32];

    (void)state;
    all_whole();
    for (uint64_t h = 1; h <= 60; h++)
        put((int)(h % 3), h);
    fake_answer_all();
    for (int i = 0; i < 2; i++) {
        forgets(&w.node[i], 2);
        end_life(&w.node[i], "c", 0xa2);
    }
    assert_true(directory_is_sweeping(w.node[0].d));
    assert_false(directory_is_sweeping(w.node[1].d)); /* is not the first */
    /* at once, before it is swept */
    assert_answer(0, 2, DIRECTORY_NOBODY, 0);
    set_entry(5, "c 00000000000000a3"); /* it lives anew already */
    /* c's directory is not to write again */
    directory_withdraw(w.node[2].d);
    pass(2000);
    assert_false(directory_is_sweeping(w.node[0].d));
    for (uint64_t h = 1; h <= 60; h++) {
        if (h == 5) {
            assert_string_equal(entry(h), "c 00000000000000a3");
            continue;
        }
        snprintf(value, sizeof(value), "%c 00000000000000a%d", (char)('a' + h % 3), (int)(h % 3));
        if (h % 3 == 2)
            assert_null(entry(h));
        else
            assert_string_equal(entry(h), value);
    }
}

static void what_nobody_knows_is_swept_at_the_second_look(void **state)
{
    (void)state;
    all_whole();
    set_entry(1, "long-gone 00000000000000ee");
    set_entry(2, "junk");
    assert_answer(1, 1, DIRECTORY_UNSURE, 0);
    assert_answer(1, 2, DIRECTORY_UNSURE, 0);
    pass(14500);
    assert_answer(1, 1, DIRECTORY_NOBODY, 0); /* had it lived it would have been listed */
    pass(1500);
    assert_non_null(entry(1)); /* a, the first, has just seen it for the first time */
    pass(13000);
    assert_null(entry(1));
    assert_string_equal(entry(2), "junk");
}

static redisReply *scan_is_refused(const struct fake_command *c)
{
    static int n;
    redisReply *r;

    if (strcmp(c->argv[0], "SCAN") != 0)
        return NULL;
    switch (n++ % 6) {
    case 0:
        return fake_number(3);
    case 1:
        return fake_array(1);
    case 2:
        r = fake_array(2);
        r->element[0] = fake_string("12a");
        break;
    case 3:
        r = fake_array(2);
        r->element[0] = fake_string("111111111111111111111111111111");
        break;
    case 4:
        r = fake_array(2);
        r->element[0] = fake_string("");
        break;
    default:
        r = fake_array(2);
        r->element[0] = fake_string("0");
        r->element[1] = fake_array(3);
        r->element[1]->element[0] = fake_number(1);
        r->element[1]->element[1] = fake_string("pushca:client:1");
        r->element[1]->element[2] = fake_string("x");
        return r;
    }
    r->element[1] = fake_array(0);
    return r;
}

static void a_sweep_that_fails_comes_again(void **state)
{
    (void)state;
    all_whole();
    put(2, 2);
    fake_answer_all();
    fake.instead = scan_is_refused;
    forgets(&w.node[0], 2);
    end_life(&w.node[0], "c", 0xa2);
    for (int i = 0; i < 5; i++)
        pass(5000);
    assert_non_null(entry(2));
    fake.instead = NULL;
    directory_withdraw(w.node[2].d);
    end_life(&w.node[0], "c", 0xa2);
    pass(6000);
    assert_null(entry(2));
}

/* Redis answers anything to anything. */
static redisReply *anything(const struct fake_command *c)
{
    static unsigned n;

    (void)c;
    n = n * 1103515245 + 12345;
    switch (n >> 16 & 15) {
    case 0:
        return fake_number(1);
    case 1:
        return fake_array(0);
    case 2:
        return fake_string("");
    case 3:
        return fake_text(REDIS_REPLY_ERROR, "ERR");
    case 4:
        return fake_text(REDIS_REPLY_STATUS, "OK");
    case 5:
        return fake_string(NULL);
    case 6:
        return fake_string("b 00000000000000a1");
    case 7: {
        redisReply *r = fake_array(2);

        r->element[0] = fake_number(2);
        r->element[1] = fake_string(NULL);
        return r;
    }
    default:
        return NULL;
    }
}

static void a_redis_gone_mad_harms_nobody(void **state)
{
    int asked = 0;

    (void)state;
    fake.instead = anything;
    for (int i = 0; i < 4000; i++) {
        struct directory *d = w.node[i % NODES].d;
        uint64_t hash = (uint64_t)i % 50;

        switch (i % 7) {
        case 0:
            directory_put(d, hash, NULL, NULL, 0);
            break;
        case 1:
            directory_remove(d, hash);
            break;
        case 2:
        case 3:
            directory_look_up(d, hash, on_found, NULL, 0);
            asked++;
            break;
        case 4:
            directory_verify(d, hash, on_found, NULL, 0);
            asked++;
            break;
        case 5:
            end_life(&w.node[i % NODES], "x", (uint64_t)i);
            break;
        default:
            directory_on_master(d, 0);
            break;
        }
        fake_answer(i % 11);
        if (i % 100 == 0)
            pass(500);
        w.n = w.n > SAID / 2 ? 0 : w.n;
    }
    fake_answer_all();
    assert_true(asked > 0);
    fake.instead = NULL;
    pass(20000);
    for (int i = 0; i < NODES; i++)
        assert_true(directory_is_whole(w.node[i].d));
    fake_flush();
    pass(2000);
    w.n = 0;
    put(0, 1);
    assert_answer(1, 1, DIRECTORY_FOUND, 1);
    assert_answer(1, 999, DIRECTORY_NOBODY, 0);
}

static void a_new_life_writes_all_again(void **state)
{
    (void)state;
    all_whole();
    for (uint64_t h = 1; h < 10; h++)
        put(0, h);
    fake_answer_all();
    w.node[0].members.set.life = 0xb0;
    directory_begin(w.node[0].d, 0xb0);
    fake_answer_all();
    for (uint64_t h = 1; h < 10; h++)
        assert_string_equal(entry(h), "a 00000000000000b0");
    assert_true(directory_is_whole(w.node[0].d));
}

/* Peers let go because we live anew have not ended. */
static void a_peer_let_go_for_a_moment_keeps_its_entries(void **state)
{
    (void)state;
    all_whole();
    put(1, 1);
    fake_answer_all();
    forgets(&w.node[0], 1);
    directory_sweep(w.node[0].d, "b", 0xa1);
    assert_false(directory_is_sweeping(w.node[0].d));
    assert_answer(0, 1, DIRECTORY_UNSURE, 0);
    pass(5000);
    assert_string_equal(entry(1), OWNED_BY_B);
}

static void a_close_in_the_middle_leaks_nothing(void **state)
{
    (void)state;
    all_whole();
    put(1, 1);
    directory_look_up(w.node[0].d, 1, on_found, NULL, 0);
    directory_look_up(w.node[0].d, 2, on_found, NULL, 0);
    fake_answer(2);
    directory_look_up(w.node[0].d, 3, on_found, NULL, 0);
    fake_answer(2);
    directory_on_master(w.node[0].d, 0);
    end_life(&w.node[0], "x", 5);
    w.node[0].lists_late = true;
    directory_remove(w.node[0].d, 9);
}

/* 9,000 clients: more than go at once. */
static void writing_again_is_bounded(void **state)
{
    struct node *n = &w.node[0];

    (void)state;
    n->lists_late = true;
    directory_close(n->d);
    {
        const struct directory_settings set = {"pushca", "a", 0xa0, 0, 0};
        const struct directory_events events = {.context = n, .on_list = on_list};

        n->d = directory_open(&w.loop, &n->redis, &n->members, &set, &events);
    }
    directory_beat(n->d);
    fake_answer_all();
    assert_int_equal(n->lists, 1);
    for (uint64_t h = 1; h <= 9000; h++)
        directory_put_again(n->d, h % 3000 + 1);
    directory_listed(n->d);
    assert_in_range(fake.last - fake.first, 1, 4096);
    fake_answer_all();
    assert_true(directory_is_whole(n->d));
    for (uint64_t h = 1; h <= 3000; h++)
        assert_non_null(entry(h));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_is_found_where_it_is),
        TEST(the_cache_forgets_the_oldest),
        TEST(answers_come_in_the_order_asked),
        TEST(a_question_overtaken_by_a_move_is_not_kept),
        TEST(nobody_only_when_all_marks_stand),
        TEST(a_flush_between_the_looks_is_seen),
        TEST(an_answer_that_fails_is_told),
        TEST(a_peer_gone_while_its_answer_waits_is_not_named),
        TEST(a_move_is_told_and_the_old_node_cannot_remove),
        TEST(a_full_redis_takes_the_mark),
        TEST(a_failed_put_is_wanted_until_removed),
        TEST(writing_again_does_not_touch_newer_entries),
        TEST(a_client_that_leaves_while_listed_stays_away),
        TEST(a_remove_that_was_lost_is_repeated),
        TEST(lost_marks_are_noticed),
        TEST(marks_are_taken_back_at_the_end),
        TEST(a_mark_runs_out_with_its_node),
        TEST(every_master_has_its_part),
        TEST(entries_of_an_ended_life_are_swept),
        TEST(what_nobody_knows_is_swept_at_the_second_look),
        TEST(a_sweep_that_fails_comes_again),
        TEST(a_redis_gone_mad_harms_nobody),
        TEST(a_new_life_writes_all_again),
        TEST(a_peer_let_go_for_a_moment_keeps_its_entries),
        TEST(a_close_in_the_middle_leaks_nothing),
        TEST(writing_again_is_bounded),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
