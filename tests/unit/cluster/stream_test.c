#include "cluster/stream.h"

#include "base/mem.h"
#include "unit/base/dice.h"

static const struct envelope_limits limits = {.dimension_bytes = 256, .exclude_entries = 16};

/* An item that carries a number, and is `more` bytes longer than it has to be. */
static struct piece *numbered(uint64_t n, size_t more)
{
    char text[2048];
    struct envelope e = {.kind = ENVELOPE_SEND, .name = n + 1};

    memset(text, 'x', sizeof(text));
    e.text = bytes_of(text, more);
    return piece_new(&e, NULL);
}

static uint64_t number_of(struct bytes item)
{
    struct envelope e;
    struct arena arena;

    arena_init(&arena);
    assert_int_equal(envelope_read(item, &limits, &arena, &e), ERR_OK);
    arena_fini(&arena);
    return e.name - 1;
}

static void push(struct stream *s, uint64_t n, size_t more)
{
    struct piece *p = numbered(n, more);

    stream_push(s, p);
    piece_unref(p);
}

/* ---- one side ---- */

static void gives_what_fits_and_at_least_one(void **state)
{
    struct stream s;
    struct buf out = {0};
    uint64_t first;
    size_t one;

    (void)state;
    stream_init(&s, 1, 1000);
    assert_false(stream_has_unsent(&s));
    assert_int_equal(stream_take(&s, 100, &out, &first, 1), 0);
    assert_int_equal(first, 0);
    for (uint64_t n = 0; n < 10; n++)
        push(&s, n, 50);
    one = (s.bytes - 10 * PIECE_EXTRA) / 10;
    assert_int_equal(stream_take(&s, 1, &out, &first, 1), 1);
    assert_int_equal(out.len, one);
    assert_int_equal(stream_take(&s, 3 * one, &out, &first, 1), 3);
    assert_int_equal(first, 1);
    assert_int_equal(stream_take(&s, 4 * one - 1, &out, &first, 1), 3);
    assert_int_equal(stream_take(&s, 0, &out, &first, 1), 1);
    assert_int_equal(stream_take(&s, 1000000, &out, &first, 1), 2);
    assert_int_equal(first, 8);
    assert_false(stream_has_unsent(&s));
    assert_int_equal(out.len, 10 * one);
    buf_fini(&out);
    stream_fini(&s);
    stream_fini(&s);
}

static void the_window_counts_what_is_unconfirmed(void **state)
{
    struct stream s;
    struct buf out = {0};
    uint64_t first;
    size_t one;

    (void)state;
    stream_init(&s, 1, 4 * 100);
    for (uint64_t n = 0; n < 4; n++) {
        struct piece *p = numbered(n, 0);

        one = p->len;
        push(&s, n, 100 - PIECE_EXTRA - one - 4); /* text has a length of its own */
        assert_int_equal(stream_is_full(&s), n == 3);
        piece_unref(p);
    }
    assert_int_equal(s.bytes, 400);
    assert_int_equal(stream_confirm(&s, 1, 5), ERR_BAD); /* nothing was sent */
    assert_int_equal(stream_take(&s, 1 << 20, &out, &first, 5), 4);
    assert_true(stream_is_full(&s));
    assert_int_equal(stream_confirm(&s, 5, 5), ERR_BAD);
    assert_int_equal(stream_confirm(&s, UINT64_MAX, 5), ERR_BAD);
    assert_int_equal(s.bytes, 400);
    assert_int_equal(stream_confirm(&s, 1, 5), ERR_OK);
    assert_false(stream_is_full(&s));
    assert_int_equal(s.bytes, 300);
    assert_int_equal(stream_confirm(&s, 0, 5), ERR_OK); /* came late */
    assert_int_equal(s.bytes, 300);
    stream_rewind(&s);
    assert_true(stream_has_unsent(&s));
    assert_int_equal(stream_confirm(&s, 3, 5), ERR_OK); /* sent before the rewind */
    assert_int_equal(stream_take(&s, 1 << 20, &out, &first, 5), 1);
    assert_int_equal(first, 3);
    assert_int_equal(stream_confirm(&s, 4, 5), ERR_OK);
    assert_int_equal(s.bytes, 0);
    buf_fini(&out);
    stream_fini(&s);
}

