#include "cluster/directory.h"

#include "unit/cluster/directory_site.h"

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
    assert_int_equal(w.said[0].answer, DIRECTORY_UNWRITTEN);
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

/* The link breaks under a put: the mark says that all are written, and cannot be taken back. */
static void a_mark_misleads_until_it_is_gone(void **state)
{
    struct node *a = &w.node[0];

    (void)state;
    all_whole();
    assert_false(directory_may_mislead(a->d));
    for (uint64_t hash = 1; hash <= 2; hash++) {
        a->redis.cut = true;
        here(a, hash);
        directory_put(a->d, hash, on_put, NULL, 1);
        fake_answer_all();
        assert_true(directory_may_mislead(a->d));
        assert_answer(1, hash, DIRECTORY_NOBODY, 0);
        a->redis.cut = false;
        if (hash == 2) { /* a new link, before the mark has run out */
            directory_on_master(a->d, 0);
            fake_answer(2); /* which process it is, and that the mark is gone */
            assert_false(directory_may_mislead(a->d));
            assert_answer(1, hash, DIRECTORY_FOUND, 1);
            continue;
        }
        a->redis.cut = true;
        pass(directory_mark_ms(a->d));
        assert_false(directory_may_mislead(a->d));
        assert_answer(1, hash, DIRECTORY_UNSURE, 0);
        a->redis.cut = false;
        pass(2000);
        assert_true(directory_is_whole(a->d));
        not_here(a, hash);
        directory_remove(a->d, hash);
        fake_answer_all();
    }
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
    assert_true(has_left(2));
}

static void writing_again_does_not_touch_newer_entries(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    put(0, 2);
    put(0, 3);
    put(0, 4);
    put(0, 5);
    fake_answer_all();
    set_entry(1, OWNED_BY_B); /* moved, and we have not heard of it */
    fake_del("pushca:client:0000000000000002");
    set_entry(3, "gone 00000000000000dd"); /* nobody knows (yet) */
    set_entry(4, "junk");
    set_entry(5, "~" OWNED_BY_B); /* moved, and has left there */
    directory_on_master(w.node[0].d, 0);
    fake_answer_all();
    assert_string_equal(entry(1), OWNED_BY_B);
    assert_int_equal(w.node[0].contests, 1);
    assert_int_equal(w.node[0].contested, 1);
    assert_int_equal(w.node[0].contested_by, 2);
    assert_string_equal(entry(2), OWNED_BY_A);
    assert_string_equal(entry(3), "gone 00000000000000dd");
    assert_string_equal(entry(4), OWNED_BY_A);
    assert_string_equal(entry(5), OWNED_BY_A);
    assert_false(directory_is_whole(w.node[0].d));
    pass(2000);
    assert_in_range(w.node[0].contests, 4, 6); /* until that is decided */
    not_here(&w.node[0], 1);
    pass(9000);
    assert_in_range(w.node[0].contests, 4, 6);
    assert_string_equal(entry(1), OWNED_BY_B);
    assert_string_equal(entry(3), OWNED_BY_A); /* nobody came */
    assert_true(directory_is_whole(w.node[0].d));
}

/* B had it when Redis stopped, and has lost it since. */
static void a_contest_ends_when_the_other_has_lost(void **state)
{
    (void)state;
    all_whole();
    put(0, 1);
    fake_answer_all();
    set_entry(1, OWNED_BY_B);
    directory_on_master(w.node[0].d, 0);
    fake_answer_all();
    assert_int_equal(w.node[0].contests, 1);
    directory_remove(w.node[1].d, 1);
    pass(1000);
    assert_int_equal(w.node[0].contests, 1);
    assert_string_equal(entry(1), OWNED_BY_A);
    assert_true(directory_is_whole(w.node[0].d));
}

/* Who came while nothing could be written came later than whoever is written. */
static void a_failed_put_needs_no_contest(void **state)
{
    (void)state;
    all_whole();
    put(1, 1);
    fake_answer_all();
    fake.full = true;
    put(0, 1);
    fake_answer_all();
    assert_string_equal(entry(1), OWNED_BY_B);
    fake.full = false;
    pass(2000);
    assert_int_equal(w.node[0].contests, 0);
    assert_string_equal(entry(1), OWNED_BY_A);
    assert_int_equal(w.node[0].moved, 1);
    /* unless it is known that it has moved on */
    fake.full = true;
    put(0, 2);
    fake_answer_all();
    fake.full = false;
    put(1, 2);
    fake_answer_all();
    not_here(&w.node[0], 2);
    directory_give_up(w.node[0].d, 2);
    pass(2000);
    assert_string_equal(entry(2), OWNED_BY_B);
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
    assert_true(has_left(2));
    assert_true(has_left(3));
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
    assert_true(has_left(1));
    assert_string_equal(entry(2), OWNED_BY_A);
    assert_string_equal(entry(3), OWNED_BY_A);
}

