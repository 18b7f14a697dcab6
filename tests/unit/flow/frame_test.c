#include "flow/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/meter.h"
#include "flow/thread.h"

static void holds_what_it_was_made_for(void **state)
{
    int64_t before = mem_held();
    struct frame *f = frame_new(FRAME_ACKED, 1000), *empty = NULL;

    (void)state;
    assert_int_equal(f->class, FRAME_ACKED);
    assert_int_equal(f->len, 1000);
    memset(f->at, 'x', f->len);
    assert_true(mem_held() - before >= 1000);
    assert_int_equal(frame_try(FRAME_PLAIN, 0, &empty), ERR_OK);
    assert_int_equal(empty->class, FRAME_PLAIN);
    assert_int_equal(empty->len, 0);
    frame_unref(empty);
    frame_unref(f);
    assert_int_equal(mem_held(), before);
}

static void the_last_count_frees(void **state)
{
    int64_t before = mem_held(), part = meter_sum(METER_MEM_FRAMES);
    struct frame *f = frame_new(FRAME_PLAIN, 10);

    (void)state;
    assert_ptr_equal(frame_ref(f), f);
    assert_ptr_equal(frame_ref(f), f);
    frame_unref(f);
    frame_unref(f);
    assert_true(mem_held() > before);
    assert_int_equal(meter_sum(METER_MEM_FRAMES) - part, sizeof(*f) + 10); /* once for all counts */
    frame_unref(f);
    assert_int_equal(meter_sum(METER_MEM_FRAMES), part);
    assert_int_equal(mem_held(), before);
    frame_unref(NULL);
}

static void a_length_without_end_is_refused(void **state)
{
    struct frame placeholder, *f = &placeholder;

    (void)state;
    assert_int_equal(frame_try(FRAME_PLAIN, SIZE_MAX, &f), ERR_FULL);
    assert_null(f);
    f = &placeholder;
    assert_int_equal(frame_try(FRAME_PLAIN, SIZE_MAX - sizeof(struct frame) + 1, &f), ERR_FULL);
    assert_null(f);
}

enum { THREADS = 4, ROUNDS = 300000 };
static pthread_barrier_t gate; /* so that they count at the same time */

/* Comes with a count of its own. */
static void count_up_and_down(void *context)
{
    struct frame *f = context;

    pthread_barrier_wait(&gate);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(frame_ref(f)->at[i % 100] == 'y');
        frame_unref(f);
    }
    frame_unref(f);
}

static void counted_by_many_threads(void **state)
{
    int64_t before = mem_held();
    pthread_t threads[THREADS];
    struct frame *f = frame_new(FRAME_PLAIN, 100);

    (void)state;
    memset(f->at, 'y', f->len);
    assert_int_equal(pthread_barrier_init(&gate, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "counter", count_up_and_down, frame_ref(f)),
                         ERR_OK);
    frame_unref(f); /* whoever is last frees it, and that is seldom this thread */
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    pthread_barrier_destroy(&gate);
    assert_int_equal(mem_held(), before);
}

static struct frame *twin_new(uint8_t form)
{
    struct frame *twin = frame_new(FRAME_PLAIN, 10);

    twin->form = form;
    return twin;
}

static void twins_are_found_by_their_form_and_freed_with_it(void **state)
{
    int64_t before = mem_held();
    struct frame *f = frame_new(FRAME_PLAIN, 100), *first = twin_new(9), *second = twin_new(15);

    (void)state;
    assert_null(frame_twin(f, 9));
    assert_ptr_equal(frame_add_twin(f, first), first);
    assert_null(frame_twin(f, 15));
    assert_ptr_equal(frame_add_twin(f, second), second);
    assert_ptr_equal(frame_twin(f, 9), first);
    assert_ptr_equal(frame_twin(f, 15), second);
    assert_ptr_equal(frame_add_twin(f, twin_new(15)), second); /* too late: freed */
    frame_ref(first);
    frame_unref(f);
    assert_int_equal(first->len, 10); /* still queued somewhere */
    frame_unref(first);
    assert_int_equal(mem_held(), before);
}

enum { FORMS = 4 };

/* All that come with a count of f agree on one twin of each form. */
static void add_twins(void *context)
{
    struct frame *f = context;

    pthread_barrier_wait(&gate);
    for (int form = 1; form <= FORMS; form++) {
        struct frame *twin = frame_add_twin(f, twin_new((uint8_t)form));

        CHECK(twin->form == form && twin == frame_twin(f, (uint8_t)form));
    }
    frame_unref(f);
}

static void one_twin_wins_among_threads(void **state)
{
    int64_t before = mem_held();

    (void)state;
    assert_int_equal(pthread_barrier_init(&gate, NULL, THREADS), 0);
    for (int round = 0; round < 200; round++) {
        pthread_t threads[THREADS];
        struct frame *f = frame_new(FRAME_PLAIN, 100);

        for (int i = 0; i < THREADS; i++)
            assert_int_equal(thread_start(&threads[i], "twin", add_twins, frame_ref(f)), ERR_OK);
        for (int i = 0; i < THREADS; i++)
            thread_join(threads[i]);
        frame_unref(f);
    }
    pthread_barrier_destroy(&gate);
    assert_int_equal(mem_held(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_it_was_made_for),
        cmocka_unit_test(the_last_count_frees),
        cmocka_unit_test(a_length_without_end_is_refused),
        cmocka_unit_test(counted_by_many_threads),
        cmocka_unit_test(twins_are_found_by_their_form_and_freed_with_it),
        cmocka_unit_test(one_twin_wins_among_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
