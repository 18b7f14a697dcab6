#include "net/conn.h"

#include <fcntl.h>
#include <netinet/in.h>
#include "net/sock.h"
#include "unit/net/peer.h"

/* A protocol that writes down what happens to it. */
struct probe {
    struct conn *conn;
    struct buf got;
    int ends, timers, stalls, closed;
    bool finish_on_end;
};

static void probe_on_bytes(struct conn *c, char *at, size_t len)
{
    struct probe *p = c->user;

    assert_int_equal(p->closed, 0);
    if (len)
        buf_add(&p->got, bytes_of(at, len));
    else
        p->ends++;
    if (!len && p->finish_on_end)
        conn_finish(c);
}

static void probe_on_timer(struct conn *c)
{
    struct probe *p = c->user;

    p->timers++;
}

static void probe_on_stalled(struct conn *c)
{
    struct probe *p = c->user;

    p->stalls++;
    conn_close(c, CONN_END_STALLED);
}

static void probe_on_closed(struct conn *c)
{
    struct probe *p = c->user;

    p->closed++;
}

static const struct conn_ops probe_ops = {probe_on_bytes, probe_on_timer, probe_on_stalled,
                                          probe_on_closed};

/* Opens a conn over a pair; returns the peer's end. */
static int probe_open(struct world *w, struct probe *p, int kernel_bytes)
{
    int ours, peers;

    *p = (struct probe){0};
    world_pair(&ours, &peers, kernel_bytes);
    assert_int_equal(conn_open(&w->net, ours, &probe_ops, p, &p->conn), ERR_OK);
    return peers;
}

static enum err push(struct conn *c, char letter, size_t len)
{
    struct frame *f = frame_new(FRAME_ANSWER, len);
    enum err e;

    memset(f->at, letter, len);
    e = conn_push(c, f);
    frame_unref(f);
    return e;
}

static void push_last(struct conn *c, char letter, size_t len)
{
    struct frame *f = frame_new(FRAME_ANSWER, len);

    memset(f->at, letter, len);
    conn_push_last(c, f);
    frame_unref(f);
}

static void bytes_pass_both_ways(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    peer_write(&w, fd, BYTES("hello"));
    world_until(&w, p.got.len == 5);
    assert_bytes(buf_bytes(&p.got), BYTES("hello"));
    assert_int_equal(push(p.conn, 'a', 3), ERR_OK);
    assert_int_equal(push(p.conn, 'b', 2), ERR_OK);
    peer_read(&w, fd, &got, 5);
    assert_bytes(buf_bytes(&got), BYTES("aaabb"));
    close(fd);
    world_until(&w, p.ends == 1);
    assert_int_equal(p.closed, 0);
    conn_close(p.conn, CONN_END_PEER);
    assert_int_equal(p.closed, 0);
    world_turns(&w, 1);
    assert_int_equal(p.closed, 1);
    world_close(&w);
    buf_fini(&p.got);
    buf_fini(&got);
}

static void a_name_finds_nobody_once_the_slot_is_reused(void **state)
{
    struct world w;
    struct probe p, q;
    struct conn_id first, second;
    int fd, other;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    first = conn_name(p.conn);
    assert_ptr_equal(conn_find(&w.net, first), p.conn);
    assert_null(conn_find(&w.net, (struct conn_id){0, 0}));
    assert_null(conn_find(&w.net, (struct conn_id){100000, 1}));
    conn_close(p.conn, CONN_END_OURS);
    assert_null(conn_find(&w.net, first));
    world_turns(&w, 1);
    assert_null(conn_find(&w.net, first));
    other = probe_open(&w, &q, 0);
    second = conn_name(q.conn);
    assert_int_equal(second.slot, first.slot);
    assert_int_not_equal(second.gen, first.gen);
    assert_null(conn_find(&w.net, first));
    assert_ptr_equal(conn_find(&w.net, second), q.conn);
    close(fd);
    close(other);
    world_close(&w);
}