static void waits_from_the_last_progress_on(void **state)
{
    struct stream s;
    struct buf out = {0};
    uint64_t first;

    (void)state;
    stream_init(&s, 1, 1000);
    push(&s, 0, 0);
    push(&s, 1, 0);
    assert_int_equal(stream_waits_ms(&s, 100), 0);
    assert_int_equal(stream_take(&s, 1, &out, &first, 100), 1);
    assert_int_equal(stream_waits_ms(&s, 150), 50);
    assert_int_equal(stream_take(&s, 1, &out, &first, 180), 1);
    assert_int_equal(stream_waits_ms(&s, 200), 100); /* sending more is no progress */
    assert_int_equal(stream_confirm(&s, 1, 210), ERR_OK);
    assert_int_equal(stream_waits_ms(&s, 220), 10);
    stream_rewind(&s);
    assert_int_equal(stream_waits_ms(&s, 300), 0);
    assert_int_equal(stream_take(&s, 1, &out, &first, 300), 1);
    assert_int_equal(stream_waits_ms(&s, 301), 1);
    assert_int_equal(stream_confirm(&s, 2, 310), ERR_OK);
    assert_int_equal(stream_waits_ms(&s, 400), 0);
    buf_fini(&out);
    stream_fini(&s);
}

static void complains_of_a_gap_now_and_then(void **state)
{
    struct stream s;
    struct batch b = {.flags = 0};

    (void)state;
    stream_init(&s, 1, 1000);
    assert_int_equal(stream_accept(&s, 0, 10), STREAM_TAKE);
    assert_true(s.owes_ack);
    assert_int_equal(s.owes_since_ms, 10);
    stream_acked(&s, 11);
    assert_false(s.owes_ack);
    assert_int_equal(stream_accept(&s, 2, 12), STREAM_GAP);
    assert_true(s.misses);
    stream_head(&s, &b);
    assert_int_equal(b.flags, BATCH_MISSING);
    assert_int_equal(b.seen, 1);
    stream_acked(&s, 12);
    assert_int_equal(stream_accept(&s, 3, 13), STREAM_GAP);
    assert_false(s.misses);
    assert_int_equal(stream_accept(&s, 4, 12 + STREAM_ASK_APART_MS), STREAM_GAP);
    assert_true(s.misses);
    assert_int_equal(stream_accept(&s, 1, 300), STREAM_TAKE);
    assert_false(s.misses);
    assert_int_equal(stream_accept(&s, 0, 301), STREAM_OLD);
    assert_int_equal(stream_accept(&s, 3, 302), STREAM_GAP); /* another gap: at once */
    assert_true(s.misses);
    stream_fini(&s);
}

static void old_items_are_owed_a_confirmation(void **state)
{
    struct stream s;

    (void)state;
    stream_init(&s, 1, 1000);
    assert_int_equal(stream_accept(&s, 0, 10), STREAM_TAKE);
    stream_acked(&s, 10);
    assert_int_equal(stream_accept(&s, 0, 20), STREAM_OLD);
    assert_true(s.owes_ack);
    assert_int_equal(s.owes_since_ms, 20);
    stream_fini(&s);
}

static void what_is_held_back_is_confirmed_later(void **state)
{
    struct stream s;
    struct batch b = {.flags = 0};

    (void)state;
    stream_init(&s, 1, 1000);
    assert_int_equal(stream_accept(&s, 0, 10), STREAM_TAKE);
    stream_hold(&s, true);
    stream_head(&s, &b);
    assert_int_equal(b.seen, 0);
    stream_hold(&s, false);
    stream_head(&s, &b);
    assert_int_equal(b.seen, 1);
    stream_acked(&s, 11);
    assert_false(s.owes_ack);
    stream_hold(&s, true);
    assert_int_equal(stream_accept(&s, 1, 12), STREAM_TAKE);
    assert_int_equal(stream_accept(&s, 0, 13), STREAM_OLD);
    stream_head(&s, &b);
    assert_int_equal(b.seen, 1);
    stream_acked(&s, 14);
    assert_true(s.owes_ack);
    assert_int_equal(s.owes_since_ms, 12);
    stream_hold(&s, false);
    stream_head(&s, &b);
    assert_int_equal(b.seen, 2);
    stream_acked(&s, 15);
    assert_false(s.owes_ack);
    stream_fini(&s);
}

