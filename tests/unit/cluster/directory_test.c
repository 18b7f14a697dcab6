#include "cluster/directory.h"

#include "cluster/directory_sweep.h"
#include "unit/cluster/directory_site.h"

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
    assert_true(has_left(7));
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

/* Whoever asks later than Redis was asked may know of a connect that it did not. */
static void a_later_ask_is_not_answered_by_an_earlier_look(void **state)
{
    (void)state;
    all_whole();
    w.n = 0;
    directory_look_up(w.node[0].d, 1, on_found, NULL, 1);
    fake_answer(1); /* missing; the proof is on its way: */
    fake_answer(2); /* decided, and not all of it read yet */
    here(&w.node[1], 1);
    set_entry(1, OWNED_BY_B);
    fake.carried_out = 0;
    for (uint64_t late = 2; late <= 51; late++)
        directory_look_up(w.node[0].d, 1, on_found, NULL, late);
    fake_answer_all();
    assert_int_equal(w.n, 51);
    assert_int_equal(w.said[0].answer, DIRECTORY_NOBODY);
    for (int i = 1; i <= 50; i++) {
        assert_int_equal(w.said[i].answer, DIRECTORY_FOUND);
        assert_int_equal(w.said[i].peer, 2);
    }
    assert_int_equal(fake.carried_out, 2); /* the end of the proof, and one look for all of them */
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
    assert_int_equal(w.said[0].answer, DIRECTORY_UNSURE); /* an entry is missing, that is said */
    w.node[0].redis.cut = false;
    assert_answer(0, 1, DIRECTORY_NOBODY, 0);
}

static redisReply *entries_are_refused(const struct fake_command *c)
{
    return strcmp(c->argv[0], "GET") == 0
               ? fake_text(REDIS_REPLY_ERROR, "NOPERM this user has no permissions")
               : NULL;
}

static void an_error_is_no_answer_about_a_client(void **state)
{
    (void)state;
    all_whole();
    fake.instead = entries_are_refused;
    assert_answer(0, 1, DIRECTORY_UNSURE, 0);
    fake.instead = NULL;
    w.n = 0;
    directory_look_up(w.node[0].d, 1, on_found, NULL, 1);
    fake_answer(1);
    fake.instead = entries_are_refused; /* between the marks */
    fake_answer_all();
    assert_int_equal(w.n, 1);
    assert_int_equal(w.said[0].answer, DIRECTORY_UNSURE);
    fake.instead = NULL;
    assert_answer(0, 1, DIRECTORY_NOBODY, 0);
}

