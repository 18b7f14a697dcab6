#include "unit/net/ws_site.h"

enum { BIG = 100000 };

/* The beginning of a text of which more will come: so many bytes of it. */
static void say_part(struct site *s, enum ws_opcode opcode, size_t len)
{
    struct buf said = {0}, text = {0};

    add_letters(&text, 'p', len);
    add_frame(&said, opcode, buf_bytes(&text));
    said.at[0] = (char)opcode; /* not final */
    peer_write(&s->w, s->peer, buf_bytes(&said));
    buf_fini(&said);
    buf_fini(&text);
}

static void push_big(struct site *s)
{
    struct buf text = {0};

    add_letters(&text, 'b', BIG);
    site_push_asked(&s->ws, WS_BINARY, buf_bytes(&text));
    buf_fini(&text);
}

/* Over the budget a message may keep NET_KEPT_ANYWAY bytes, and not one more. */
static void a_long_message_over_the_memory_budget_ends_in_1013(void **state)
{
    static const char last[] = "\x88\x1e\x03\xf5the memory budget is used up";
    int64_t counted = meter_sum(METER_REFUSED_MEMORY);
    struct site s;

    (void)state;
    site_open(&s, BIG);
    s.settings.memory_bytes = 1;
    say_part(&s, WS_TEXT, NET_KEPT_ANYWAY);
    world_turns(&s.w, 2);
    assert_int_equal(ws_reader_kept(&s.ws.reader), NET_KEPT_ANYWAY);
    assert_true(ws_is_open(&s.ws));
    say_part(&s, WS_CONTINUATION, 1);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &s.heard), PEER_EOF);
    assert_bytes(buf_bytes(&s.heard), bytes_of(last, sizeof(last) - 1));
    assert_int_equal(ws_reader_kept(&s.ws.reader), 0);
    assert_int_equal(meter_sum(METER_REFUSED_MEMORY) - counted, 1);
    site_close(&s);
}

static void a_long_message_behind_our_close_is_not_told_of_memory(void **state)
{
    int64_t counted = meter_sum(METER_REFUSED_MEMORY);
    struct site s;

    (void)state;
    site_open(&s, BIG);
    s.settings.memory_bytes = 1;
    ws_close(&s.ws, WS_CLOSE_GOING_AWAY, (struct bytes){NULL, 0}, false);
    say_part(&s, WS_TEXT, NET_KEPT_ANYWAY + 1);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &s.heard), PEER_EOF);
    assert_bytes(buf_bytes(&s.heard), BYTES("\x88\x02\x03\xe9"));
    assert_int_equal(meter_sum(METER_REFUSED_MEMORY), counted);
    site_close(&s);
}

static void a_peer_that_stalls_while_closing_is_dropped(void **state)
{
    int64_t counted = meter_sum(METER_CLOSED_STALLED);
    struct site s;

    (void)state;
    site_open(&s, BIG);
    s.w.limits.stall_ms = 40;
    push_big(&s);
    ws_close(&s.ws, WS_CLOSE_GOING_AWAY, (struct bytes){NULL, 0}, false);
    world_until(&s.w, s.closed == 1);
    assert_int_equal(meter_sum(METER_CLOSED_STALLED), counted);
    site_close(&s);
}

/* Its time is over: what was begun, and the Close, have only a moment more. */
static void a_stalled_peer_has_a_moment_for_its_close(void **state)
{
    int64_t counted = meter_sum(METER_CLOSED_STALLED), told_ms;
    struct site s;

    (void)state;
    site_open(&s, BIG);
    s.w.limits.stall_ms = 5000;
    s.w.limits.close_wait_ms = 50;
    push_big(&s);
    world_turns(&s.w, 2);
    s.ws.conn->last_progress_ms -= 5000;
    conn_arm(s.ws.conn, s.w.loop.now_ms + 1); /* or the timer would still be that of before */
    world_until(&s.w, meter_sum(METER_CLOSED_STALLED) == counted + 1);
    told_ms = s.w.loop.now_ms;
    assert_false(ws_is_open(&s.ws));
    assert_true(s.ws.conn->due_ms <= told_ms + 50);
    world_until(&s.w, s.closed == 1);
    assert_true(s.w.loop.now_ms < told_ms + 5000);
    site_close(&s);
}