static void an_empty_batch_tells_what_was_lost_before_it(void **state)
{
    struct stream a, b;
    struct batch beat = {.flags = BATCH_BEAT};
    struct buf lost = {0};
    uint64_t first;

    (void)state;
    stream_init(&a, 1, 1000);
    stream_init(&b, 1, 1000);
    push(&a, 0, 0);
    assert_int_equal(stream_take(&a, 1000, &lost, &first, 1), 1);
    stream_head(&a, &beat);
    assert_int_equal(beat.first, 1);
    assert_int_equal(stream_read(&b, &beat, 2), ERR_OK);
    assert_true(b.misses);
    stream_head(&b, &beat);
    assert_int_equal(stream_read(&a, &beat, 3), ERR_OK);
    assert_true(stream_has_unsent(&a));
    buf_fini(&lost);
    stream_fini(&a);
    stream_fini(&b);
}

static void a_late_complaint_rewinds_nothing(void **state)
{
    struct stream s;
    struct buf out = {0};
    struct batch late = {.flags = BATCH_MISSING, .epoch = 1, .to_epoch = 1, .seen = 0};
    uint64_t first;

    (void)state;
    stream_init(&s, 1, 1000);
    push(&s, 0, 0);
    push(&s, 1, 0);
    assert_int_equal(stream_take(&s, 1000, &out, &first, 1), 2);
    assert_int_equal(stream_confirm(&s, 1, 2), ERR_OK);
    assert_int_equal(stream_read(&s, &late, 3), ERR_OK);
    assert_false(stream_has_unsent(&s));
    late.seen = 1;
    late.to_epoch = 2;
    assert_int_equal(stream_read(&s, &late, 3), ERR_OK);
    assert_false(stream_has_unsent(&s));
    late.to_epoch = 1;
    assert_int_equal(stream_read(&s, &late, 3), ERR_OK);
    assert_true(stream_has_unsent(&s));
    buf_fini(&out);
    stream_fini(&s);
}

static void nonsense_changes_nothing(void **state)
{
    struct stream s;
    struct batch b = {.epoch = 3, .to_epoch = 1, .oldest = 5, .first = 6, .seen = 0};

    (void)state;
    stream_init(&s, 1, 1000);
    b.seen = 1;
    assert_int_equal(stream_read(&s, &b, 1), ERR_BAD); /* nothing was ever sent */
    b.seen = 0;
    b.first = 4;
    assert_int_equal(stream_read(&s, &b, 1), ERR_BAD);
    b.first = 6;
    b.epoch = 0;
    assert_int_equal(stream_read(&s, &b, 1), ERR_BAD);
    assert_int_equal(s.their_epoch, 0);
    b.epoch = 3;
    assert_int_equal(stream_read(&s, &b, 1), ERR_OK);
    assert_int_equal(s.their_epoch, 3);
    assert_int_equal(s.expected, 5);
    b.epoch = 2;
    assert_int_equal(stream_read(&s, &b, 1), ERR_GONE);
    b.epoch = 4;
    b.oldest = 0;
    assert_int_equal(stream_read(&s, &b, 1), ERR_OK);
    assert_int_equal(s.expected, 0);
    stream_fini(&s);
}

struct forgotten {
    uint64_t next, unread, read; /* from unread to below read they may be */
};

static void see_item(void *context, struct bytes item, bool may_be_read, struct receipt *waits)
{
    (void)waits;
    struct forgotten *f = context;

    assert_int_equal(number_of(item), f->next);
    assert_int_equal(may_be_read, f->next >= f->unread && f->next < f->read);
    f->next++;
}

