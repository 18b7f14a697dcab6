#include "load/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "load/target.h"
#include "load/tools.h"

enum { READ_BYTES = 65536, EVENTS_MAX = 512, LINKS_MAX = 32768, LINKS_AN_ADDRESS = 200 };

void pump_init(struct pump *p, void *owner)
{
    *p = (struct pump){.owner = owner};
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->buffer = grow(NULL, READ_BYTES);
    if (p->epoll < 0)
        die("epoll: %s", strerror(errno));
}

struct link *link_new(struct pump *p)
{
    struct link *l;

    if (p->count >= LINKS_MAX)
        die("more than %d connections", LINKS_MAX);
    if ((p->count & (p->count - 1)) == 0)
        p->links = grow(p->links, (p->count ? p->count * 2 : 1) * sizeof(struct link *));
    l = calloc(1, sizeof(*l));
    if (!l)
        die("out of memory");
    l->fd = -1;
    l->number = p->count;
    l->place = p->options && p->options->port.count ? l->number % p->options->port.count : 0;
    l->pump = p;
    p->links[p->count++] = l;
    return l;
}

static void watch(struct link *l, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = l};

    if (epoll_ctl(l->pump->epoll, operation, l->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

/* Many source addresses: one alone has too few ports for thousands that come and go. */
static void bind_source(int fd, uint32_t number)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int on = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number / LINKS_AN_ADDRESS);
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)))
        die("bind: %s", strerror(errno));
}

void link_connect(struct link *l, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        die("socket %u: %s (see ulimit -n)", l->number, strerror(errno));
    bind_source(l->fd, l->number);
    if (setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
        (connect(l->fd, (struct sockaddr *)&a, sizeof(a)) && errno != EINPROGRESS))
        die("connect to port %u: %s", port, strerror(errno));
    l->state = LINK_CONNECTING;
    l->rest_len = 0;
    l->stream_len = 0;
    l->late_len = 0;
    l->out_on = true;
    watch(l, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void link_close(struct link *l)
{
    if (l->fd < 0)
        return;
    close(l->fd);
    l->fd = -1;
    if (l->state == LINK_OPEN)
        l->pump->open--;
    l->state = LINK_CLOSED;
}

static void link_broke(struct link *l)
{
    link_close(l);
    l->pump->broken++;
}

void link_opened(struct link *l)
{
    l->state = LINK_OPEN;
    l->pump->open++;
    if (l->pump->on_open)
        l->pump->on_open(l);
}

void link_mute(struct link *l)
{
    watch(l, EPOLL_CTL_DEL, 0);
}

static void keep_late(struct link *l, const char *at, size_t len)
{
    l->late = grow(l->late, l->late_len + len);
    memcpy(l->late + l->late_len, at, len);
    l->late_len += (uint32_t)len;
    if (!l->out_on) {
        l->out_on = true;
        watch(l, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

void link_send(struct link *l, const char *at, size_t len)
{
    ssize_t n = 0;

    if (l->fd < 0)
        return;
    if (l->late_len == 0)
        n = send(l->fd, at, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        link_broke(l);
        return;
    }
    if (n < 0)
        n = 0;
    if ((size_t)n < len)
        keep_late(l, at + n, len - (size_t)n);
}

static void send_late(struct link *l)
{
    ssize_t n = l->late_len ? send(l->fd, l->late, l->late_len, MSG_NOSIGNAL) : 0;

    if (n < 0)
        return;
    l->late_len -= (uint32_t)n;
    memmove(l->late, l->late + n, l->late_len);
    if (l->late_len == 0) {
        l->out_on = false;
        watch(l, EPOLL_CTL_MOD, EPOLLIN);
    }
}

static void connected(struct link *l)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        die("connection %u: %s", l->number, strerror(error));
    l->state = LINK_GREETING;
    if (l->is_plain)
        link_opened(l);
    else
        l->pump->target->greet(l);
}

static void keep_rest(struct link *l, const char *at, size_t len)
{
    if (len) {
        l->rest = grow(l->rest, len);
        memmove(l->rest, at, len);
    }
    l->rest_len = (uint32_t)len;
}

static void decode_all(struct link *l, char *at, size_t len)
{
    size_t used;

    while (len && l->fd >= 0 && (used = l->decode(l, at, len))) {
        at += used;
        len -= used;
    }
    keep_rest(l, at, len);
}

static void read_some(struct link *l)
{
    char *buffer = l->pump->buffer;
    ssize_t n = recv(l->fd, buffer, READ_BYTES, 0);

    if (n > 0 && l->rest_len == 0) {
        decode_all(l, buffer, (size_t)n);
    } else if (n > 0) {
        l->rest = grow(l->rest, l->rest_len + (size_t)n);
        memcpy(l->rest + l->rest_len, buffer, (size_t)n);
        decode_all(l, l->rest, l->rest_len + (size_t)n);
    } else if (n == 0 || errno != EAGAIN) {
        link_broke(l);
    }
}

static void handle(struct link *l, uint32_t events)
{
    if (l->fd >= 0 && events & (EPOLLOUT | EPOLLERR) && l->state == LINK_CONNECTING)
        connected(l);
    if (l->fd >= 0 && events & EPOLLOUT && l->out_on)
        send_late(l);
    if (l->fd >= 0 && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_some(l);
}

int pump_turn(struct pump *p, uint64_t wait_ns, int max)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000),
                            .tv_nsec = (long)(wait_ns % 1000000000)};
    bool spins = p->options && p->options->spin;
    uint64_t begin = spins ? now_ns() : 0;
    int i, n;

    if (spins)
        wait = (struct timespec){0};
    n = epoll_pwait2(p->epoll, events, max < EVENTS_MAX ? max : EVENTS_MAX, &wait, NULL);
    if (spins && n == 0)
        p->empty_ns += now_ns() - begin;
    for (i = 0; i < n; i++)
        handle(events[i].data.ptr, events[i].events);
    return n < 0 ? 0 : n;
}
