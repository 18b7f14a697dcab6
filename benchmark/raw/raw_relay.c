/*
 * raw-relay - the yardstick: one thread, one epoll, bytes copied from one TCP socket to another.
 *
 * A client says hello with eight bytes, its own number and its partner's (32 bits each, this
 * machine's order), and gets them back. From then on all it sends goes to the partner unread; a
 * partner number of TO_ALL sends it to everybody else instead. No protocol, no checks, no limits:
 * what is left is what the kernel asks for moving bytes. What a socket does not take is kept for
 * it.
 *
 * With --ping S everybody gets the two bytes of a WebSocket ping every S seconds, a share of them
 * each PING_APART_MS, and what comes back is dropped: what idle clients cost at least.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOCKETS = 32768, EVENTS = 256, READ_BYTES = 65536, HELLO_BYTES = 8, PING_APART_MS = 100 };

#define TO_ALL UINT32_MAX

struct client {
    int fd; /* 0: none */
    uint32_t number, to;
    bool known;
    char *late; /* what the kernel did not take yet */
    size_t late_len;
};

static struct client clients[SOCKETS];   /* by descriptor */
static struct client *numbered[SOCKETS]; /* by number */
static uint32_t numbers;
static int epoll;
static uint32_t ping_seconds, next_pinged; /* 0: no pings */

static void fail(const char *what)
{
    fprintf(stderr, "raw-relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    if (epoll_ctl(epoll, operation, fd, &event))
        fail("epoll_ctl");
}

static void keep(struct client *c, const char *at, size_t len)
{
    c->late = realloc(c->late, c->late_len + len);
    if (!c->late)
        fail("realloc");
    memcpy(c->late + c->late_len, at, len);
    if (c->late_len == 0)
        watch(EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLOUT);
    c->late_len += len;
}

static void give(struct client *c, const char *at, size_t len)
{
    ssize_t n = c->late_len ? 0 : send(c->fd, at, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN)
        return;
    if (n < 0)
        n = 0;
    if ((size_t)n < len)
        keep(c, at + n, len - (size_t)n);
}

static void give_late(struct client *c)
{
    ssize_t n = send(c->fd, c->late, c->late_len, MSG_NOSIGNAL);

    if (n <= 0)
        return;
    c->late_len -= (size_t)n;
    memmove(c->late, c->late + n, c->late_len);
    if (c->late_len == 0)
        watch(EPOLL_CTL_MOD, c->fd, EPOLLIN);
}

static void leave(struct client *c)
{
    if (c->known && numbered[c->number] == c)
        numbered[c->number] = NULL;
    close(c->fd);
    free(c->late);
    *c = (struct client){0};
}

static void greet(struct client *c, const char *at, size_t len)
{
    uint32_t hello[2];

    if (len != HELLO_BYTES) {
        leave(c);
        return;
    }
    memcpy(hello, at, sizeof(hello));
    if (hello[0] >= SOCKETS) {
        leave(c);
        return;
    }
    c->number = hello[0];
    c->to = hello[1];
    c->known = true;
    numbered[c->number] = c;
    if (c->number >= numbers)
        numbers = c->number + 1;
    give(c, at, len);
}

static void relay(struct client *from, const char *at, size_t len)
{
    uint32_t i;

    if (from->to != TO_ALL) {
        if (from->to < SOCKETS && numbered[from->to])
            give(numbered[from->to], at, len);
        return;
    }
    for (i = 0; i < numbers; i++)
        if (numbered[i] && numbered[i] != from)
            give(numbered[i], at, len);
}

static void take(struct client *c, uint32_t events)
{
    static char buffer[READ_BYTES];
    ssize_t n;

    if (events & EPOLLOUT)
        give_late(c);
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        return;
    n = recv(c->fd, buffer, sizeof(buffer), 0);
    if (n > 0 && c->known && ping_seconds)
        return;
    if (n > 0 && c->known)
        relay(c, buffer, (size_t)n);
    else if (n > 0)
        greet(c, buffer, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        leave(c);
}

static void welcome(int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= SOCKETS) {
            close(fd);
            continue;
        }
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
            fail("setsockopt");
        clients[fd] = (struct client){.fd = fd};
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static int open_listener(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096))
        fail("listen");
    return fd;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The next few in turn, so that all have had one when ping_seconds are over. */
static void ping_some(void)
{
    uint32_t share = numbers * PING_APART_MS / (ping_seconds * 1000) + 1;

    while (share-- && numbers) {
        next_pinged = (next_pinged + 1) % numbers;
        if (numbered[next_pinged])
            give(numbered[next_pinged], "\x89\0", 2);
    }
}

/* How long to wait for events; sends the pings that are due. */
static int patience_ms(void)
{
    static int64_t due_ms;
    int64_t now;

    if (!ping_seconds)
        return -1;
    now = now_ms();
    if (now >= due_ms) {
        ping_some();
        due_ms = now + PING_APART_MS;
    }
    return (int)(due_ms - now);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int listener, i, n;

    if ((argc != 3 && argc != 5) || strcmp(argv[1], "--port") != 0 ||
        (argc == 5 && strcmp(argv[3], "--ping") != 0)) {
        fprintf(stderr, "usage: raw-relay --port PORT [--ping SECONDS]\n");
        return 2;
    }
    if (argc == 5)
        ping_seconds = (uint32_t)strtoul(argv[4], NULL, 10);
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1");
    listener = open_listener((uint16_t)strtoul(argv[2], NULL, 10));
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    puts("ready");
    fflush(stdout);
    for (;;) {
        n = epoll_wait(epoll, events, EVENTS, patience_ms());
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                welcome(listener);
            else if (clients[events[i].data.fd].fd)
                take(&clients[events[i].data.fd], events[i].events);
        }
    }
}