static void forgets_what_is_unconfirmed_oldest_first(void **state)
{
    struct stream s;
    struct buf out = {0};
    struct forgotten f = {.next = 400};
    uint64_t first;
    int64_t before = mem_held();

    (void)state;
    stream_init(&s, 1, 1000);
    for (uint64_t n = 0; n < 1000; n++)
        push(&s, n, 10);
    f.read = stream_take(&s, 20000, &out, &first, 1);
    assert_in_range(f.read, 401, 999);
    stream_published(&s);
    assert_int_equal(stream_confirm(&s, 400, 1), ERR_OK);
    stream_rewind(&s); /* sent is sent, also when it will be sent again */
    stream_doubt(&s, 0, f.read);
    stream_forget(&s, see_item, &f);
    assert_int_equal(f.next, 1000);
    assert_int_equal(s.bytes, 0);
    assert_int_equal(s.count, 0);
    assert_false(stream_has_unsent(&s));
    buf_fini(&out);
    stream_fini(&s);
    assert_int_equal(mem_held(), before);
}

/* Of what was sent, that which the bus gave to nobody was read by nobody. */
static void who_did_not_hear_has_not_read(void **state)
{
    struct stream s;
    struct buf out = {0};
    struct forgotten f = {.next = 0, .read = 2};
    uint64_t first;

    (void)state;
    stream_init(&s, 1, 1000);
    for (uint64_t n = 0; n < 5; n++)
        push(&s, n, 10);
    for (uint64_t end = 1; end <= 4; end++) {
        assert_int_equal(stream_take(&s, 1, &out, &first, 1), 1);
        stream_published(&s);
        stream_answered(&s, end, end == 2);
    }
    stream_published(&s);
    stream_doubt(&s, 4,
                 4); /* a beat without items, on its way, makes no doubt of what was before */
    stream_forget(&s, see_item, &f);
    assert_int_equal(f.next, 5);
    buf_fini(&out);
    stream_fini(&s);
}

static void a_piece_is_shared(void **state)
{
    struct stream a, b;
    struct piece *p = numbered(7, 0);
    struct forgotten f = {.next = 7};

    (void)state;
    stream_init(&a, 1, 1000);
    stream_init(&b, 2, 1000);
    stream_push(&a, p);
    stream_push(&b, p);
    assert_int_equal(p->refs, 3);
    piece_unref(p);
    stream_fini(&a);
    stream_forget(&b, see_item, &f);
    assert_int_equal(f.next, 8);
    stream_fini(&b);
    piece_unref(NULL);
}

/* ---- a model: two nodes, and a bus that loses, repeats, reorders and delays ---- */

enum { STEPS = 300000, BUS_MOST = 64, RESEND_MS = 1000, WINDOW = 6000 };

struct node {
    struct stream s;
    uint64_t pushed; /* the next item to push carries this number */
    uint64_t came;   /* the next that may come from the other carries this one */
    size_t *sizes;   /* of pushed ones, PIECE_EXTRA included */
    uint64_t life;
    uint32_t epoch;
};

struct model {
    struct dice dice;
    struct node nodes[2];
    struct {
        struct buf batch;
        int to;
    } bus[BUS_MOST];
    size_t on_bus;
    int64_t now_ms;
    struct arena arena;
    uint64_t batches, lost, repeated, swapped, gaps, rewinds;
};

static size_t held(const struct node *n, uint64_t first)
{
    size_t sum = 0;

    for (uint64_t i = first; i < n->pushed; i++)
        sum += n->sizes[i];
    return sum;
}

static void push_some(struct model *m, struct node *n)
{
    size_t many = 1 + dice_roll(&m->dice, 5);

    while (many-- && !stream_is_full(&n->s)) {
        size_t more = dice_roll(&m->dice, 10) ? dice_roll(&m->dice, 60) : dice_roll(&m->dice, 1500);
        struct piece *p = numbered(n->pushed, more);

        if (n->pushed % 1024 == 0)
            n->sizes = mem_resize(n->sizes, (n->pushed + 1024) * sizeof(*n->sizes));
        n->sizes[n->pushed++] = p->len + PIECE_EXTRA;
        stream_push(&n->s, p);
        piece_unref(p);
    }
}