static void finish_sends_all_then_waits_for_the_peer(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 200000), ERR_OK);
    conn_finish(p.conn);
    assert_false(conn_is_open(p.conn));
    assert_int_equal(push(p.conn, 'b', 1), ERR_GONE);
    assert_int_equal(peer_read_to_end(&w, fd, &got), PEER_EOF);
    assert_int_equal(got.len, 200000);
    peer_write(&w, fd, BYTES("too late"));
    world_turns(&w, 5);
    assert_int_equal(p.closed, 0);
    assert_int_equal(p.got.len, 0);
    close(fd);
    world_until(&w, p.closed == 1);
    world_close(&w);
    buf_fini(&got);
}

/* Slow, but never still: linger_ms is for the peer's end, not for the flush. */
static void finish_does_not_cut_a_slow_reader(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    enum peer_end end = PEER_QUIET;
    int fd;

    (void)state;
    world_open(&w);
    w.limits.linger_ms = 30;
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 60000), ERR_OK);
    conn_finish(p.conn);
    while (end == PEER_QUIET) {
        char some[1000];
        ssize_t n = recv(fd, some, sizeof(some), 0);

        if (n > 0)
            buf_add(&got, bytes_of(some, (size_t)n));
        end = n > 0 || (n < 0 && errno == EAGAIN) ? PEER_QUIET : PEER_EOF;
        loop_turn(&w.loop, 3);
    }
    assert_int_equal(got.len, 60000);
    close(fd);
    world_until(&w, p.closed == 1);
    world_close(&w);
    buf_fini(&got);
}

static void lingering_ends_without_the_peers_help(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    int fd;

    (void)state;
    world_open(&w);
    w.limits.linger_ms = 20;
    fd = probe_open(&w, &p, 0);
    assert_int_equal(push(p.conn, 'a', 10), ERR_OK);
    conn_finish(p.conn);
    world_until(&w, p.closed == 1);
    assert_int_equal(peer_read_to_end(&w, fd, &got), PEER_EOF);
    assert_int_equal(got.len, 10);
    close(fd);
    world_close(&w);
    buf_fini(&got);
}

/* A reset may not destroy the last answer: over TCP, unread input at close would cause one. */
static void the_last_answer_arrives_although_input_is_unread(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct world w;
    struct probe p = {0};
    struct buf got = {0}, much = {0};
    int listening, fd, ours = -1;

    (void)state;
    world_open(&w);
    assert_int_equal(sock_listen("127.0.0.1", 0, false, &listening), ERR_OK);
    to.sin_port = htons(sock_port(listening));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    world_until(&w, ours >= 0 || sock_accept(listening, &ours) == ERR_OK);
    assert_int_equal(conn_open(&w.net, ours, &probe_ops, &p, &p.conn), ERR_OK);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    memset(buf_reserve(&much, 300000), 'x', 300000);
    much.len = 300000;
    conn_read(p.conn, false);
    assert_true(send(fd, much.at, 100000, MSG_NOSIGNAL) > 0);
    assert_int_equal(push(p.conn, 'n', 1000), ERR_OK);
    conn_finish(p.conn);
    peer_write(&w, fd, buf_bytes(&much));
    assert_int_equal(peer_read_to_end(&w, fd, &got), PEER_EOF);
    assert_int_equal(got.len, 1000);
    close(fd);
    world_until(&w, p.closed == 1);
    sock_close(listening);
    world_close(&w);
    buf_fini(&got);
    buf_fini(&much);
}

static void the_queue_limit_refuses_and_changes_nothing(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    int fd;

    (void)state;
    world_open(&w);
    w.limits.queue_bytes = 1000;
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 50000), ERR_OK);
    world_turns(&w, 3);
    assert_int_equal(push(p.conn, 'b', 999), ERR_OK);
    assert_int_equal(push(p.conn, 'c', 2), ERR_FULL);
    assert_int_equal(push(p.conn, 'd', 1), ERR_OK);
    assert_int_equal(push(p.conn, 'e', 1), ERR_FULL);
    assert_true(conn_is_open(p.conn));
    peer_read(&w, fd, &got, 51000);
    assert_int_equal(got.len, 51000);
    assert_int_equal(got.at[49999], 'a');
    assert_int_equal(got.at[50998], 'b');
    assert_int_equal(got.at[50999], 'd');
    close(fd);
    world_close(&w);
    buf_fini(&got);
}

