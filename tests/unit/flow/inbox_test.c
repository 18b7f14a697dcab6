#include "flow/inbox.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/mem.h"
#include "flow/poll.h"
#include "flow/thread.h"

struct word {
    struct inbox_link link;
    int writer, number;
};

/* How often the reader was woken since it was last asked. */
static uint64_t wakes(const struct inbox *b)
{
    uint64_t n = 0;

    if (read(inbox_wake_fd(b), &n, sizeof(n)) < 0)
        assert_int_equal(errno, EAGAIN);
    return n;
}

static void chains_come_out_as_they_went_in(void **state)
{
    struct word w[6] = {{.number = 0}, {.number = 1}, {.number = 2},
                        {.number = 3}, {.number = 4}, {.number = 5}};
    struct inbox_link *link;
    struct inbox b;
    int n = 0;

    (void)state;
    assert_int_equal(inbox_open(&b), ERR_OK);
    assert_null(inbox_take(&b));
    inbox_post(&b, &w[0].link, &w[0].link, 1);
    w[1].link.next = &w[2].link;
    w[2].link.next = &w[3].link;
    w[3].link.next = &w[0].link; /* what was there before does not matter */
    inbox_post(&b, &w[1].link, &w[3].link, 1);
    inbox_post(&b, &w[4].link, &w[4].link, 1);
    for (link = inbox_take(&b); link; link = link->next)
        assert_int_equal(container_of(link, struct word, link)->number, n++);
    assert_int_equal(n, 5);
    assert_null(inbox_take(&b));
    w[5].link.next = &w[0].link;
    inbox_post(&b, &w[5].link, &w[5].link, 1);
    assert_ptr_equal(inbox_take(&b), &w[5].link);
    assert_null(w[5].link.next);
    inbox_close(&b);
}

static void wakes_only_when_it_was_empty(void **state)
{
    struct word w[3];
    struct inbox b;

    (void)state;
    assert_int_equal(inbox_open(&b), ERR_OK);
    assert_int_equal(wakes(&b), 0);
    inbox_post(&b, &w[0].link, &w[0].link, 1);
    inbox_post(&b, &w[1].link, &w[1].link, 1);
    assert_int_equal(wakes(&b), 1);
    inbox_post(&b, &w[2].link, &w[2].link, 1);
    assert_int_equal(wakes(&b), 0);
    assert_non_null(inbox_take(&b));
    assert_int_equal(wakes(&b), 0);
    inbox_post(&b, &w[0].link, &w[0].link, 1);
    assert_int_equal(wakes(&b), 1);
    assert_non_null(inbox_take(&b));
    inbox_close(&b);
}

static void weighs_what_was_posted_and_not_taken(void **state)
{
    struct word w[3];
    struct inbox b;

    (void)state;
    assert_int_equal(inbox_open(&b), ERR_OK);
    assert_int_equal(inbox_weight(&b), 0);
    inbox_post(&b, &w[0].link, &w[0].link, 10);
    inbox_post(&b, &w[1].link, &w[1].link, 0);
    inbox_post(&b, &w[2].link, &w[2].link, (size_t)1 << 40);
    assert_int_equal(inbox_weight(&b), 10 + ((size_t)1 << 40));
    assert_non_null(inbox_take(&b));
    assert_int_equal(inbox_weight(&b), 0);
    inbox_post(&b, &w[0].link, &w[0].link, 7);
    assert_int_equal(inbox_weight(&b), 7);
    assert_non_null(inbox_take(&b));
    inbox_close(&b);
}

enum { WRITERS = 4, WORDS = 100000 };

struct writer {
    struct inbox *to;
    int number;
};

/* Chains of one to four words each. */
static void write_all(void *context)
{
    const struct writer *w = context;

    for (int n = 0; n < WORDS;) {
        struct inbox_link *first = NULL, *last = NULL;

        for (int left = 1 + n % 4; left > 0 && n < WORDS; left--) {
            struct word *word = mem_new(struct word);

            word->writer = w->number;
            word->number = n++;
            if (last)
                last->next = &word->link;
            else
                first = &word->link;
            last = &word->link;
        }
        inbox_post(w->to, first, last, sizeof(struct word));
    }
}

/* Each writer's next number must be the one that is read: none lost, none doubled, in order. */
static int read_chain(struct inbox_link *first, int *next_of)
{
    int n = 0;

    while (first) {
        struct word *word = container_of(first, struct word, link);

        first = first->next;
        assert_int_equal(word->number, next_of[word->writer]++);
        mem_free(word);
        n++;
    }
    return n;
}

/* The reader sleeps until it is woken, so a wake that was lost would leave it asleep. */
static void many_writers_one_reader(void **state)
{
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    int next_of[WRITERS] = {0}, n = 0;
    struct epoll_event event;
    struct inbox b;
    struct poll p;

    (void)state;
    assert_int_equal(inbox_open(&b), ERR_OK);
    assert_int_equal(poll_open(&p), ERR_OK);
    assert_int_equal(poll_add(&p, inbox_wake_fd(&b), EPOLLIN, 1), ERR_OK);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){&b, i};
        assert_int_equal(thread_start(&threads[i], "writer", write_all, &writers[i]), ERR_OK);
    }
    while (n < WRITERS * WORDS) {
        assert_int_equal(poll_wait(&p, &event, 1, 30000), 1);
        poll_woken(inbox_wake_fd(&b));
        n += read_chain(inbox_take(&b), next_of);
    }
    for (int i = 0; i < WRITERS; i++)
        thread_join(threads[i]);
    assert_int_equal(n, WRITERS * WORDS);
    assert_null(inbox_take(&b));
    assert_int_equal(inbox_weight(&b), 0);
    poll_close(&p);
    inbox_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_come_out_as_they_went_in),
        cmocka_unit_test(wakes_only_when_it_was_empty),
        cmocka_unit_test(weighs_what_was_posted_and_not_taken),
        cmocka_unit_test(many_writers_one_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
