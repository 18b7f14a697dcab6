#include "base/mem.h"
#include "cluster/stream.h"
#include "unit/base/dice.h"

static int told;

static void on_all(struct receipt *r)
{
    (void)r;
    told++;
}

static void who_waits_is_told_when_all_have_it(void **state)
{
    struct stream of[3];
    struct receipt waits = {1, on_all};
    struct piece *p = piece_new(&(struct envelope){.kind = ENVELOPE_SEND, .name = 1}, &waits);
    struct buf out = {0};
    uint64_t first;

    (void)state;
    told = 0;
    for (int i = 0; i < 3; i++) {
        stream_init(&of[i], 1, 1000);
        stream_push(&of[i], p);
        assert_int_equal(stream_take(&of[i], 1000, &out, &first, 1), 1);
    }
    piece_unref(p);
    receipt_unref(&waits);
    assert_int_equal(stream_confirm(&of[0], 1, 1), ERR_OK);
    assert_int_equal(stream_confirm(&of[1], 1, 1), ERR_OK);
    assert_int_equal(told, 0);
    stream_fini(&of[2]); /* that node has gone */
    assert_int_equal(told, 1);
    buf_fini(&out);
    stream_fini(&of[0]);
    stream_fini(&of[1]);
    assert_int_equal(told, 1);
}

static void who_waits_for_no_piece_is_told_at_once(void **state)
{
    struct receipt waits = {1, on_all};

    (void)state;
    told = 0;
    receipt_unref(receipt_ref(NULL));
    receipt_unref(receipt_ref(&waits));
    assert_int_equal(told, 0);
    receipt_unref(&waits);
    assert_int_equal(told, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_is_told_when_all_have_it),
        cmocka_unit_test(who_waits_for_no_piece_is_told_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
