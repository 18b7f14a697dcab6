#include "net/listen.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/meter.h"
#include "net/sock.h"

enum { ACCEPTS_A_TURN = 64 };

/* Listener tags lie above every conn's (generations stay under 2^31) and below the loop's own. */
#define LISTENER_TAG UINT64_C(0xfffffff000000000)

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

enum err listener_open(struct listener *l, struct net *n, int fd, uint32_t index,
                       void (*on_accept)(struct listener *, int), void *user)
{
    enum err e;

    *l = (struct listener){
        .net = n, .fd = fd, .spare_fd = open_spare(), .user = user, .on_accept = on_accept};
    e = poll_add(&n->loop->poll, fd, EPOLLIN, LISTENER_TAG + index);
    if (e)
        listener_close(l);
    return e;
}

void listener_close(struct listener *l)
{
    if (l->fd < 0)
        return;
    poll_remove(&l->net->loop->poll, l->fd);
    sock_close(l->fd);
    sock_close(l->spare_fd);
    l->fd = -1;
    l->spare_fd = -1;
}

bool listener_owns(uint64_t tag, uint32_t index)
{
    return tag == LISTENER_TAG + index;
}

/* Out of descriptors: the peer at the head of the queue is let in and out through the spare one,
   so that it hears of it and the queue does not stand still. */
static void turn_away(struct listener *l)
{
    int fd;

    meter_add(METER_REFUSED_SOCKETS, 1);
    sock_close(l->spare_fd);
    l->spare_fd = -1;
    if (sock_accept(l->fd, &fd) == ERR_OK)
        sock_close(fd);
    l->spare_fd = open_spare();
}

void listener_on_ready(struct listener *l)
{
    int i, fd;

    for (i = 0; i < ACCEPTS_A_TURN && l->fd >= 0; i++) {
        enum err e = sock_accept(l->fd, &fd);

        if (e == ERR_OK)
            l->on_accept(l, fd);
        else if (e == ERR_FULL)
            turn_away(l);
        if (e != ERR_OK && e != ERR_GONE)
            return;
    }
}