static void the_last_push_drops_what_was_not_begun(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 50000), ERR_OK);
    assert_int_equal(push(p.conn, 'b', 5000), ERR_OK);
    world_turns(&w, 3);
    push_last(p.conn, 'z', 7);
    conn_finish(p.conn);
    assert_int_equal(peer_read_to_end(&w, fd, &got), PEER_EOF);
    assert_int_equal(got.len, 50007);
    assert_int_equal(got.at[49999], 'a');
    assert_int_equal(got.at[50000], 'z');
    close(fd);
    world_close(&w);
    buf_fini(&got);
}

static void who_does_not_read_is_not_read_from(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    size_t before;
    int fd;

    (void)state;
    world_open(&w);
    w.limits.soft_queue_bytes = 10000;
    fd = probe_open(&w, &p, 4096);
    assert_false(conn_is_behind(p.conn));
    assert_int_equal(push(p.conn, 'a', 100000), ERR_OK);
    assert_true(conn_is_behind(p.conn));
    peer_write(&w, fd, BYTES("one"));
    world_turns(&w, WORLD_QUIET_TURNS);
    before = p.got.len; /* the pause takes hold at the first read or write */
    peer_write(&w, fd, BYTES("two"));
    world_turns(&w, WORLD_QUIET_TURNS);
    assert_int_equal(p.got.len, before);
    peer_read(&w, fd, &got, 100000);
    world_until(&w, p.got.len == 6);
    assert_bytes(buf_bytes(&p.got), BYTES("onetwo"));
    assert_false(conn_is_behind(p.conn));
    close(fd);
    world_close(&w);
    buf_fini(&p.got);
    buf_fini(&got);
}

static size_t has_arrived(int fd)
{
    char at[16];
    ssize_t n = recv(fd, at, sizeof(at), MSG_PEEK | MSG_DONTWAIT);

    return n > 0 ? (size_t)n : 0;
}

/* Copies for many are written in slices; whoever has a message of its own does not wait for them,
   and gets both in their order. */
static void copies_for_many_hold_nobody_up(void **state)
{
    enum { MANY = 200, LAST = MANY - 1 };
    static struct probe probes[MANY];
    struct world w;
    struct buf got = {0};
    int fds[MANY], i;
    size_t arrived = 0;

    (void)state;
    world_open(&w);
    for (i = 0; i < MANY; i++)
        fds[i] = probe_open(&w, &probes[i], 0);
    w.net.to_many = true;
    for (i = 0; i < MANY; i++)
        assert_int_equal(push(probes[i].conn, 'm', 1), ERR_OK);
    w.net.to_many = false;
    assert_int_equal(push(probes[LAST].conn, 'd', 1), ERR_OK);
    assert_true(net_write(&w.net));
    peer_read(&w, fds[LAST], &got, 2);
    assert_bytes(buf_bytes(&got), BYTES("md"));
    assert_int_equal(has_arrived(fds[0]), 1);
    assert_int_equal(has_arrived(fds[LAST - 1]), 0);
    while (net_write(&w.net)) {
    }
    for (i = 0; i < LAST; i++)
        arrived += has_arrived(fds[i]);
    assert_int_equal(arrived, LAST);
    for (i = 0; i < MANY; i++)
        close(fds[i]);
    world_close(&w);
    buf_fini(&got);
}

/* Beside others, whoever brings them, bulk has at least a few and half as many as they are. */
static void copies_for_many_have_their_share(void **state)
{
    enum { MANY = 600, OTHERS = 100 };
    static struct probe bulk[MANY], probes[OTHERS];
    struct world w;
    int fds[MANY], other[OTHERS], i, round, arrived;

    (void)state;
    world_open(&w);
    for (i = 0; i < MANY; i++)
        fds[i] = probe_open(&w, &bulk[i], 0);
    for (i = 0; i < OTHERS; i++)
        other[i] = probe_open(&w, &probes[i], 0);
    w.net.to_many = true;
    for (i = 0; i < MANY; i++)
        assert_int_equal(push(bulk[i].conn, 'm', 1), ERR_OK);
    w.net.to_many = false;
    for (round = 1; round <= 4; round++) {
        assert_int_equal(push(probes[0].conn, 'd', 1), ERR_OK);
        assert_true(net_write(&w.net));
        for (i = 0, arrived = 0; i < MANY; i++)
            arrived += has_arrived(fds[i]);
        assert_int_equal(arrived, 16 * round);
    }
    for (i = 0; i < OTHERS; i++)
        assert_int_equal(push(probes[i].conn, 'd', 1), ERR_OK);
    assert_true(net_write(&w.net));
    for (i = 0, arrived = 0; i < MANY; i++)
        arrived += has_arrived(fds[i]);
    assert_int_equal(arrived, 16 * 4 + OTHERS / 2);
    for (i = 0; i < MANY; i++)
        close(fds[i]);
    for (i = 0; i < OTHERS; i++)
        close(other[i]);
    world_close(&w);
}