/* Slow first, and then stalled: it is one and the same time. */
static void a_flush_goes_on_from_the_last_progress(void **state)
{
    struct site s;
    int64_t last_ms;

    (void)state;
    site_open(&s, BIG);
    s.w.limits.stall_ms = 5000;
    s.w.limits.close_wait_ms = 50;
    push_big(&s);
    world_turns(&s.w, 2);
    last_ms = s.ws.conn->last_progress_ms -= 3000;
    push_big(&s);
    ws_close(&s.ws, WS_CLOSE_GOING_AWAY, (struct bytes){NULL, 0}, false);
    conn_finish(s.ws.conn);
    assert_int_equal(s.ws.conn->due_ms, last_ms + 5000);
    site_close(&s);
}

/* A pong behind what the peer has not taken yet cannot be told from none. */
static void a_peer_that_falls_behind_need_not_answer_the_ping(void **state)
{
    int64_t counted = meter_sum(METER_CLOSED_SILENT);
    struct site s;

    (void)state;
    site_open(&s, 1000);
    s.settings.ping_interval_ms = 20;
    s.settings.pong_wait_ms = 60; /* longer than the interval: the next ping is due at once */
    conn_arm(s.ws.conn, s.w.loop.now_ms + 1);
    world_until(&s.w, ws_is_in_doubt(&s.ws));
    push_big(&s);
    world_until(&s.w, !ws_is_in_doubt(&s.ws));
    assert_true(ws_is_open(&s.ws));
    assert_true(conn_due(s.ws.conn) > s.w.loop.now_ms);
    assert_int_equal(meter_sum(METER_CLOSED_SILENT), counted);
    site_close(&s);
}

static void ignore_bytes(struct conn *c, char *at, size_t len)
{
    (void)c;
    (void)at;
    (void)len;
}

/* As after a handshake over HTTP: the conn has spoken something else before. */
static void a_conn_is_taken_over(void **state)
{
    static const struct conn_ops before = {.on_bytes = ignore_bytes};
    struct buf said = {0};
    struct conn *c;
    struct site s;
    int ours;

    (void)state;
    site_open(&s, BIG);
    close(s.peer);
    world_until(&s.w, s.closed == 1);
    s.closed = 0;

    world_pair(&ours, &s.peer, 0);
    assert_int_equal(conn_open(&s.w.net, ours, &before, NULL, &c), ERR_OK);
    conn_arm(c, s.w.loop.now_ms + 1);
    assert_null(ws_of(c));
    ws_take(&s.ws, c, &site_upgrade, &s.ops, &s.rand);
    assert_ptr_equal(ws_of(c), &s.ws);
    assert_int_equal(conn_due(c), 0);
    peer_read(&s.w, s.peer, &s.heard, site_upgrade_text());
    assert_true(bytes_starts(buf_bytes(&s.heard), BYTES("HTTP/1.1 101 ")));
    s.heard.len = 0;
    add_frame(&said, WS_TEXT, BYTES("hello"));
    peer_write(&s.w, s.peer, buf_bytes(&said));
    peer_read(&s.w, s.peer, &s.heard, 7);
    assert_bytes(buf_bytes(&s.heard), BYTES("\x81\x05hello"));
    site_close(&s);
    buf_fini(&said);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_message_over_the_memory_budget_ends_in_1013),
        cmocka_unit_test(a_long_message_behind_our_close_is_not_told_of_memory),
        cmocka_unit_test(a_peer_that_stalls_while_closing_is_dropped),
        cmocka_unit_test(a_stalled_peer_has_a_moment_for_its_close),
        cmocka_unit_test(a_flush_goes_on_from_the_last_progress),
        cmocka_unit_test(a_peer_that_falls_behind_need_not_answer_the_ping),
        cmocka_unit_test(a_conn_is_taken_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
