#include "flow/poll.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/check.h"

enum err poll_open(struct poll *p)
{
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    return p->fd < 0 ? err_from_errno(errno) : ERR_OK;
}

void poll_close(struct poll *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static int control(struct poll *p, int operation, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};

    return epoll_ctl(p->fd, operation, fd, &event);
}

enum err poll_add(struct poll *p, int fd, uint32_t events, uint64_t tag)
{
    return control(p, EPOLL_CTL_ADD, fd, events, tag) < 0 ? err_from_errno(errno) : ERR_OK;
}

/* Changing and removing need no memory: they fail only for a descriptor that was never added, or
   was closed before it was removed. */
void poll_change(struct poll *p, int fd, uint32_t events, uint64_t tag)
{
    CHECK(control(p, EPOLL_CTL_MOD, fd, events, tag) == 0);
}

void poll_remove(struct poll *p, int fd)
{
    CHECK(control(p, EPOLL_CTL_DEL, fd, 0, 0) == 0);
}

enum err poll_move(struct poll *from, struct poll *to, int fd, uint32_t events, uint64_t tag)
{
    enum err e = poll_add(to, fd, events, tag);

    if (!e)
        poll_remove(from, fd);
    return e;
}

enum err poll_nest(struct poll *outer, struct poll *inner, uint64_t tag)
{
    return poll_add(outer, inner->fd, EPOLLIN, tag);
}

int poll_wait(struct poll *p, struct epoll_event *events, int max, int64_t timeout_ms)
{
    int timeout = timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
    int n = epoll_wait(p->fd, events, max, timeout_ms < 0 ? -1 : timeout);

    CHECK(n >= 0 || errno == EINTR);
    return n < 0 ? 0 : n;
}

enum err poll_wake_open(int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd < 0 ? err_from_errno(errno) : ERR_OK;
}

void poll_wake_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

void poll_wake(int fd)
{
    uint64_t one = 1;

    /* a counter that is full is readable already */
    CHECK(write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
}

void poll_woken(int fd)
{
    uint64_t count;

    CHECK(read(fd, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN);
}