static void reading_can_be_switched(void **state)
{
    struct world w;
    struct probe p;
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    conn_read(p.conn, false);
    peer_write(&w, fd, BYTES("hello"));
    world_turns(&w, WORLD_QUIET_TURNS);
    assert_int_equal(p.got.len, 0);
    conn_read(p.conn, true);
    world_until(&w, p.got.len == 5);
    close(fd);
    world_close(&w);
    buf_fini(&p.got);
}

static void a_stalled_peer_is_told_of_once(void **state)
{
    struct world w;
    struct probe p;
    int fd;

    (void)state;
    world_open(&w);
    w.limits.stall_ms = 30;
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 100000), ERR_OK);
    world_until(&w, p.closed == 1);
    assert_int_equal(p.stalls, 1);
    assert_int_equal(p.timers, 0);
    close(fd);
    world_close(&w);
}

static void a_stalled_peer_does_not_keep_a_finished_conn(void **state)
{
    struct world w;
    struct probe p;
    int fd;

    (void)state;
    world_open(&w);
    w.limits.stall_ms = 30;
    w.limits.linger_ms = 30;
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 100000), ERR_OK);
    conn_finish(p.conn);
    world_until(&w, p.closed == 1);
    close(fd);
    world_close(&w);
}

/* The stall's time passes while the flush has time left: nothing is due until that is over. */
static void a_flush_that_makes_no_progress_costs_no_turns(void **state)
{
    struct world w;
    struct probe p;
    int64_t finish_ms;
    int fd;

    (void)state;
    world_open(&w);
    w.limits.stall_ms = 600;
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 100000), ERR_OK);
    finish_ms = w.loop.now_ms + 300;
    world_until(&w, w.loop.now_ms >= finish_ms);
    conn_finish(p.conn);
    finish_ms = w.loop.now_ms;
    world_until(&w, w.loop.now_ms >= finish_ms + 400);
    if (p.closed == 0 && w.loop.now_ms < finish_ms + 500)
        assert_false(w.loop.hurry);
    world_until(&w, p.closed == 1);
    assert_true(w.loop.now_ms >= finish_ms + 600);
    assert_int_equal(p.stalls, 0);
    close(fd);
    world_close(&w);
}

static void the_newest_deadline_counts(void **state)
{
    struct world w;
    struct probe p;
    int64_t start;
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    start = w.loop.now_ms;
    conn_arm(p.conn, start + 1);
    conn_arm(p.conn, start + 50);
    world_until(&w, p.timers == 1);
    assert_true(w.loop.now_ms >= start + 50);
    world_turns(&w, WORLD_QUIET_TURNS);
    assert_int_equal(p.timers, 1);
    conn_arm(p.conn, w.loop.now_ms + 1);
    conn_arm(p.conn, 0);
    start = w.loop.now_ms;
    world_until(&w, w.loop.now_ms > start + 40);
    assert_int_equal(p.timers, 1);
    close(fd);
    world_close(&w);
}

static void a_deadline_dies_with_its_conn(void **state)
{
    struct world w;
    struct probe p, q;
    int64_t start;
    int fd, other;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    conn_arm(p.conn, w.loop.now_ms + 10);
    conn_close(p.conn, CONN_END_OURS);
    world_turns(&w, 1);
    other = probe_open(&w, &q, 0); /* in the same slot */
    start = w.loop.now_ms;
    world_until(&w, w.loop.now_ms > start + 40);
    assert_int_equal(p.timers, 0);
    assert_int_equal(p.closed, 1);
    assert_int_equal(q.timers, 0);
    assert_int_equal(q.closed, 0);
    close(fd);
    close(other);
    world_close(&w);
}

