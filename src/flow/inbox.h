/*
 * inbox - what other threads have to say to this one: many writers, one reader.
 *
 * Owner:   the reading thread's shard.      Thread: inbox_post from any, the rest from the reader.
 * Lock:    the only lock of the program; a leaf: nothing is called while it is held.
 * Bound:   none for posting (it never fails and never blocks on the reader); writers compare
 *          inbox_weight with their mark and stop reading their sources.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

/* Embedded first in whatever is posted; ownership goes with it. */
struct inbox_link {
    struct inbox_link *next;
};

struct inbox {
    /* private to inbox.c */
    pthread_mutex_t lock;
    struct inbox_link *first, *last;
    _Atomic size_t weight;
    int wake_fd;
};

MUST_USE enum err inbox_open(struct inbox *b);
void inbox_close(struct inbox *b); /* must be empty */

/* Appends the chain first..last (last->next is set here); wakes the reader only if it was empty.
   weight: roughly the bytes it stands for. */
void inbox_post(struct inbox *b, struct inbox_link *first, struct inbox_link *last, size_t weight);

/* Takes everything, oldest first; null when empty. */
struct inbox_link *inbox_take(struct inbox *b);

size_t inbox_weight(const struct inbox *b);

/* Readable from a post to the empty inbox until poll_woken, which comes before inbox_take. */
int inbox_wake_fd(const struct inbox *b);
