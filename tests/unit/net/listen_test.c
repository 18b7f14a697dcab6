#include "net/listen.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>
#include "net/conn_tls.h"
#include "net/sock.h"
#include "net/tls.h"
#include "unit/net/peer.h"

static void take(struct listener *l, int fd)
{
    (*(int *)l->user)++;
    sock_close(fd);
}

static int connect_to(int fd, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static void connections_are_handed_over_until_it_closes(void **state)
{
    struct listener l;
    struct world w;
    int fd, accepted = 0, peer;

    (void)state;
    world_open(&w);
    assert_int_equal(sock_listen("127.0.0.1", 0, false, &fd), ERR_OK);
    assert_int_equal(listener_open(&l, &w.net, fd, 1, take, &accepted), ERR_OK);
    peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect_to(peer, sock_port(fd)), 0);
    listener_on_ready(&l);
    assert_int_equal(accepted, 1);
    listener_close(&l);
    listener_close(&l);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close(peer);
    world_close(&w);
}

static void take_one(struct listener *l, int fd)
{
    *(int *)l->user = fd;
}

static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
    return value;
}

/* They are set once, on the listener. */
static void what_is_accepted_inherits_the_options(void **state)
{
    struct listener l;
    struct world w;
    int fd, taken = -1, peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    world_open(&w);
    assert_int_equal(sock_listen("127.0.0.1", 0, false, &fd), ERR_OK);
    assert_int_equal(listener_open(&l, &w.net, fd, 1, take_one, &taken), ERR_OK);
    assert_int_equal(connect_to(peer, sock_port(fd)), 0);
    listener_on_ready(&l);
    assert_true(taken >= 0);
    assert_int_equal(option_of(taken, TCP_NODELAY), 1);
    assert_int_equal(option_of(taken, TCP_NOTSENT_LOWAT), 16384);
    assert_true(fcntl(taken, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(taken, F_GETFD) & FD_CLOEXEC);
    sock_close(taken);
    listener_close(&l);
    close(peer);
    world_close(&w);
}

/* A regular file is something that epoll does not watch. */
static void what_cannot_be_watched_is_refused_and_closed(void **state)
{
    FILE *file = tmpfile();
    struct listener l;
    struct world w;
    int fd;

    (void)state;
    assert_non_null(file);
    world_open(&w);
    fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    assert_int_not_equal(listener_open(&l, &w.net, fd, 0, take, NULL), ERR_OK);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    listener_close(&l);
    fclose(file);
    world_close(&w);
}

/* Neither a descriptor nor a spare one: the waiting peer does not keep the thread busy. */
static void without_descriptors_accepting_rests(void **state)
{
    struct rlimit before, none;
    struct epoll_event event;
    struct listener l;
    struct world w;
    int fd, accepted = 0, peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    world_open(&w);
    assert_int_equal(sock_listen("127.0.0.1", 0, false, &fd), ERR_OK);
    assert_int_equal(connect_to(peer, sock_port(fd)), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(listener_open(&l, &w.net, fd, 0, take, &accepted), ERR_OK);
    assert_int_equal(poll_wait(&w.loop.poll, &event, 1, 0), 1);
    listener_on_ready(&l);
    assert_int_equal(poll_wait(&w.loop.poll, &event, 1, 0), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    world_until(&w, poll_wait(&w.loop.poll, &event, 1, 0) == 1);
    listener_on_ready(&l);
    assert_int_equal(accepted, 1);
    listener_close(&l);
    close(peer);
    world_close(&w);
}

/* The last descriptor but one is the peer's, the spare one lets it in and out. What it reads until
   the end; *last is what recv said then. */
static void hear_without_descriptors(bool is_secure, char heard[512], int *last)
{
    int fd, accepted = 0, peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), at = 0, got;
    int64_t refused = meter_sum(METER_REFUSED_SOCKETS);
    struct rlimit before, none;
    struct listener l;
    struct world w;

    world_open(&w);
    assert_int_equal(sock_listen("127.0.0.1", 0, false, &fd), ERR_OK);
    assert_int_equal(listener_open(&l, &w.net, fd, 0, take, &accepted), ERR_OK);
    l.is_secure = is_secure;
    assert_int_equal(connect_to(peer, sock_port(fd)), 0);
    assert_int_equal(send(peer, "GET / HTTP/1.1\r\n", 16, 0), 16);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){(rlim_t)l.spare_fd + 1, before.rlim_max};
    for (got = dup(peer); got >= 0 && got < l.spare_fd; got = dup(peer)) {
    } /* every number below the spare one is taken */
    if (got >= 0)
        close(got);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    listener_on_ready(&l);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(accepted, 0);
    assert_true(l.spare_fd >= 0);
    assert_int_equal(meter_sum(METER_REFUSED_SOCKETS) - refused, 1);
    while ((got = (int)recv(peer, heard + at, 511 - (size_t)at, 0)) > 0)
        at += got;
    *last = got;
    heard[at] = '\0';
    listener_close(&l);
    close(peer);
    world_close(&w);
}

static void without_descriptors_the_peer_reads_503(void **state)
{
    static const char wanted[] = "HTTP/1.1 503 Service Unavailable\r\n";
    char heard[512];
    int last;

    (void)state;
    hear_without_descriptors(false, heard, &last);
    assert_int_equal(last, 0); /* an end and no reset */
    assert_memory_equal(heard, wanted, sizeof(wanted) - 1);
}

/* Plain words would be broken TLS to it. */
static void without_descriptors_a_secure_peer_reads_nothing(void **state)
{
    char heard[512];
    int last;

    (void)state;
    hear_without_descriptors(true, heard, &last);
    assert_string_equal(heard, "");
}

/* Handshakes hold newcomers up, but not those who are the last to be let in. */
static void who_waits_behind_handshakes_is_let_in_before_it_closes(void **state)
{
    struct tls_tickets tickets;
    struct listener l;
    struct world w;
    int fd, accepted = 0, peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    world_open(&w);
    tls_tickets_init(&tickets, 1);
    net_use_tls(&w.net, &tickets);
    w.net.tls->is_short = true;
    assert_int_equal(sock_listen("127.0.0.1", 0, false, &fd), ERR_OK);
    assert_int_equal(listener_open(&l, &w.net, fd, 1, take, &accepted), ERR_OK);
    l.is_secure = true;
    assert_int_equal(connect_to(peer, sock_port(fd)), 0);
    assert_false(listener_on_ready(&l));
    assert_int_equal(accepted, 0);
    listener_finish(&l);
    assert_int_equal(accepted, 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close(peer);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_handed_over_until_it_closes),
        cmocka_unit_test(what_is_accepted_inherits_the_options),
        cmocka_unit_test(what_cannot_be_watched_is_refused_and_closed),
        cmocka_unit_test(without_descriptors_accepting_rests),
        cmocka_unit_test(without_descriptors_the_peer_reads_503),
        cmocka_unit_test(without_descriptors_a_secure_peer_reads_nothing),
        cmocka_unit_test(who_waits_behind_handshakes_is_let_in_before_it_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