static void give_to_bus(struct model *m, struct bytes batch, int to)
{
    if (m->on_bus == BUS_MOST || dice_roll(&m->dice, 100) < 15) {
        m->lost++;
        return;
    }
    m->bus[m->on_bus].batch = (struct buf){0};
    m->bus[m->on_bus].to = to;
    buf_add(&m->bus[m->on_bus].batch, batch);
    m->on_bus++;
    if (dice_roll(&m->dice, 100) < 10) {
        m->repeated++;
        give_to_bus(m, batch, to);
    }
}

static void send_batch(struct model *m, int from)
{
    struct node *n = &m->nodes[from];
    struct batch b = {.from = BYTES("n"), .from_life = n->life, .to_life = m->nodes[!from].life};
    struct buf out = {0};
    uint64_t first;

    stream_head(&n->s, &b);
    batch_write(&out, &b);
    stream_take(&n->s, dice_roll(&m->dice, 400), &out, &first, m->now_ms);
    assert_int_equal(first, b.first);
    stream_acked(&n->s, m->now_ms);
    m->batches++;
    give_to_bus(m, buf_bytes(&out), !from);
    buf_fini(&out);
}

static void read_item(struct model *m, struct node *n, struct bytes item)
{
    struct envelope e;

    arena_reset(&m->arena);
    assert_int_equal(envelope_read(item, &limits, &m->arena, &e), ERR_OK);
    assert_int_equal(e.name - 1, n->came);
    n->came++;
}

static void read_batch(struct model *m, struct node *n, struct bytes text)
{
    struct batch b;
    struct bytes item;
    enum err e;

    assert_int_equal(batch_read(text, &b), ERR_OK);
    e = stream_read(&n->s, &b, m->now_ms);
    assert_true(e == ERR_OK || e == ERR_GONE);
    if (e)
        return;
    m->rewinds += n->s.sent == 0 && b.flags & BATCH_MISSING;
    for (uint64_t number = b.first; b.items.len; number++) {
        enum stream_verdict v = stream_accept(&n->s, number, m->now_ms);

        assert_int_equal(batch_next(&b.items, &item), ERR_OK);
        if (v == STREAM_TAKE)
            read_item(m, n, item);
        m->gaps += v == STREAM_GAP;
    }
}

/* Mostly the oldest; sometimes any. */
static void deliver(struct model *m)
{
    size_t i = 0;
    struct buf batch;
    int to;

    if (m->on_bus == 0)
        return;
    if (dice_roll(&m->dice, 10) == 0)
        i = dice_roll(&m->dice, m->on_bus);
    m->swapped += i > 0;
    batch = m->bus[i].batch;
    to = m->bus[i].to;
    m->on_bus--;
    memmove(&m->bus[i], &m->bus[i + 1], (m->on_bus - i) * sizeof(m->bus[0]));
    read_batch(m, &m->nodes[to], buf_bytes(&batch));
    buf_fini(&batch);
}

static void let_time_pass(struct model *m, int64_t ms)
{
    m->now_ms += ms;
    for (int i = 0; i < 2; i++) {
        struct stream *s = &m->nodes[i].s;

        if (stream_waits_ms(s, m->now_ms) >= RESEND_MS)
            stream_rewind(s);
        if ((s->owes_ack && m->now_ms - s->owes_since_ms >= 20) || s->misses)
            send_batch(m, i);
    }
}

/* What is held is what the other side did not confirm, and no confirmed item has not come. */
static void check_sides(const struct model *m)
{
    for (int i = 0; i < 2; i++) {
        const struct node *n = &m->nodes[i], *other = &m->nodes[!i];
        uint64_t first = n->pushed - n->s.count;

        assert_true(first <= other->came && other->came <= n->pushed);
        assert_true(n->s.sent <= n->s.known && n->s.known <= n->s.count);
        assert_int_equal(n->s.bytes, held(n, first));
        assert_int_equal(stream_is_full(&n->s), n->s.bytes >= WINDOW);
    }
}

static void model_open(struct model *m, const char *what)
{
    *m = (struct model){.dice = dice_new(what), .now_ms = 1};
    arena_init(&m->arena);
    for (int i = 0; i < 2; i++) {
        m->nodes[i].life = (uint64_t)i + 1;
        m->nodes[i].epoch = 1;
        stream_init(&m->nodes[i].s, 1, WINDOW);
    }
}

