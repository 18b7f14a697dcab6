#include "flow/poll.h"

#include <string.h>
#include "base/check.h"
#include "fake.h"

enum { POLLS = 64 };

static int polls;
static int watched[POLLS][FAKE_SOCKETS], watched_len[POLLS];
static struct {
    int poll; /* -1: none */
    uint64_t tag;
} inner[POLLS];

enum err poll_open(struct poll *p)
{
    CHECK(polls < POLLS);
    p->fd = polls++;
    watched_len[p->fd] = 0;
    inner[p->fd].poll = -1;
    return ERR_OK;
}

void poll_close(struct poll *p)
{
    p->fd = -1;
    polls--;
}

enum err poll_add(struct poll *p, int fd, uint32_t events, uint64_t tag)
{
    struct fake_socket *s;

    if (fd < FAKE_FIRST_FD)
        return ERR_OK; /* an inbox's wake descriptor: the runner looks at every inbox anyway */
    fake_calls.watches++;
    s = fake_socket(fd);
    CHECK(s->poll < 0);
    s->poll = p->fd;
    s->events = events;
    s->tag = tag;
    watched[p->fd][watched_len[p->fd]++] = fd;
    return ERR_OK;
}

void poll_change(struct poll *p, int fd, uint32_t events, uint64_t tag)
{
    struct fake_socket *s = fake_socket(fd);

    fake_calls.watches++;
    CHECK(s->poll == p->fd);
    s->events = events;
    s->tag = tag;
}

void fake_unwatch(int fd)
{
    int i, poll = fake_socket(fd)->poll;

    if (poll < 0)
        return;
    fake_socket(fd)->poll = -1;
    for (i = 0; watched[poll][i] != fd; i++)
        CHECK(i < watched_len[poll]);
    watched[poll][i] = watched[poll][--watched_len[poll]];
}

void poll_remove(struct poll *p, int fd)
{
    if (fd < FAKE_FIRST_FD)
        return;
    fake_calls.watches++;
    CHECK(fake_socket(fd)->poll == p->fd);
    fake_unwatch(fd);
}

static uint32_t ready(const struct fake_socket *s)
{
    uint32_t is = 0;

    if (s->listening)
        return s->backlog.len ? s->events & EPOLLIN : 0;
    if (s->to_server.len || s->peer_end || s->peer_reset)
        is |= EPOLLIN;
    if (s->room)
        is |= EPOLLOUT;
    is &= s->events;
    if (s->peer_reset)
        is |= EPOLLERR | EPOLLHUP;
    return is;
}

enum err poll_move(struct poll *from, struct poll *to, int fd, uint32_t events, uint64_t tag)
{
    poll_remove(from, fd);
    return poll_add(to, fd, events, tag);
}

enum err poll_nest(struct poll *outer, struct poll *p, uint64_t tag)
{
    inner[outer->fd].poll = p->fd;
    inner[outer->fd].tag = tag;
    return ERR_OK;
}

static bool has_ready(int poll)
{
    int i;

    for (i = 0; i < watched_len[poll]; i++)
        if (ready(fake_socket(watched[poll][i])))
            return true;
    return false;
}

/* Whoever was told goes to the end of the line, as in the kernel. */
static void rotate(int poll, int count)
{
    int line[FAKE_SOCKETS], len = watched_len[poll];

    for (int i = 0; i < len; i++)
        line[i] = watched[poll][(i + count) % len];
    memcpy(watched[poll], line, (size_t)len * sizeof(line[0]));
}

int poll_wait(struct poll *p, struct epoll_event *events, int max, int64_t timeout_ms)
{
    int i, n = 0, nested = inner[p->fd].poll;

    (void)timeout_ms;
    fake_calls.waits++;
    if (nested >= 0 && has_ready(nested))
        events[n++] = (struct epoll_event){.events = EPOLLIN, .data.u64 = inner[p->fd].tag};
    for (i = 0; i < watched_len[p->fd] && n < max; i++) {
        struct fake_socket *s = fake_socket(watched[p->fd][i]);
        uint32_t is = ready(s);

        if (!is)
            continue;
        events[n++] = (struct epoll_event){.events = is, .data.u64 = s->tag};
        fake_stir();
    }
    if (i > 0)
        rotate(p->fd, i);
    return n;
}

enum err poll_wake_open(int *fd)
{
    *fd = 3;
    return ERR_OK;
}

void poll_wake_close(int fd)
{
    (void)fd;
}

void poll_wake(int fd)
{
    (void)fd;
    fake_calls.wakes++;
    fake_stir();
}

void poll_woken(int fd)
{
    (void)fd;
}
