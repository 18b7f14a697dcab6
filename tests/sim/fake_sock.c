#include "net/sock.h"

#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "fake.h"

static struct fake_socket *sockets[FAKE_SOCKETS];
static int next_fd = FAKE_FIRST_FD;
static uint64_t activity;

uint64_t fake_activity(void)
{
    return activity;
}

void fake_stir(void)
{
    activity++;
}

struct fake_socket *fake_socket(int fd)
{
    CHECK(fd >= FAKE_FIRST_FD && fd < next_fd);
    return sockets[fd - FAKE_FIRST_FD];
}

int fake_open(void)
{
    struct fake_socket *s = mem_new(struct fake_socket);

    CHECK(next_fd < FAKE_FIRST_FD + FAKE_SOCKETS);
    s->used = true;
    s->room = SIZE_MAX;
    s->poll = -1;
    sockets[next_fd - FAKE_FIRST_FD] = s;
    return next_fd++;
}

int fake_connect(int listener)
{
    struct fake_socket *l = fake_socket(listener);
    int fd = fake_open();

    CHECK(l->backlog_len < 4096);
    l->backlog[l->backlog_len++] = fd;
    return fd;
}

bool fake_all_closed(void)
{
    bool all = true;
    int i;

    for (i = 0; i < next_fd - FAKE_FIRST_FD; i++) {
        struct fake_socket *s = sockets[i];

        all = all && s->server_closed;
        buf_fini(&s->to_server);
        buf_fini(&s->from_server);
        mem_free(s);
    }
    next_fd = FAKE_FIRST_FD;
    return all;
}

enum err sock_listen(const char *address, uint16_t port, bool shared, int *out)
{
    (void)address;
    (void)port;
    (void)shared;
    *out = fake_open();
    fake_socket(*out)->listening = true;
    return ERR_OK;
}

uint16_t sock_port(int fd)
{
    return (uint16_t)fd;
}

enum err sock_accept(int listener, int *out)
{
    struct fake_socket *l = fake_socket(listener);

    if (!l->backlog_len)
        return ERR_AGAIN;
    activity++;
    *out = l->backlog[0];
    memmove(l->backlog, l->backlog + 1, (size_t)--l->backlog_len * sizeof(l->backlog[0]));
    return ERR_OK;
}

enum err sock_read(int fd, void *at, size_t len, size_t *got)
{
    struct fake_socket *s = fake_socket(fd);

    activity++;
    *got = 0;
    if (s->peer_reset)
        return ERR_GONE;
    if (!s->to_server.len)
        return s->peer_end ? ERR_GONE : ERR_AGAIN;
    *got = len < s->to_server.len ? len : s->to_server.len;
    memcpy(at, s->to_server.at, *got);
    buf_drop(&s->to_server, *got);
    return ERR_OK;
}

enum err sock_write(int fd, const struct iovec *iov, int count, size_t *sent)
{
    struct fake_socket *s = fake_socket(fd);
    int i;

    activity++;
    *sent = 0;
    if (s->peer_reset)
        return ERR_GONE;
    for (i = 0; i < count && s->room; i++) {
        size_t n = iov[i].iov_len < s->room ? iov[i].iov_len : s->room;

        buf_add(&s->from_server, bytes_of(iov[i].iov_base, n));
        if (s->room != SIZE_MAX)
            s->room -= n;
        *sent += n;
    }
    return *sent ? ERR_OK : ERR_AGAIN;
}

void sock_shut(int fd)
{
    fake_socket(fd)->server_end = true;
}

void sock_close(int fd)
{
    if (fd < FAKE_FIRST_FD)
        return; /* a spare descriptor of the real kernel */
    CHECK(!fake_socket(fd)->server_closed);
    fake_socket(fd)->server_closed = true;
}
