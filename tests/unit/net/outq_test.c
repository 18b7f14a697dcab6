#include "net/outq.h"

#include "unit/net/peer.h"

static struct frame *filled(enum frame_class class, size_t len, char first)
{
    struct frame *f = frame_new(class, len);
    size_t i;

    for (i = 0; i < len; i++)
        f->at[i] = (char)(first + (char)(i % 23));
    return f;
}

/* Pushes a fresh frame; the queue holds the only count afterwards. */
static enum err push(struct outq *q, enum frame_class class, size_t len, char first, size_t limit)
{
    struct frame *f = filled(class, len, first);
    enum err e = outq_push(q, f, limit);

    frame_unref(f);
    return e;
}

static void limit_counts_what_waits_behind_the_first(void **state)
{
    struct outq q;

    (void)state;
    outq_init(&q);
    assert_int_equal(push(&q, FRAME_PLAIN, 5000, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 100, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'c', 100), ERR_FULL);
    assert_int_equal(q.len, 2);
    assert_int_equal(q.bytes, 5100);
    outq_fini(&q);

    outq_init(&q);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 98, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'c', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'd', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'e', 100), ERR_FULL);
    outq_fini(&q);
}

/* Whatever is large: at most one message and twice the limit. */
static void a_frame_over_the_limit_waits_behind_little(void **state)
{
    struct outq q;

    (void)state;
    outq_init(&q);
    assert_int_equal(push(&q, FRAME_PLAIN, 5000, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 5000, 'b', 100), ERR_FULL);
    outq_sent(&q, 4799);
    assert_int_equal(push(&q, FRAME_PLAIN, 5000, 'b', 100), ERR_FULL);
    outq_sent(&q, 1);
    assert_int_equal(push(&q, FRAME_PLAIN, 5000, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'c', 100), ERR_FULL);
    outq_sent(&q, 100);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'c', 100), ERR_FULL);
    outq_sent(&q, 1);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'c', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'd', 100), ERR_FULL);
    outq_sent(&q, 100); /* the large one is being written from now on */
    assert_int_equal(push(&q, FRAME_PLAIN, 99, 'd', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'e', 100), ERR_FULL);
    outq_fini(&q);
}

static void two_frames_little_over_the_limit_may_follow_each_other(void **state)
{
    struct outq q;

    (void)state;
    outq_init(&q);
    assert_int_equal(push(&q, FRAME_PLAIN, 126, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 126, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 126, 'c', 100), ERR_FULL);
    outq_fini(&q);
}

/* A ping, an answer: what comes large behind them is not theirs to refuse. */
static void a_large_frame_behind_small_ones_is_not_counted(void **state)
{
    struct outq q;

    (void)state;
    outq_init(&q);
    assert_int_equal(push(&q, FRAME_ANSWER, 2, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_ANSWER, 40, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 5000, 'c', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 58, 'd', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'e', 100), ERR_FULL);
    assert_int_equal(push(&q, FRAME_PLAIN, 4999, 'e', 100), ERR_FULL);
    outq_cut(&q, 0);
    assert_int_equal(push(&q, FRAME_PLAIN, 1000, 'a', 100), ERR_OK);
    outq_fini(&q);
    outq_init(&q); /* of two large ones the larger is not counted, whichever is first */
    assert_int_equal(push(&q, FRAME_PLAIN, 150, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 120, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 1, 'c', 100), ERR_FULL);
    outq_fini(&q);
}

static void pushing_shares_and_sending_gives_back(void **state)
{
    int64_t held = mem_held();
    struct frame *f = filled(FRAME_PLAIN, 10, 'a');
    struct outq q;

    (void)state;
    outq_init(&q);
    assert_int_equal(outq_push(&q, f, 100), ERR_OK);
    assert_int_equal(outq_push(&q, f, 100), ERR_OK);
    assert_int_equal(outq_push(&q, f, 100), ERR_OK);
    assert_int_equal(f->refs, 4);
    outq_sent(&q, 9);
    assert_int_equal(f->refs, 4);
    outq_sent(&q, 1);
    assert_int_equal(f->refs, 3);
    outq_sent(&q, 20);
    assert_int_equal(f->refs, 1);
    outq_fini(&q);
    frame_unref(f);
    assert_int_equal(mem_held(), held);
}

static void cut_keeps_only_what_was_begun(void **state)
{
    int64_t dropped = meter_sum(METER_DROPPED_QUEUE_FULL);
    struct outq q;

    (void)state;
    outq_init(&q);
    assert_int_equal(push(&q, FRAME_PLAIN, 10, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_ANSWER, 10, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_ACKED, 10, 'c', 100), ERR_OK);
    outq_sent(&q, 3);
    outq_cut(&q, 0);
    assert_int_equal(q.len, 1);
    assert_int_equal(q.bytes, 7);
    assert_int_equal(meter_sum(METER_DROPPED_QUEUE_FULL) - dropped, 1);
    outq_sent(&q, 7);
    assert_int_equal(push(&q, FRAME_PLAIN, 10, 'a', 100), ERR_OK);
    outq_cut(&q, 0);
    assert_int_equal(q.len, 0);
    assert_int_equal(meter_sum(METER_DROPPED_QUEUE_FULL) - dropped, 2);
    outq_fini(&q);
}