/* Between an entry and the mark, or twice: what was written is gone, and no link has broken. */
static void a_flush_in_the_middle_of_a_list_is_noticed(void **state)
{
    struct node *n = &w.node[0];

    (void)state;
    n->lists_late = true;
    here(n, 1);
    here(n, 2);
    directory_beat(n->d);
    fake_answer_all();
    assert_int_equal(n->lists, 1);
    directory_put_again(n->d, 1);
    fake_answer_all();
    assert_string_equal(entry(1), OWNED_BY_A);
    fake_flush();
    directory_put_again(n->d, 2);
    n->lists_late = false;
    directory_listed(n->d);
    fake_answer_all();
    assert_string_equal(entry(1), OWNED_BY_A); /* from the start */
    assert_string_equal(entry(2), OWNED_BY_A);
    assert_true(directory_is_whole(n->d));
    assert_int_equal(n->lists, 2);
}

/* One that takes longer than a mark stands. */
static void a_long_list_keeps_its_place(void **state)
{
    struct node *n = &w.node[0];

    (void)state;
    n->lists_late = true;
    here(n, 1);
    pass(1000);
    directory_put_again(n->d, 1);
    pass(9000);
    assert_int_equal(n->lists, 1);
    directory_listed(n->d);
    fake_answer_all();
    assert_true(directory_is_whole(n->d));
    assert_int_equal(n->lists, 1);
    assert_answer(1, 9, DIRECTORY_NOBODY, 0);
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
    pass(2000);
    assert_string_equal(entry(1), OWNED_BY_A);
    assert_string_equal(entry(2), "junk");
    assert_string_equal(entry(4), OWNED_BY_A);
    assert_answer(0, 0x11, DIRECTORY_NOBODY, 0);
    fake.masters = 1;
    pass(1000);
    assert_answer(0, 0x11, DIRECTORY_NOBODY, 0);
    fake.masters = 2;
    pass(1000);
    assert_answer(0, 0x11, DIRECTORY_NOBODY, 0);
}

/* Slots move from one to the next, one every 300 ms: all is written again when that is over. */
static void masters_that_change_are_waited_for(void **state)
{
    struct node *n = &w.node[0];
    int lists;

    (void)state;
    fake.masters = 3;
    for (uint32_t i = 0; i < 3; i++)
        directory_on_master(n->d, i);
    fake_answer_all();
    assert_true(directory_is_whole(n->d)); /* the first time at once */
    put(0, 1);
    put(0, 2);
    fake_answer_all();
    lists = n->lists;
    for (int i = 0; i < 20; i++) {
        directory_on_master(n->d, 1);
        directory_on_master(n->d, 2);
        pass(300);
        assert_null(fake_get("pushca:whole:{t1}:a"));
        assert_non_null(fake_get("pushca:whole:{t0}:a"));
        assert_answer(1, 0x11, DIRECTORY_UNSURE, 0); /* '1' % 3 == 1 */
    }
    assert_int_equal(n->lists, lists);
    fake_del("pushca:client:0000000000000001");
    pass(1500);
    assert_in_range(n->lists, lists + 1, lists + 2); /* together, or each its own */
    assert_string_equal(entry(1), OWNED_BY_A);
    assert_true(directory_is_whole(n->d));
    /* another life does not wait either */
    n->members.set.life = 0xb0;
    directory_begin(n->d, 0xb0);
    fake_answer_all();
    assert_true(directory_is_whole(n->d));
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

/* 9,000 clients: more than go at once. */
static void writing_again_is_bounded(void **state)
{
    struct node *n = &w.node[0];

    (void)state;
    n->lists_late = true;
    directory_close(n->d);
    {
        const struct directory_settings set = {"pushca", "a", 0xa0, 0, 0, 2000};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_redis_takes_the_mark),
        TEST(a_mark_misleads_until_it_is_gone),
        TEST(a_failed_put_is_wanted_until_removed),
        TEST(writing_again_does_not_touch_newer_entries),
        TEST(a_contest_ends_when_the_other_has_lost),
        TEST(a_failed_put_needs_no_contest),
        TEST(a_client_that_leaves_while_listed_stays_away),
        TEST(a_remove_that_was_lost_is_repeated),
        TEST(a_flush_in_the_middle_of_a_list_is_noticed),
        TEST(a_long_list_keeps_its_place),
        TEST(lost_marks_are_noticed),
        TEST(marks_are_taken_back_at_the_end),
        TEST(a_mark_runs_out_with_its_node),
        TEST(every_master_has_its_part),
        TEST(masters_that_change_are_waited_for),
        TEST(a_new_life_writes_all_again),
        TEST(writing_again_is_bounded),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