static void released_descriptors_live_on(void **state)
{
    struct world w;
    struct probe p, q = {0};
    struct buf got = {0};
    int fd, ours;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    ours = conn_release(p.conn);
    assert_true(ours >= 0);
    assert_int_equal(conn_open(&w.net, ours, &probe_ops, &q, &q.conn), ERR_OK);
    world_turns(&w, 3);
    assert_int_equal(p.closed, 0);
    assert_int_equal(w.net.open, 1);
    peer_write(&w, fd, BYTES("hello"));
    world_until(&w, q.got.len == 5);
    assert_int_equal(push(q.conn, 'a', 3), ERR_OK);
    peer_read(&w, fd, &got, 3);
    assert_int_equal(p.got.len, 0);
    close(fd);
    world_close(&w);
    assert_int_equal(q.closed, 1);
    buf_fini(&q.got);
    buf_fini(&got);
}

/* The end of input was seen by the protocol before: the one after it must see it too. */
static void a_conn_becomes_another_protocol(void **state)
{
    struct world w;
    struct probe p, q = {.finish_on_end = true};
    struct buf got = {0};
    int64_t start;
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    peer_write(&w, fd, BYTES("one"));
    world_until(&w, p.got.len == 3);
    shutdown(fd, SHUT_WR);
    world_until(&w, p.ends == 1);
    conn_arm(p.conn, w.loop.now_ms + 10);
    q.conn = p.conn;
    conn_become(p.conn, &probe_ops, &q);
    assert_int_equal(push(q.conn, 'a', 3), ERR_OK);
    assert_int_equal(peer_read_to_end(&w, fd, &got), PEER_EOF);
    assert_int_equal(got.len, 3);
    start = w.loop.now_ms;
    world_until(&w, q.closed == 1 && w.loop.now_ms > start + 40);
    assert_int_equal(q.ends, 1);
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.timers + p.closed + q.timers, 0);
    close(fd);
    world_close(&w);
    buf_fini(&p.got);
    buf_fini(&got);
}

static void a_conn_that_was_not_read_is_read_after_becoming(void **state)
{
    struct world w;
    struct probe p, q = {0};
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    conn_read(p.conn, false);
    peer_write(&w, fd, BYTES("two"));
    world_turns(&w, WORLD_QUIET_TURNS);
    assert_int_equal(p.got.len, 0);
    q.conn = p.conn;
    conn_become(p.conn, &probe_ops, &q);
    world_until(&w, q.got.len == 3);
    assert_int_equal(p.got.len, 0);
    close(fd);
    world_close(&w);
    buf_fini(&q.got);
}

static void the_end_of_input_is_told_once_and_output_goes_on(void **state)
{
    struct world w;
    struct probe p;
    struct buf got = {0};
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 0);
    shutdown(fd, SHUT_WR);
    world_until(&w, p.ends == 1);
    world_turns(&w, WORLD_QUIET_TURNS);
    assert_int_equal(p.ends, 1);
    assert_int_equal(push(p.conn, 'a', 3), ERR_OK);
    conn_finish(p.conn);
    assert_int_equal(peer_read_to_end(&w, fd, &got), PEER_EOF);
    assert_int_equal(got.len, 3);
    world_until(&w, p.closed == 1);
    close(fd);
    world_close(&w);
    buf_fini(&got);
}

static void a_peer_that_vanishes_mid_write_is_closed(void **state)
{
    struct world w;
    struct probe p;
    int fd;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 4096);
    assert_int_equal(push(p.conn, 'a', 100000), ERR_OK);
    world_turns(&w, 2);
    close(fd);
    world_until(&w, p.closed == 1);
    world_close(&w);
}

static void count_and_close(struct conn *c, void *context)
{
    int *count = context;

    (*count)++;
    conn_close(c, CONN_END_OURS);
}

