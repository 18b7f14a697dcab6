#include "net/heavy.h"

#include "unit/net/peer.h"

enum { CONNS = 3 * HEAVY_MOST };

static void ignore(struct conn *c, char *at, size_t len)
{
    (void)c;
    (void)at;
    (void)len;
}

static void forget(struct conn *c)
{
    (void)c;
}

static const struct conn_ops ops = {.on_bytes = ignore, .on_closed = forget};

/* Connections of which the i-th is refused bytes by its peer: the more the higher its weight[i]. */
struct site {
    struct world w;
    int peer[CONNS];
    struct conn_id id[CONNS];
    size_t count;
};

static void site_open(struct site *s)
{
    *s = (struct site){.count = 0};
    world_open(&s->w);
    s->w.limits.queue_bytes = 10000000;
}

static void site_add(struct site *s, size_t weight)
{
    struct frame *f = frame_new(FRAME_ANSWER, weight);
    struct conn *c;
    int ours;

    memset(f->at, 'x', weight);
    world_pair(&ours, &s->peer[s->count], 4096);
    assert_int_equal(conn_open(&s->w.net, ours, &ops, NULL, &c), ERR_OK);
    s->id[s->count++] = conn_name(c);
    if (weight)
        assert_int_equal(conn_push(c, f), ERR_OK);
    frame_unref(f);
}

static bool is_there(struct site *s, size_t i)
{
    return conn_find(&s->w.net, s->id[i]) != NULL;
}

static void site_close(struct site *s)
{
    size_t i;

    for (i = 0; i < s->count; i++)
        close(s->peer[i]);
    world_close(&s->w);
}

static void the_heaviest_are_closed_first(void **state)
{
    struct heavy h;
    struct site s;

    (void)state;
    site_open(&s);
    site_add(&s, 200000);
    site_add(&s, 400000);
    site_add(&s, 0);
    site_add(&s, 300000);
    world_turns(&s.w, 20);
    heavy_init(&h);
    assert_true(heavy_look(&h, &s.w.net, 1000));
    assert_int_equal(h.len, 3);
    assert_true(heavy_close(&h, &s.w.net));
    assert_true(is_there(&s, 0) && !is_there(&s, 1) && is_there(&s, 2) && is_there(&s, 3));
    assert_true(heavy_close(&h, &s.w.net));
    assert_true(is_there(&s, 0) && is_there(&s, 2) && !is_there(&s, 3));
    assert_true(heavy_close(&h, &s.w.net));
    assert_false(heavy_close(&h, &s.w.net));
    assert_false(is_there(&s, 0));
    assert_true(is_there(&s, 2));
    site_close(&s);
}

/* What the kernel has not been asked to take yet is no sign of a slow reader. */
static void what_is_on_its_way_does_not_count(void **state)
{
    struct heavy h;
    struct site s;

    (void)state;
    site_open(&s);
    site_add(&s, 400000);
    heavy_init(&h);
    assert_true(heavy_look(&h, &s.w.net, 1000));
    assert_int_equal(h.len, 0);
    assert_false(heavy_close(&h, &s.w.net));
    site_close(&s);
}

/* One who has gone meanwhile is passed over. */
static void a_round_may_take_several_looks(void **state)
{
    struct heavy h;
    struct site s;
    size_t i;

    (void)state;
    site_open(&s);
    for (i = 0; i < CONNS; i++)
        site_add(&s, 100000 + 1000 * (i * 37 % CONNS));
    world_turns(&s.w, 200);
    heavy_init(&h);
    assert_false(heavy_look(&h, &s.w.net, 1));
    assert_int_equal(h.len, 1);
    while (!heavy_look(&h, &s.w.net, 7)) {
    }
    assert_int_equal(h.len, HEAVY_MOST);
    for (i = 1; i < HEAVY_MOST; i++)
        assert_true(h.of[i - 1].bytes <= h.of[i].bytes);
    for (i = 0; i < CONNS; i++) /* the last third by weight, and those only */
        if (i * 37 % CONNS == CONNS - 1)
            conn_close(conn_find(&s.w.net, s.id[i]), CONN_END_OURS);
    for (i = 1; i < HEAVY_MOST; i++)
        assert_true(heavy_close(&h, &s.w.net));
    assert_false(heavy_close(&h, &s.w.net));
    for (i = 0; i < CONNS; i++)
        assert_int_equal(is_there(&s, i), i * 37 % CONNS < CONNS - HEAVY_MOST);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heaviest_are_closed_first),
        cmocka_unit_test(what_is_on_its_way_does_not_count),
        cmocka_unit_test(a_round_may_take_several_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
