#include "net/listen.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/meter.h"
#include "net/conn_tls.h"
#include "net/sock.h"
#include "net/turn_away.h"

enum { ACCEPTS_A_TURN = 16, REST_MS = 100, LAST_TURNS = 64 };

/* Listener tags lie above every conn's (generations stay under 2^31) and below the loop's own. */
#define LISTENER_TAG UINT64_C(0xfffffff000000000)

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void close_both(struct listener *l)
{
    sock_close(l->fd);
    sock_close(l->spare_fd);
    l->fd = -1;
    l->spare_fd = -1;
}

static void on_rested(struct timer *t)
{
    struct listener *l = container_of(t, struct listener, rested);

    poll_change(&l->net->loop->poll, l->fd, EPOLLIN, l->tag);
}

enum err listener_open(struct listener *l, struct net *n, int fd, uint32_t index,
                       void (*on_accept)(struct listener *, int), void *user)
{
    enum err e;

    *l = (struct listener){.net = n,
                           .fd = fd,
                           .spare_fd = open_spare(),
                           .tag = LISTENER_TAG + index,
                           .user = user,
                           .on_accept = on_accept};
    timer_init(&l->rested, on_rested);
    e = poll_add(&n->loop->poll, fd, EPOLLIN, l->tag);
    if (e)
        close_both(l);
    return e;
}

void listener_close(struct listener *l)
{
    if (l->fd < 0)
        return;
    wheel_stop(&l->rested);
    poll_remove(&l->net->loop->poll, l->fd);
    close_both(l);
}

bool listener_owns(uint64_t tag, uint32_t index)
{
    return tag == LISTENER_TAG + index;
}

static void rest(struct listener *l)
{
    struct loop *loop = l->net->loop;

    poll_change(&loop->poll, l->fd, 0, l->tag);
    wheel_start(&loop->wheel, &l->rested, loop->now_ms + REST_MS);
}

/* Out of descriptors: the peer at the head of the queue is let in and out through the spare one,
   so that it reads a 503 and the queue does not stand still. Another thread may be quicker to take
   the descriptor that is free for this moment. */
static void let_through(struct listener *l)
{
    bool told;
    int fd;

    meter_add(METER_REFUSED_SOCKETS, 1);
    sock_close(l->spare_fd);
    told = sock_accept(l->fd, &fd) == ERR_OK;
    if (told)
        turn_away_now(l, fd);
    l->spare_fd = open_spare();
    if (!told || l->spare_fd < 0)
        rest(l);
}

/* True: there may be more. */
static bool accept_some(struct listener *l)
{
    int i, fd;

    for (i = 0; i < ACCEPTS_A_TURN && l->fd >= 0; i++) {
        enum err e = sock_accept(l->fd, &fd);

        if (e == ERR_OK)
            l->on_accept(l, fd);
        else if (e == ERR_FULL)
            let_through(l);
        if (e != ERR_OK && e != ERR_GONE)
            return false;
    }
    return l->fd >= 0;
}

bool listener_on_ready(struct listener *l)
{
    if (l->is_secure && net_is_shaking_hard(l->net))
        return false;
    return accept_some(l);
}

void listener_finish(struct listener *l)
{
    int i;

    for (i = 0; i < LAST_TURNS && accept_some(l); i++) {
    }
    listener_close(l);
}
