#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "hub/gate.h"
#include "hub/notification.h"

static void test_it_keeps_its_own_copies(void **unused)
{
    char account[] = "bob", other[] = "carol";
    struct identity exclude = {{BYTES("w"), {other, 5}, BYTES("d"), BYTES("p")}};
    struct filter f = {.like = {{{0}, {account, 3}, {0}, BYTES("app")}},
                       .find_any = true,
                       .exclude = &exclude,
                       .excluded = 1};
    struct frame *frame = frame_new(FRAME_PLAIN, 3);
    struct notification *n = notification_new(&f, frame);

    (void)unused;
    frame_unref(frame);
    memset(account, 'x', 3);
    memset(other, 'x', 5);
    assert_true(bytes_equal(n->filter.like.dim[ACCOUNT], BYTES("bob")));
    assert_int_equal(n->filter.like.dim[WORKSPACE].len, 0);
    assert_true(n->filter.find_any);
    assert_int_equal(n->filter.excluded, 1);
    assert_true(bytes_equal(n->filter.exclude[0].dim[ACCOUNT], BYTES("carol")));
    notification_unref(notification_ref(n));
    assert_int_equal(n->frame->len, 3);
    notification_unref(n);
    assert_int_equal(mem_held(), 0);
}

static void test_the_gate_is_exact(void **unused)
{
    struct gate g = {.limit = 2};

    (void)unused;
    assert_true(gate_enter(&g));
    assert_false(gate_is_full(&g));
    assert_true(gate_enter(&g));
    assert_true(gate_is_full(&g));
    assert_false(gate_enter(&g));
    gate_leave(&g);
    assert_true(gate_enter(&g));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_keeps_its_own_copies),
        cmocka_unit_test(test_the_gate_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
