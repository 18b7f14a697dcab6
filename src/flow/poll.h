/*
 * poll - which descriptors are ready: a thin face on epoll and eventfd.
 *
 * Owner:   the loop that embeds it.      Thread: its owner's; poll_wake from any.
 * Seam:    the sim tests replace poll.c at link time; nothing else in the program calls epoll.
 */
#pragma once
#include <stdint.h>
#include <sys/epoll.h>
#include "base/err.h"

struct poll {
    int fd;
};

MUST_USE enum err poll_open(struct poll *p);
void poll_close(struct poll *p);

/* events: EPOLLIN, EPOLLOUT or 0; level-triggered. tag comes back with every event. */
MUST_USE enum err poll_add(struct poll *p, int fd, uint32_t events, uint64_t tag);
void poll_change(struct poll *p, int fd, uint32_t events, uint64_t tag);
void poll_remove(struct poll *p, int fd);

/* From one poll to another. An error: it stays where it was. */
MUST_USE enum err poll_move(struct poll *from, struct poll *to, int fd, uint32_t events,
                            uint64_t tag);

/* Outer tells tag, readable, as long as inner has events to tell. */
MUST_USE enum err poll_nest(struct poll *outer, struct poll *inner, uint64_t tag);

/* Waits at most timeout_ms (-1: for ever); returns how many events were filled in. */
int poll_wait(struct poll *p, struct epoll_event *events, int max, int64_t timeout_ms);

/* A descriptor that poll_wake makes readable until poll_woken. */
MUST_USE enum err poll_wake_open(int *fd);
void poll_wake_close(int fd);
void poll_wake(int fd);
void poll_woken(int fd);
