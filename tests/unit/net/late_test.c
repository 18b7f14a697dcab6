#include "net/late.h"

#include "unit/net/peer.h"

/* A protocol that keeps what it hears. */
struct ear {
    struct conn *conn;
    struct buf heard;
    int peer, closed;
    bool has_ended;
};

static void on_bytes(struct conn *c, char *at, size_t len)
{
    struct ear *e = c->user;

    buf_add(&e->heard, bytes_of(at, len));
    if (len == 0)
        e->has_ended = true;
}

static void on_timer(struct conn *c)
{
    (void)c;
}

static void on_closed(struct conn *c)
{
    struct ear *e = c->user;

    e->closed++;
}

static const struct conn_ops ops = {
    .on_bytes = on_bytes, .on_timer = on_timer, .on_closed = on_closed};

static void ear_open(struct world *w, struct ear *e, int kernel_bytes)
{
    int ours;

    *e = (struct ear){0};
    world_pair(&ours, &e->peer, kernel_bytes);
    assert_int_equal(conn_open(&w->net, ours, &ops, e, &e->conn), ERR_OK);
}

static void ear_close(struct ear *e)
{
    close(e->peer);
    buf_fini(&e->heard);
}

static void park(struct world *w, struct ear *e)
{
    net_on_park(&w->net, conn_tag(e->conn));
    assert_true(e->conn->parked);
}

/* A world and one conn in it. */
static void open_one(struct world *w, struct ear *e, int kernel_bytes)
{
    world_open(w);
    ear_open(w, e, kernel_bytes);
}

static void open_parked(struct world *w, struct ear *e)
{
    open_one(w, e, 0);
    park(w, e);
}

static void close_one(struct world *w, struct ear *e)
{
    ear_close(e);
    world_close(w);
}

static void push(struct conn *c, char letter, size_t len)
{
    struct frame *f = frame_new(FRAME_ANSWER, len);

    memset(f->at, letter, len);
    assert_int_equal(conn_push(c, f), ERR_OK);
    frame_unref(f);
}

static void a_parked_one_is_heard_and_comes_back(void **state)
{
    struct world w;
    struct ear e;

    (void)state;
    open_parked(&w, &e);
    peer_write(&w, e.peer, BYTES("new"));
    world_until(&w, e.heard.len == 3);
    assert_true(e.conn->parked); /* it was new, and comes back when it speaks again */
    peer_write(&w, e.peer, BYTES(" and known"));
    world_until(&w, e.heard.len == 13);
    assert_false(e.conn->parked);
    assert_bytes(buf_bytes(&e.heard), BYTES("new and known"));
    close_one(&w, &e);
}

static void a_parked_one_that_has_much_to_say_stays(void **state)
{
    static char much[64 * 1024];
    struct world w;
    struct ear e;

    (void)state;
    open_one(&w, &e, 0);
    peer_write(&w, e.peer, BYTES("x"));
    world_until(&w, e.heard.len == 1);
    park(&w, &e);
    e.conn->streak = 8; /* as after so many turns: load would fade while a busy machine waits */
    e.conn->turn = (uint16_t)w.loop.turn;
    peer_write(&w, e.peer, bytes_of(much, sizeof(much)));
    world_until(&w, e.heard.len == 1 + sizeof(much));
    assert_true(late_is_busy(e.conn));
    assert_true(e.conn->parked);
    close_one(&w, &e);
}

/* Whose bytes wait for room is told of it at once, and neither parked nor stays so. */
static void who_waits_for_room_is_not_parked(void **state)
{
    enum { MUCH = 200 * 1024 };
    struct buf got = {0};
    struct world w;
    struct ear e;

    (void)state;
    open_one(&w, &e, 4096);
    park(&w, &e);
    push(e.conn, 'a', MUCH);
    world_turns(&w, 2);
    assert_true(e.conn->out_on);
    assert_false(e.conn->parked);
    net_on_park(&w.net, conn_tag(e.conn));
    assert_false(e.conn->parked);
    assert_int_equal(peer_read(&w, e.peer, &got, MUCH), PEER_QUIET);
    assert_int_equal(got.len, MUCH);
    world_until(&w, conn_is_flushed(e.conn));
    park(&w, &e);
    buf_fini(&got);
    close_one(&w, &e);
}

/* The system has no memory for one more watch. */
static void who_cannot_be_moved_stays_and_is_heard(void **state)
{
    struct world w;
    struct ear e;
    int fd;

    (void)state;
    open_one(&w, &e, 0);
    fd = w.loop.parked.fd;
    w.loop.parked.fd = -1;
    net_on_park(&w.net, conn_tag(e.conn));
    w.loop.parked.fd = fd;
    assert_false(e.conn->parked);
    peer_write(&w, e.peer, BYTES("here"));
    world_until(&w, e.heard.len == 4);
    park(&w, &e);
    fd = w.loop.poll.fd;
    w.loop.poll.fd = -1;
    late_unpark(e.conn);
    w.loop.poll.fd = fd;
    assert_true(e.conn->parked);
    peer_write(&w, e.peer, BYTES(" and there"));
    world_until(&w, e.heard.len == 14);
    close_one(&w, &e);
}

/* Until it is freed: others who end take all of many turns. */
static void a_dead_one_is_told_of_no_more(void **state)
{
    struct epoll_event event;
    struct world w;
    struct ear e;

    (void)state;
    open_parked(&w, &e);
    assert_int_equal(send(e.peer, "x", 1, MSG_NOSIGNAL), 1);
    conn_close(e.conn, CONN_END_OURS);
    assert_int_equal(poll_wait(&w.loop.parked, &event, 1, 0), 1);
    assert_false(net_on_late(&w.net, event.data.u64, event.events));
    assert_int_equal(poll_wait(&w.loop.parked, &event, 1, 0), 0);
    assert_false(net_on_late(&w.net, event.data.u64, event.events));
    world_until(&w, e.closed == 1);
    close_one(&w, &e);
}

