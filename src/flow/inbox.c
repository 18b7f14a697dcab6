#include "flow/inbox.h"

#include <stdbool.h>
#include "base/check.h"
#include "flow/poll.h"

enum err inbox_open(struct inbox *b)
{
    enum err e = poll_wake_open(&b->wake_fd);

    if (e)
        return e;
    CHECK(pthread_mutex_init(&b->lock, NULL) == 0);
    b->first = NULL;
    b->last = NULL;
    atomic_init(&b->weight, 0);
    return ERR_OK;
}

void inbox_close(struct inbox *b)
{
    CHECK(!b->first);
    CHECK(pthread_mutex_destroy(&b->lock) == 0);
    poll_wake_close(b->wake_fd);
    b->wake_fd = -1;
}

void inbox_post(struct inbox *b, struct inbox_link *first, struct inbox_link *last, size_t weight)
{
    bool was_empty;

    last->next = NULL;
    CHECK(pthread_mutex_lock(&b->lock) == 0);
    was_empty = !b->first;
    if (was_empty)
        b->first = first;
    else
        b->last->next = first;
    b->last = last;
    atomic_fetch_add_explicit(&b->weight, weight, memory_order_relaxed);
    CHECK(pthread_mutex_unlock(&b->lock) == 0);
    /* The reader may have taken everything by now: then it wakes once for nothing. */
    if (was_empty)
        poll_wake(b->wake_fd);
}

struct inbox_link *inbox_take(struct inbox *b)
{
    struct inbox_link *first;

    CHECK(pthread_mutex_lock(&b->lock) == 0);
    first = b->first;
    b->first = NULL;
    b->last = NULL;
    atomic_store_explicit(&b->weight, 0, memory_order_relaxed);
    CHECK(pthread_mutex_unlock(&b->lock) == 0);
    return first;
}

size_t inbox_weight(const struct inbox *b)
{
    return atomic_load_explicit(&b->weight, memory_order_relaxed);
}

int inbox_wake_fd(const struct inbox *b)
{
    return b->wake_fd;
}
