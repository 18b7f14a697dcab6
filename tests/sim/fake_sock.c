#include "net/sock.h"

#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "base/mem.h"
#include "fake.h"

static struct fake_socket *sockets[FAKE_SOCKETS];
static int next_fd = FAKE_FIRST_FD;
static int forgotten[FAKE_SOCKETS], forgotten_len;
static uint64_t activity;

struct fake_calls fake_calls;

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
    struct fake_socket *s;
    int fd;

    if (forgotten_len) {
        fd = forgotten[--forgotten_len];
        s = fake_socket(fd);
        s->to_server.len = 0;
        s->from_server.len = 0;
        *s = (struct fake_socket){.to_server = s->to_server, .from_server = s->from_server};
    } else {
        CHECK(next_fd < FAKE_FIRST_FD + FAKE_SOCKETS);
        fd = next_fd++;
        s = mem_new(struct fake_socket);
        sockets[fd - FAKE_FIRST_FD] = s;
    }
    s->used = true;
    s->fd = fd;
    s->room = SIZE_MAX;
    s->poll = -1;
    return fd;
}

void fake_forget(int fd)
{
    CHECK(fake_socket(fd)->used && fake_socket(fd)->server_closed);
    fake_socket(fd)->used = false;
    forgotten[forgotten_len++] = fd;
}

int fake_connect(int listener)
{
    struct fake_socket *l = fake_socket(listener);
    int fd = fake_open();

    vec_push(&l->backlog, fake_socket(fd));
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
        vec_fini(&s->backlog);
        mem_free(s);
    }
    next_fd = FAKE_FIRST_FD;
    forgotten_len = 0;
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

bool sock_peer(int fd, struct address *out)
{
    (void)fd;
    (void)out;
    return false;
}

enum err sock_accept(int listener, int *out)
{
    struct vec *waiting = &fake_socket(listener)->backlog;

    fake_calls.accepts++;
    if (!waiting->len)
        return ERR_AGAIN;
    activity++;
    *out = ((struct fake_socket *)waiting->at[0])->fd;
    memmove(waiting->at, waiting->at + 1, --waiting->len * sizeof(waiting->at[0]));
    return ERR_OK;
}

enum err sock_read(int fd, void *at, size_t len, size_t *got)
{
    struct fake_socket *s = fake_socket(fd);

    activity++;
    fake_calls.reads++;
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
    fake_calls.writes++;
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
    fake_calls.closes++;
    fake_socket(fd)->server_end = true;
}

void sock_close(int fd)
{
    if (fd < FAKE_FIRST_FD) {
        close(fd); /* a spare descriptor of the real kernel */
        return;
    }
    CHECK(!fake_socket(fd)->server_closed);
    fake_calls.closes++;
    fake_socket(fd)->server_closed = true;
    fake_unwatch(fd);
}