/* Its slot has moved: the commands of a proof, which are for one master, end with null. */
static void what_a_proof_is_not_answered_is_unsure(void **state)
{
    (void)state;
    all_whole();
    for (int cut = 1; cut <= 3; cut++) {
        w.n = 0;
        directory_look_up(w.node[0].d, 1, on_found, NULL, 1);
        fake_answer(cut);
        w.node[0].redis.cut = true;
        fake_answer(1);
        w.node[0].redis.cut = false;
        fake_answer_all();
        assert_int_equal(w.n, 1);
        assert_int_equal(w.said[0].answer, DIRECTORY_UNSURE);
    }
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

/* Others may remember it where it was: who takes it in tells them. */
static void who_left_and_comes_back_elsewhere_has_moved(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    fake_answer_all();
    directory_remove(w.node[0].d, 1);
    fake_answer_all();
    assert_string_equal(entry(1), "~" OWNED_BY_A);
    assert_answer(2, 1, DIRECTORY_NOBODY, 0);
    put(0, 1); /* where it was */
    fake_answer_all();
    assert_int_equal(w.node[0].moved, 0);
    directory_remove(w.node[0].d, 1);
    put(1, 1);
    fake_answer_all();
    assert_int_equal(w.node[1].moved, 1);
    assert_int_equal(w.node[1].last_moved, 1);
    assert_string_equal(entry(1), OWNED_BY_B);
    pass(8000); /* that does not run out */
    assert_string_equal(entry(1), OWNED_BY_B);
}

static void who_has_left_is_remembered_for_a_while(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    put(0, 2);
    fake_answer_all();
    not_here(&w.node[0], 1);
    directory_remove(w.node[0].d, 1);
    fake_answer_all();
    fake.full = true; /* then it is not */
    directory_remove(w.node[0].d, 2);
    fake_answer_all();
    assert_null(entry(2));
    fake.full = false;
    pass(6900);
    assert_string_equal(entry(1), "~" OWNED_BY_A);
    pass(200);
    assert_null(entry(1));
    put(1, 1);
    fake_answer_all();
    assert_int_equal(w.node[1].moved, 0);
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

static void all_see_a_new_link(void)
{
    for (int i = 0; i < NODES; i++)
        directory_on_master(w.node[i].d, 0);
}

/* It was started again from what it had saved. */
static void another_redis_may_know_an_older_truth(void **state)
{
    int scans;

    (void)state;
    all_whole();
    for (uint64_t h = 1; h <= 12; h++)
        put((int)(h % 3), h);
    fake_answer_all();
    scans = fake.scans;
    all_see_a_new_link(); /* the same process: nothing can have become older */
    pass(2000);
    assert_int_equal(fake.scans, scans);
    for (uint64_t h = 1; h <= 3; h++) {
        not_here(&w.node[h % 3], h);
        directory_remove(w.node[h % 3].d, h);
    }
    fake_answer_all();
    assert_true(has_left(1));
    set_entry(1, OWNED_BY_B);
    set_entry(2, "c 00000000000000a2");
    set_entry(3, OWNED_BY_A);
    set_entry(13, "d 00000000000000ee"); /* a node that has ended since */
    for (int i = 0; i < NODES; i++)
        directory_life_ended(w.node[i].d, 0xee);
    fake.run++;
    all_see_a_new_link();
    pass(1500);
    for (uint64_t h = 1; h <= 3; h++)
        assert_true(has_left(h));
    for (uint64_t h = 4; h <= 12; h++)
        assert_non_null(entry(h));
    assert_null(entry(13));
    for (int i = 0; i < NODES; i++)
        assert_true(directory_is_whole(w.node[i].d));
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

static redisReply *scan_fails(const struct fake_command *c)
{
    return strcmp(c->argv[0], "SCAN") == 0 ? fake_text(REDIS_REPLY_ERROR, "ERR") : NULL;
}

static redisReply *info_is_refused(const struct fake_command *c)
{
    return strcmp(c->argv[0], "INFO") == 0 ? fake_text(REDIS_REPLY_ERROR, "NOPERM") : NULL;
}

static void strays_are_looked_for_until_that_succeeds(void **state)
{
    (void)state;
    all_see_a_new_link();
    all_whole();
    set_entry(1, OWNED_BY_B);
    fake.run++;
    fake.instead = scan_fails;
    all_see_a_new_link();
    pass(3000);
    assert_non_null(entry(1));
    fake.instead = NULL;
    pass(2000);
    assert_true(has_left(1));
    /* the link breaks while they are looked for */
    set_entry(1, OWNED_BY_B);
    fake.run++;
    all_see_a_new_link();
    fake_answer_all();
    w.node[1].redis.cut = true;
    pass(3000);
    assert_non_null(entry(1));
    w.node[1].redis.cut = false;
    pass(2000);
    assert_true(has_left(1));
    /* or while the last of its answers are on their way */
    fake_flush();
    set_entry(1, OWNED_BY_B);
    fake.run++;
    directory_on_master(w.node[1].d, 0);
    fake_answer_all();
    w.loop.now_ms = fake.now_ms = w.loop.now_ms + 10;
    wheel_run(&w.loop.wheel, w.loop.now_ms, 100);
    fake_answer(1); /* its only page of keys */
    w.node[1].redis.cut = true;
    fake_answer_all();
    w.node[1].redis.cut = false;
    pass(2500);
    assert_true(has_left(1));
    /* who does not say which process it is may be another one */
    set_entry(1, OWNED_BY_B);
    fake.instead = info_is_refused;
    all_see_a_new_link();
    pass(2000);
    assert_true(has_left(1));
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
    assert_true(has_left(2));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_is_found_where_it_is),
        TEST(the_cache_forgets_the_oldest),
        TEST(answers_come_in_the_order_asked),
        TEST(a_question_overtaken_by_a_move_is_not_kept),
        TEST(a_later_ask_is_not_answered_by_an_earlier_look),
        TEST(nobody_only_when_all_marks_stand),
        TEST(a_flush_between_the_looks_is_seen),
        TEST(an_answer_that_fails_is_told),
        TEST(an_error_is_no_answer_about_a_client),
        TEST(what_a_proof_is_not_answered_is_unsure),
        TEST(a_peer_gone_while_its_answer_waits_is_not_named),
        TEST(a_move_is_told_and_the_old_node_cannot_remove),
        TEST(who_left_and_comes_back_elsewhere_has_moved),
        TEST(who_has_left_is_remembered_for_a_while),
        TEST(entries_of_an_ended_life_are_swept),
        TEST(what_nobody_knows_is_swept_at_the_second_look),
        TEST(another_redis_may_know_an_older_truth),
        TEST(strays_are_looked_for_until_that_succeeds),
        TEST(a_sweep_that_fails_comes_again),
        TEST(a_redis_gone_mad_harms_nobody),
        TEST(a_peer_let_go_for_a_moment_keeps_its_entries),
        TEST(a_close_in_the_middle_leaks_nothing),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