static void model_close(struct model *m)
{
    while (m->on_bus)
        buf_fini(&m->bus[--m->on_bus].batch);
    for (int i = 0; i < 2; i++) {
        stream_fini(&m->nodes[i].s);
        mem_free(m->nodes[i].sizes);
    }
    arena_fini(&m->arena);
}

static void one_step(struct model *m)
{
    size_t what = dice_roll(&m->dice, 100);
    int who = (int)dice_roll(&m->dice, 2);

    if (what < 20)
        push_some(m, &m->nodes[who]);
    else if (what < 45)
        send_batch(m, who);
    else if (what < 95)
        deliver(m);
    else if (what < 99)
        let_time_pass(m, (int64_t)dice_roll(&m->dice, 300));
    else
        stream_hold(&m->nodes[who].s, dice_roll(&m->dice, 4) == 0);
}

/* No more pushing, and a bus that loses as before: everything arrives. */
static void come_to_rest(struct model *m)
{
    for (int i = 0; i < 2; i++)
        stream_hold(&m->nodes[i].s, false);
    for (int round = 0; round < 100000; round++) {
        if (!m->nodes[0].s.count && !m->nodes[1].s.count)
            return;
        let_time_pass(m, (int64_t)dice_roll(&m->dice, 100));
        for (int i = 0; i < 2; i++)
            if (stream_has_unsent(&m->nodes[i].s))
                send_batch(m, i);
        while (m->on_bus)
            deliver(m);
    }
    fail_msg("it does not come to rest");
}

static void everything_arrives_once_and_in_order(void **state)
{
    struct model m;

    (void)state;
    model_open(&m, "stream");
    for (int i = 0; i < STEPS; i++) {
        one_step(&m);
        if (i % 16 == 0)
            check_sides(&m);
    }
    come_to_rest(&m);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(m.nodes[i].pushed, m.nodes[!i].came);
        assert_int_equal(m.nodes[i].s.bytes, 0);
    }
    printf("%llu + %llu items in %llu batches, %llu lost, %llu repeated, %llu swapped; %llu items "
           "past a gap, %llu rewinds\n",
           (unsigned long long)m.nodes[0].pushed, (unsigned long long)m.nodes[1].pushed,
           (unsigned long long)m.batches, (unsigned long long)m.lost,
           (unsigned long long)m.repeated, (unsigned long long)m.swapped,
           (unsigned long long)m.gaps, (unsigned long long)m.rewinds);
    assert_true(m.nodes[0].pushed > STEPS / 100 && m.gaps > 100 && m.rewinds > 100);
    model_close(&m);
}

/* ---- one of them takes the other for dead, again and again ---- */

struct told {
    uint64_t next;
    size_t *sizes;
};

static void see_forgotten(void *context, struct bytes item, bool may_be_read, struct receipt *waits)
{
    (void)waits;
    struct told *t = context;

    (void)may_be_read;
    assert_int_equal(number_of(item), t->next);
    t->sizes[t->next++] = 0; /* from now on: forgotten */
}

/* The node forgets the other: what it tells of is everything unconfirmed, which may or may not have
   come. A new stream begins; the other one's goes on without a repeat. */
static void forget_other(struct model *m, int who)
{
    struct node *n = &m->nodes[who];
    struct told told = {n->pushed - n->s.count, n->sizes};
    struct stream earlier;

    stream_forget(&n->s, see_forgotten, &told);
    assert_int_equal(told.next, n->pushed);
    earlier = n->s;
    stream_init(&n->s, ++n->epoch, WINDOW);
    stream_inherit(&n->s, &earlier);
    stream_fini(&earlier);
}

/* What does not come has been forgotten. */
static void miss_until(struct model *m, struct node *n, uint64_t number)
{
    const struct node *other = &m->nodes[n == &m->nodes[0]];

    assert_true(n->came <= number);
    while (n->came < number)
        assert_int_equal(other->sizes[n->came++], 0);
}