static void each_visits_all_but_the_closed_and_may_close_them(void **state)
{
    enum { MANY = 200 };
    static struct probe probes[MANY];
    int fds[MANY], i, count = 0;
    struct world w;

    (void)state;
    world_open(&w);
    for (i = 0; i < MANY; i++)
        fds[i] = probe_open(&w, &probes[i], 0);
    conn_close(probes[5].conn, CONN_END_OURS);
    conn_finish(probes[6].conn);
    assert_int_equal(w.net.open, MANY);
    net_each(&w.net, count_and_close, &count);
    assert_int_equal(count, MANY - 1);
    world_until(&w, w.net.open == 0);
    for (i = 0; i < MANY; i++) {
        assert_int_equal(probes[i].closed, 1);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    world_close(&w);
}

/* Random pushes and random reading: what arrives is what was pushed, in order, whole. */
static void any_pace_gives_the_same_bytes(void **state)
{
    struct dice d = dice_new("conn");
    struct buf pushed = {0}, got = {0};
    struct world w;
    struct probe p;
    int fd, i;

    (void)state;
    world_open(&w);
    fd = probe_open(&w, &p, 8192);
    for (i = 0; i < 3000; i++) {
        size_t len = 1 + dice_roll(&d, dice_roll(&d, 20) ? 300 : 90000), n;
        char letter = (char)('a' + (char)dice_roll(&d, 26)), some[4000];

        if (dice_roll(&d, 3) == 0 && push(p.conn, letter, len) == ERR_OK) {
            memset(buf_reserve(&pushed, len), letter, len);
            pushed.len += len;
        }
        n = 1 + dice_roll(&d, sizeof(some));
        if (dice_roll(&d, 2)) {
            ssize_t r = recv(fd, some, n, 0);

            if (r > 0)
                buf_add(&got, bytes_of(some, (size_t)r));
        }
        loop_turn(&w.loop, 0);
    }
    peer_read(&w, fd, &got, pushed.len);
    assert_bytes(buf_bytes(&got), buf_bytes(&pushed));
    close(fd);
    world_close(&w);
    buf_fini(&got);
    buf_fini(&pushed);
}

static void an_idle_conn_holds_no_more_than_its_slot(void **state)
{
    enum { MANY = 640 };
    static struct probe probes[MANY];
    int fds[MANY], i;
    int64_t before, held;
    struct world w;

    (void)state;
    world_open(&w);
    before = mem_held();
    for (i = 0; i < MANY; i++)
        fds[i] = probe_open(&w, &probes[i], 0);
    held = (mem_held() - before) / MANY;
    assert_true(held <= (int64_t)sizeof(struct conn) + 16);
    assert_true(sizeof(struct conn) <= 256);
    for (i = 0; i < MANY; i++)
        close(fds[i]);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(a_name_finds_nobody_once_the_slot_is_reused),
        cmocka_unit_test(finish_sends_all_then_waits_for_the_peer),
        cmocka_unit_test(finish_does_not_cut_a_slow_reader),
        cmocka_unit_test(lingering_ends_without_the_peers_help),
        cmocka_unit_test(the_last_answer_arrives_although_input_is_unread),
        cmocka_unit_test(the_queue_limit_refuses_and_changes_nothing),
        cmocka_unit_test(the_last_push_drops_what_was_not_begun),
        cmocka_unit_test(who_does_not_read_is_not_read_from),
        cmocka_unit_test(copies_for_many_hold_nobody_up),
        cmocka_unit_test(copies_for_many_have_their_share),
        cmocka_unit_test(reading_can_be_switched),
        cmocka_unit_test(a_stalled_peer_is_told_of_once),
        cmocka_unit_test(a_stalled_peer_does_not_keep_a_finished_conn),
        cmocka_unit_test(a_flush_that_makes_no_progress_costs_no_turns),
        cmocka_unit_test(the_newest_deadline_counts),
        cmocka_unit_test(a_deadline_dies_with_its_conn),
        cmocka_unit_test(released_descriptors_live_on),
        cmocka_unit_test(a_conn_becomes_another_protocol),
        cmocka_unit_test(a_conn_that_was_not_read_is_read_after_becoming),
        cmocka_unit_test(the_end_of_input_is_told_once_and_output_goes_on),
        cmocka_unit_test(a_peer_that_vanishes_mid_write_is_closed),
        cmocka_unit_test(each_visits_all_but_the_closed_and_may_close_them),
        cmocka_unit_test(any_pace_gives_the_same_bytes),
        cmocka_unit_test(an_idle_conn_holds_no_more_than_its_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
