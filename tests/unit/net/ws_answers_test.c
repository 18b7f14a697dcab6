#include "unit/net/ws_site.h"

enum { BIG = 100000 };

/* Says all of b, and reads only when nothing more of it is taken, until `wanted` was heard. */
static void exchange(struct site *s, struct bytes b, struct bytes wanted)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;
    int refused = 0;

    while ((b.len || s->heard.len < wanted.len) && clock_mono_ms() < end_ms) {
        ssize_t n = b.len ? send(s->peer, b.at, b.len, MSG_NOSIGNAL) : -1;

        if (n > 0)
            b = bytes_of(b.at + n, b.len - (size_t)n);
        refused = n > 0 ? 0 : refused + 1;
        if (refused > WORLD_QUIET_TURNS && peer_take(s->peer, &s->heard) != PEER_QUIET)
            break;
        loop_turn(&s->w.loop, 0);
    }
    assert_int_equal(b.len, 0);
    assert_bytes(buf_bytes(&s->heard), wanted);
    s->heard.len = 0;
}

static void come_whatever_waits(void **state)
{
    struct buf said = {0}, wanted = {0}, big = {0};
    struct site s;
    int i;

    (void)state;
    site_open(&s, 1000);
    add_letters(&big, 'b', BIG);
    for (i = 0; i < 3; i++) {
        add_frame(&said, WS_TEXT, BYTES("small"));
        add_frame(&said, WS_BINARY, buf_bytes(&big));
        add_frame(&said, WS_PING, BYTES("still there"));
        add_answer(&wanted, WS_TEXT, BYTES("small"));
        add_answer(&wanted, WS_BINARY, buf_bytes(&big));
        add_answer(&wanted, WS_PONG, BYTES("still there"));
    }
    exchange(&s, buf_bytes(&said), buf_bytes(&wanted));
    assert_true(ws_is_open(&s.ws));
    site_close(&s);
    buf_fini(&said);
    buf_fini(&wanted);
    buf_fini(&big);
}

/* Asking goes on only when what was asked for is taken: the queue holds one read's answers more
   than the soft limit at most. */
static void are_bounded_by_not_reading(void **state)
{
    struct buf said = {0};
    struct site s;
    size_t most = 0;
    int i, sent = 0;

    (void)state;
    site_open(&s, 1000);
    for (i = 0; i < 1000; i++)
        add_frame(&said, WS_PING, BYTES("how many of these fit?"));
    for (i = 0; i < 2000; i++) {
        if (send(s.peer, said.at, said.len, MSG_NOSIGNAL) > 0)
            sent++;
        loop_turn(&s.w.loop, 0);
        most = s.ws.conn->out.bytes > most ? s.ws.conn->out.bytes : most;
    }
    assert_true(sent < 2000);
    assert_true(conn_is_paused(s.ws.conn));
    assert_true(most > 1000 && most < 1000 + NET_READ_BYTES);
    assert_true(ws_is_open(&s.ws));
    site_close(&s);
    buf_fini(&said);
}

/* A Close, ours or an answer to the peer's, does not cost what waits before it. */
static void come_before_a_close(void **state)
{
    int ours;

    (void)state;
    for (ours = 0; ours <= 1; ours++) {
        struct buf said = {0}, wanted = {0}, big = {0};
        struct site s;

        site_open(&s, 1000);
        add_letters(&big, 'b', BIG);
        add_frame(&said, WS_CLOSE, BYTES("\x03\xe8"));
        add_answer(&wanted, WS_BINARY, buf_bytes(&big));
        add_answer(&wanted, WS_BINARY, buf_bytes(&big));
        add_answer(&wanted, WS_CLOSE, BYTES("\x03\xe8"));
        site_push_asked(&s.ws, WS_BINARY, buf_bytes(&big));
        site_push_asked(&s.ws, WS_BINARY, buf_bytes(&big));
        if (ours)
            ws_close(&s.ws, WS_CLOSE_NORMAL, (struct bytes){NULL, 0}, false);
        else
            peer_write(&s.w, s.peer, buf_bytes(&said));
        assert_false(ws_is_open(&s.ws));
        site_push_asked(&s.ws, WS_TEXT, BYTES("too late"));
        exchange(&s, (struct bytes){NULL, 0}, buf_bytes(&wanted));
        site_close(&s);
        buf_fini(&said);
        buf_fini(&wanted);
        buf_fini(&big);
    }
}

/* Without an interval there are no pings: whoever listens hears answers alone. */
static void are_all_there_is(void **state)
{
    struct buf said = {0};
    struct site s;

    (void)state;
    site_open(&s, 1000);
    assert_int_equal(conn_due(s.ws.conn), 0);
    add_frame(&said, WS_PONG, BYTES("unasked"));
    peer_write(&s.w, s.peer, buf_bytes(&said));
    assert_int_equal(peer_read_quiet(&s.w, s.peer, &s.heard), PEER_QUIET);
    assert_int_equal(s.heard.len, 0);
    assert_int_equal(conn_due(s.ws.conn), 0);
    site_close(&s);
    buf_fini(&said);
}

int main(void)
{
    static const struct CMUnitTest answers[] = {
        cmocka_unit_test(come_whatever_waits),
        cmocka_unit_test(are_bounded_by_not_reading),
        cmocka_unit_test(come_before_a_close),
        cmocka_unit_test(are_all_there_is),
    };

    return cmocka_run_group_tests(answers, NULL, NULL);
}