static void a_parked_one_pauses_and_goes_on(void **state)
{
    struct world w;
    struct ear e;

    (void)state;
    open_parked(&w, &e);
    conn_read(e.conn, false);
    peer_write(&w, e.peer, BYTES("waits"));
    world_turns(&w, WORLD_QUIET_TURNS);
    assert_int_equal(e.heard.len, 0);
    conn_read(e.conn, true);
    world_until(&w, e.heard.len == 5);
    close_one(&w, &e);
}

static void a_parked_one_ends(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct world w;
        struct ear e;

        (void)state;
        open_parked(&w, &e);
        if (how == 0) {
            shutdown(e.peer, SHUT_WR);
            world_until(&w, e.has_ended);
            conn_finish(e.conn);
        } else if (how == 1) {
            conn_read(e.conn, false); /* only the hangup is told */
            close(e.peer);
            e.peer = -1;
        } else {
            conn_close(e.conn, CONN_END_OURS);
        }
        world_until(&w, e.closed == 1);
        if (e.peer >= 0)
            close(e.peer);
        buf_fini(&e.heard);
        world_close(&w);
    }
}

static void a_parked_one_is_given_away_and_becomes_another(void **state)
{
    struct world w;
    struct ear e, other;
    int fd;

    (void)state;
    open_parked(&w, &e);
    other = e;
    conn_become(e.conn, &ops, &other);
    peer_write(&w, e.peer, BYTES("to the other"));
    world_until(&w, other.heard.len == 12);
    assert_int_equal(e.heard.len, 0);
    fd = conn_release(other.conn);
    world_turns(&w, 1);
    assert_int_equal(other.closed, 0);
    assert_int_equal(send(e.peer, "still open", 10, MSG_NOSIGNAL), 10);
    close(fd);
    buf_fini(&other.heard);
    close_one(&w, &e);
}

static void who_is_gone_or_no_conn_is_not_parked(void **state)
{
    struct world w;
    struct ear e;
    uint64_t tag;

    (void)state;
    open_one(&w, &e, 0);
    tag = conn_tag(e.conn);
    conn_close(e.conn, CONN_END_OURS);
    net_on_park(&w.net, tag);
    assert_false(e.conn->parked);
    world_turns(&w, 1);
    net_on_park(&w.net, tag);
    net_on_park(&w.net, UINT64_MAX - 7);
    assert_int_equal(w.net.open, 0);
    close_one(&w, &e);
}

/* Whenever somebody is parked: all that is said is heard, once and in order, both ways. */
static void parking_changes_nothing_for_anybody(void **state)
{
    enum { EARS = 20, ROUNDS = 3000 };
    static struct ear ears[EARS];
    static struct buf said[EARS], pushed[EARS], got[EARS];
    struct dice d = dice_new("late");
    struct world w;
    int i;

    (void)state;
    world_open(&w);
    w.limits.queue_bytes = 64 << 20;
    for (i = 0; i < EARS; i++) {
        ear_open(&w, &ears[i], 8192);
        said[i] = pushed[i] = got[i] = (struct buf){0};
    }
    for (int round = 0; round < ROUNDS; round++) {
        char letter = (char)('a' + round % 26), text[3000];
        size_t len = 1 + dice_roll(&d, sizeof(text));
        ssize_t n;

        i = (int)dice_roll(&d, EARS);
        memset(text, letter, sizeof(text));
        if (dice_roll(&d, 3) == 0)
            net_on_park(&w.net, conn_tag(ears[i].conn));
        if (dice_roll(&d, 2)) {
            n = send(ears[i].peer, text, len, MSG_NOSIGNAL);
            if (n > 0)
                buf_add(&said[i], bytes_of(text, (size_t)n));
        } else if (conn_waiting(ears[i].conn) < 100000) {
            push(ears[i].conn, letter, len);
            buf_add(&pushed[i], bytes_of(text, len));
        }
        if (dice_roll(&d, 2))
            peer_take(ears[i].peer, &got[i]);
        world_turns(&w, 1);
    }
    for (i = 0; i < EARS; i++) {
        peer_read(&w, ears[i].peer, &got[i], pushed[i].len);
        world_until(&w, ears[i].heard.len == said[i].len);
        assert_bytes(buf_bytes(&ears[i].heard), buf_bytes(&said[i]));
        assert_bytes(buf_bytes(&got[i]), buf_bytes(&pushed[i]));
        buf_fini(&said[i]);
        buf_fini(&pushed[i]);
        buf_fini(&got[i]);
        ear_close(&ears[i]);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parked_one_is_heard_and_comes_back),
        cmocka_unit_test(a_parked_one_that_has_much_to_say_stays),
        cmocka_unit_test(who_waits_for_room_is_not_parked),
        cmocka_unit_test(who_cannot_be_moved_stays_and_is_heard),
        cmocka_unit_test(a_dead_one_is_told_of_no_more),
        cmocka_unit_test(a_parked_one_pauses_and_goes_on),
        cmocka_unit_test(a_parked_one_ends),
        cmocka_unit_test(a_parked_one_is_given_away_and_becomes_another),
        cmocka_unit_test(who_is_gone_or_no_conn_is_not_parked),
        cmocka_unit_test(parking_changes_nothing_for_anybody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