static void read_item_after_forgetting(struct model *m, struct node *n, struct bytes item)
{
    struct envelope e;

    arena_reset(&m->arena);
    assert_int_equal(envelope_read(item, &limits, &m->arena, &e), ERR_OK);
    miss_until(m, n, e.name - 1);
    n->came = e.name;
}

static void drain(struct model *m)
{
    struct buf batch;
    struct batch b;
    struct bytes item;

    while (m->on_bus) {
        struct node *n = &m->nodes[m->bus[0].to];

        batch = m->bus[0].batch;
        m->on_bus--;
        memmove(&m->bus[0], &m->bus[1], m->on_bus * sizeof(m->bus[0]));
        assert_int_equal(batch_read(buf_bytes(&batch), &b), ERR_OK);
        if (stream_read(&n->s, &b, m->now_ms) == ERR_OK)
            for (uint64_t number = b.first; b.items.len; number++) {
                assert_int_equal(batch_next(&b.items, &item), ERR_OK);
                if (stream_accept(&n->s, number, m->now_ms) == STREAM_TAKE)
                    read_item_after_forgetting(m, n, item);
            }
        buf_fini(&batch);
    }
}

static void a_life_taken_for_dead_goes_on_without_repeats(void **state)
{
    struct model m;

    (void)state;
    model_open(&m, "stream forgets");
    for (int i = 0; i < 20000; i++) {
        int who = (int)dice_roll(&m.dice, 2);

        push_some(&m, &m.nodes[who]);
        send_batch(&m, (int)dice_roll(&m.dice, 2));
        if (dice_roll(&m.dice, 3) == 0)
            drain(&m);
        let_time_pass(&m, (int64_t)dice_roll(&m.dice, 60));
        if (dice_roll(&m.dice, 200) == 0)
            forget_other(&m, who);
    }
    for (int round = 0; round < 100000; round++) {
        if (!m.nodes[0].s.count && !m.nodes[1].s.count)
            break;
        let_time_pass(&m, 100);
        send_batch(&m, 0);
        send_batch(&m, 1);
        drain(&m);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(m.nodes[i].s.count, 0);
        miss_until(&m, &m.nodes[i], m.nodes[!i].pushed);
    }
    assert_true(m.nodes[0].epoch > 10);
    model_close(&m);
}

/* Without stream_inherit, too, both go on: what was confirmed does not hold them up. */
static void a_stream_in_the_middle_of_another_life_goes_on(void **state)
{
    struct model m;

    (void)state;
    model_open(&m, "stream in the middle");
    push_some(&m, &m.nodes[0]);
    while (m.nodes[0].s.count) {
        send_batch(&m, 0);
        drain(&m);
        let_time_pass(&m, 100);
        drain(&m);
    }
    stream_fini(&m.nodes[1].s);
    stream_init(&m.nodes[1].s, 2, WINDOW);
    push_some(&m, &m.nodes[0]);
    push_some(&m, &m.nodes[1]);
    while (m.nodes[0].s.count || m.nodes[1].s.count) {
        send_batch(&m, 0);
        send_batch(&m, 1);
        drain(&m);
        let_time_pass(&m, 100);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(m.nodes[i].pushed, m.nodes[!i].came);
    model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_fits_and_at_least_one),
        cmocka_unit_test(the_window_counts_what_is_unconfirmed),
        cmocka_unit_test(waits_from_the_last_progress_on),
        cmocka_unit_test(complains_of_a_gap_now_and_then),
        cmocka_unit_test(old_items_are_owed_a_confirmation),
        cmocka_unit_test(what_is_held_back_is_confirmed_later),
        cmocka_unit_test(an_empty_batch_tells_what_was_lost_before_it),
        cmocka_unit_test(a_late_complaint_rewinds_nothing),
        cmocka_unit_test(nonsense_changes_nothing),
        cmocka_unit_test(forgets_what_is_unconfirmed_oldest_first),
        cmocka_unit_test(who_did_not_hear_has_not_read),
        cmocka_unit_test(a_piece_is_shared),
        cmocka_unit_test(everything_arrives_once_and_in_order),
        cmocka_unit_test(a_life_taken_for_dead_goes_on_without_repeats),
        cmocka_unit_test(a_stream_in_the_middle_of_another_life_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