static void frames_are_counted_by_what_became_of_them(void **state)
{
    int64_t plain = meter_sum(METER_DELIVERED_PLAIN), acked = meter_sum(METER_DELIVERED_ACKED);
    int64_t closed = meter_sum(METER_DROPPED_CLOSED), queued = meter_sum(METER_QUEUED_BYTES);
    struct outq q;

    (void)state;
    outq_init(&q);
    assert_int_equal(push(&q, FRAME_PLAIN, 10, 'a', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_ACKED, 10, 'b', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_ANSWER, 10, 'c', 100), ERR_OK);
    assert_int_equal(push(&q, FRAME_PLAIN, 10, 'd', 100), ERR_OK);
    assert_int_equal(meter_sum(METER_QUEUED_BYTES) - queued, 40);
    outq_sent(&q, 31);
    assert_int_equal(meter_sum(METER_QUEUED_BYTES) - queued, 9);
    assert_int_equal(meter_sum(METER_DELIVERED_PLAIN) - plain, 1);
    assert_int_equal(meter_sum(METER_DELIVERED_ACKED) - acked, 1);
    outq_fini(&q);
    assert_int_equal(meter_sum(METER_DROPPED_CLOSED) - closed, 1);
    assert_int_equal(meter_sum(METER_QUEUED_BYTES), queued);
}

/* The naive model: a plain array of lengths and first letters. */
enum { MODEL_FRAMES = 4096 };

struct model {
    struct {
        size_t len;
        char first;
    } frames[MODEL_FRAMES];
    size_t count, head_sent, spared;
};

static char model_letter(const struct model *m, size_t frame, size_t i)
{
    return (char)(m->frames[frame].first + (char)(i % 23));
}

static size_t model_bytes(const struct model *m)
{
    size_t sum = 0, i;

    for (i = 0; i < m->count; i++)
        sum += m->frames[i].len;
    return sum - m->head_sent;
}

/* All but one may wait: the head, or a larger one over the limit that found little before it. */
static bool model_takes(struct model *m, size_t len, size_t limit)
{
    size_t most = m->count ? m->frames[m->spared].len - (m->spared ? 0 : m->head_sent) : 0;

    if (!m->count || model_bytes(m) - most + len <= limit)
        return true;
    if (len <= limit || model_bytes(m) > 2 * limit)
        return false;
    if (len >= most)
        m->spared = m->count;
    return true;
}

static void model_drop_first(struct model *m)
{
    m->count--;
    memmove(m->frames, m->frames + 1, m->count * sizeof(m->frames[0]));
    m->head_sent = 0;
    m->spared -= m->spared > 0;
}

static void model_sent(struct model *m, size_t n)
{
    while (m->count && n >= m->frames[0].len - m->head_sent) {
        n -= m->frames[0].len - m->head_sent;
        model_drop_first(m);
    }
    m->head_sent += n;
}

/* What peek shows are the model's next bytes, as many as were asked for or as there are. */
static void check_peek(const struct outq *q, const struct model *m, struct dice *d)
{
    size_t want = 1 + dice_roll(d, 300), got = 0, frame = 0, place = m->head_sent, k;
    int max = 1 + (int)dice_roll(d, 6), count, i;
    struct iovec iov[6];

    count = outq_peek(q, iov, max, want);
    assert_true(count <= max);
    for (i = 0; i < count; i++) {
        const char *at = iov[i].iov_base;

        for (k = 0; k < iov[i].iov_len; k++) {
            assert_int_equal(at[k], model_letter(m, frame, place));
            if (++place == m->frames[frame].len) {
                frame++;
                place = 0;
            }
        }
        got += iov[i].iov_len;
    }
    assert_true(got <= want);
    if (count < max)
        assert_int_equal(got, want < model_bytes(m) ? want : model_bytes(m));
}

static void random_push(struct outq *q, struct model *m, struct dice *d, size_t limit)
{
    size_t len = 1 + dice_roll(d, dice_roll(d, 50) ? 60 : 6000);
    char first = (char)('a' + (char)dice_roll(d, 26));
    bool fits = model_takes(m, len, limit);

    if (m->count == MODEL_FRAMES)
        return;
    assert_int_equal(push(q, FRAME_ANSWER, len, first, limit), fits ? ERR_OK : ERR_FULL);
    if (fits) {
        m->frames[m->count].len = len;
        m->frames[m->count++].first = first;
    }
}

static void random_operations_equal_the_model(void **state)
{
    static struct model m;
    struct dice d = dice_new("outq");
    int64_t held = mem_held();
    struct outq q;
    int i;

    (void)state;
    m.count = m.head_sent = m.spared = 0;
    outq_init(&q);
    for (i = 0; i < 200000; i++) {
        uint64_t roll = dice_roll(&d, 1000);

        if (roll < 550) {
            random_push(&q, &m, &d, 200 + 4000 * (size_t)(i / 20000 % 2));
        } else if (roll < 995) {
            size_t n = dice_roll(&d, 1 + (model_bytes(&m) < 90 ? model_bytes(&m) : 90));

            outq_sent(&q, n);
            model_sent(&m, n);
        } else {
            outq_cut(&q, 0);
            m.count = m.head_sent ? 1 : 0;
            m.spared = 0;
        }
        check_peek(&q, &m, &d);
        assert_int_equal(q.len, m.count);
        assert_int_equal(q.bytes, model_bytes(&m));
    }
    outq_fini(&q);
    assert_int_equal(mem_held(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_counts_what_waits_behind_the_first),
        cmocka_unit_test(a_frame_over_the_limit_waits_behind_little),
        cmocka_unit_test(two_frames_little_over_the_limit_may_follow_each_other),
        cmocka_unit_test(a_large_frame_behind_small_ones_is_not_counted),
        cmocka_unit_test(pushing_shares_and_sending_gives_back),
        cmocka_unit_test(cut_keeps_only_what_was_begun),
        cmocka_unit_test(frames_are_counted_by_what_became_of_them),
        cmocka_unit_test(random_operations_equal_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
