#include "net/ws_conn.h"

#include "unit/net/peer.h"

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define HANDSHAKE                                                                                  \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n"

enum { FIN = 0x80, MESSAGE_LIMIT = 300000 };

/* One WebSocket whose session writes down what it hears, and answers as the test says. */
struct site {
    struct world w;
    struct ws_settings settings;
    struct upgrade upgrade; /* nothing more than ACCEPT is agreed unless the test says so */
    struct ws_ops ops;
    struct rand rand;
    struct ws_conn ws;
    int peer;
    struct buf log;   /* "1:text\n" for every message */
    struct buf heard; /* by the peer, after the handshake */
    bool echo, close_inside, cut_inside;
    int closed;
};

static struct site *site_of(struct ws_conn *w)
{
    return (struct site *)(void *)((char *)w - offsetof(struct site, ws));
}

static enum err push_text(struct site *s, const char *letter, size_t len)
{
    struct buf text = {0};
    struct frame *f;
    enum err e;

    memset(buf_reserve(&text, len + 1), *letter, len);
    text.len = len;
    f = ws_frame(FRAME_PLAIN, WS_TEXT, buf_bytes(&text), (struct bytes){NULL, 0});
    e = ws_push(&s->ws, f);
    frame_unref(f);
    buf_fini(&text);
    return e;
}

static void on_message(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload)
{
    struct site *s = site_of(w);

    assert_true(ws_is_open(w));
    buf_printf(&s->log, "%d:", (int)opcode);
    buf_add(&s->log, payload);
    buf_add_char(&s->log, '\n');
    if (s->echo) {
        struct frame *f = ws_frame(FRAME_PLAIN, opcode, payload, (struct bytes){NULL, 0});

        assert_int_equal(ws_push(w, f), ERR_OK);
        frame_unref(f);
    }
    if (s->close_inside)
        ws_close(w, 1000, BYTES("enough"), false);
    if (s->cut_inside)
        conn_close(w->conn, CONN_END_OURS);
}

static void on_closed(struct ws_conn *w)
{
    struct site *s = site_of(w);

    s->closed++;
}

static void site_open(struct site *s)
{
    *s =
        (struct site){.settings = {.limits = {.message_bytes = MESSAGE_LIMIT, .empty_fragments = 4},
                                   .ping_interval_ms = 1000000,
                                   .pong_wait_ms = 1000000},
                      .upgrade = {.accept = ACCEPT}};
    s->ops = (struct ws_ops){&s->settings, on_message, on_closed};
    world_open(&s->w);
    rand_init(&s->rand);
}

/* kernel_bytes as in world_pair. The handshake's answer is taken out of what is heard. */
static void site_connect(struct site *s, int kernel_bytes)
{
    int ours;

    world_pair(&ours, &s->peer, kernel_bytes);
    assert_int_equal(ws_open(&s->ws, &s->w.net, ours, &s->upgrade, &s->ops, &s->rand), ERR_OK);
    assert_ptr_equal(ws_of(s->ws.conn), &s->ws);
    peer_read(&s->w, s->peer, &s->heard, sizeof(HANDSHAKE) - 1);
    assert_true(bytes_starts(buf_bytes(&s->heard), BYTES(HANDSHAKE)));
    buf_drop(&s->heard, sizeof(HANDSHAKE) - 1); /* a ping may be behind it already */
}

static void site_close(struct site *s)
{
    close(s->peer);
    world_close(&s->w);
    assert_int_equal(s->closed, 1);
    assert_int_equal(meter_sum(METER_MEM_INPUT), 0);
    buf_fini(&s->log);
    buf_fini(&s->heard);
}

/* A masked frame as a client sends it. first: FIN and opcode. */
static void add_frame(struct buf *out, int first, struct bytes payload)
{
    static const unsigned char mask[4] = {0x12, 0xf3, 0x00, 0x7a};
    size_t i;

    buf_add_char(out, (char)first);
    if (payload.len < 126) {
        buf_add_char(out, (char)(0x80 | payload.len));
    } else {
        buf_add_char(out, (char)(payload.len < 65536 ? 0xfe : 0xff));
        for (i = payload.len < 65536 ? 2 : 8; i > 0; i--)
            buf_add_char(out, (char)(payload.len >> (8 * (i - 1))));
    }
    buf_add(out, bytes_of((const char *)mask, 4));
    for (i = 0; i < payload.len; i++)
        buf_add_char(out, (char)(payload.at[i] ^ (char)mask[i % 4]));
}

static void say(struct site *s, int first, struct bytes payload)
{
    struct buf out = {0};

    add_frame(&out, first, payload);
    peer_write(&s->w, s->peer, buf_bytes(&out));
    buf_fini(&out);
}

static void assert_heard(struct site *s, struct bytes wanted)
{
    assert_int_equal(peer_read_quiet(&s->w, s->peer, &s->heard), PEER_QUIET);
    assert_bytes(buf_bytes(&s->heard), wanted);
    s->heard.len = 0;
}

/* All that comes until the end is wanted; then the connection is gone. */
static void assert_last_heard(struct site *s, struct bytes wanted)
{
    assert_int_equal(peer_read_to_end(&s->w, s->peer, &s->heard), PEER_EOF);
    assert_bytes(buf_bytes(&s->heard), wanted);
    s->heard.len = 0;
    shutdown(s->peer, SHUT_WR);
    world_until(&s->w, s->closed == 1);
}

static void messages_go_both_ways(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    s.echo = true;
    site_connect(&s, 0);
    say(&s, FIN | WS_TEXT, BYTES("hello"));
    assert_heard(&s, BYTES("\x81\x05hello"));
    say(&s, FIN | WS_BINARY, BYTES("\x00\xff"));
    assert_heard(&s, BYTES("\x82\x02\x00\xff"));
    say(&s, FIN | WS_TEXT, BYTES(""));
    assert_heard(&s, BYTES("\x81\x00"));
    assert_bytes(buf_bytes(&s.log), BYTES("1:hello\n2:\x00\xff\n1:\n"));
    say(&s, WS_TEXT, BYTES("a"));
    say(&s, WS_CONTINUATION, BYTES("b"));
    say(&s, FIN | WS_CONTINUATION, BYTES("c"));
    assert_heard(&s, BYTES("\x81\x03"
                           "abc"));
    assert_true(ws_is_open(&s.ws));
    site_close(&s);
}

static void frames_are_built_whole(void **state)
{
    static const size_t lens[] = {0, 1, 125, 126, 65535, 65536};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct buf text = {0};
        struct frame *f;
        size_t head = lens[i] < 126 ? 2 : lens[i] < 65536 ? 4 : 10, cut = lens[i] / 3;

        memset(buf_reserve(&text, lens[i] + 1), 'x', lens[i]);
        f = ws_frame(FRAME_ACKED, WS_BINARY, bytes_of(text.at, cut),
                     bytes_of(text.at + cut, lens[i] - cut));
        assert_int_equal(f->class, FRAME_ACKED);
        assert_int_equal(f->len, head + lens[i]);
        assert_int_equal((unsigned char)f->at[0], 0x82);
        assert_memory_equal(f->at + head, text.at, lens[i]);
        frame_unref(f);
        buf_fini(&text);
    }
}

static void pings_are_answered_with_their_payload(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    say(&s, FIN | WS_PING, BYTES("are you there"));
    assert_heard(&s, BYTES("\x8a\x0d"
                           "are you there"));
    say(&s, FIN | WS_PING, BYTES(""));
    assert_heard(&s, BYTES("\x8a\x00"));
    say(&s, FIN | WS_PONG, BYTES("unasked"));
    assert_heard(&s, BYTES(""));
    assert_int_equal(s.log.len, 0);
    site_close(&s);
}

static void the_peers_close_is_answered_and_ends_it(void **state)
{
    static const struct {
        struct bytes said, heard;
    } cases[] = {
        {{"\x03\xe8", 2}, {"\x88\x02\x03\xe8", 4}},
        {{"\x03\xe9going", 7}, {"\x88\x02\x03\xe9", 4}},
        {{"\x0f\xa0", 2}, {"\x88\x02\x0f\xa0", 4}},
        {{"", 0}, {"\x88\x00", 2}},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct site s;

        site_open(&s);
        site_connect(&s, 0);
        assert_int_equal(push_text(&s, "q", 1), ERR_OK);
        say(&s, FIN | WS_CLOSE, cases[i].said);
        assert_false(ws_is_open(&s.ws));
        assert_int_equal(push_text(&s, "q", 1), ERR_GONE);
        peer_read(&s.w, s.peer, &s.heard, 3);
        assert_memory_equal(s.heard.at, "\x81\x01q", 3);
        memmove(s.heard.at, s.heard.at + 3, s.heard.len - 3);
        s.heard.len -= 3;
        say(&s, FIN | WS_TEXT, BYTES("after the end"));
        assert_last_heard(&s, cases[i].heard);
        assert_int_equal(s.log.len, 0);
        site_close(&s);
    }
}

static void violations_are_answered_with_their_code(void **state)
{
    static const struct {
        int first;
        struct bytes payload, heard;
    } cases[] = {
        {FIN | 3, {"x", 1}, {"\x88\x02\x03\xea", 4}},
        {FIN | 0x40 | WS_TEXT, {"x", 1}, {"\x88\x02\x03\xea", 4}},
        {FIN | WS_CONTINUATION, {"x", 1}, {"\x88\x02\x03\xea", 4}},
        {WS_PING, {"x", 1}, {"\x88\x02\x03\xea", 4}},
        {FIN | WS_TEXT, {"\xff\xfe", 2}, {"\x88\x02\x03\xef", 4}},
        {FIN | WS_CLOSE, {"\x03", 1}, {"\x88\x02\x03\xea", 4}},
        {FIN | WS_CLOSE, {"\x03\xed", 2}, {"\x88\x02\x03\xea", 4}},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t counted = meter_sum(METER_CLOSED_PROTOCOL);
        struct buf out = {0};
        struct site s;

        site_open(&s);
        site_connect(&s, 0);
        add_frame(&out, FIN | WS_TEXT, BYTES("before"));
        add_frame(&out, cases[i].first, cases[i].payload);
        add_frame(&out, FIN | WS_TEXT, BYTES("after"));
        peer_write(&s.w, s.peer, buf_bytes(&out));
        assert_false(ws_is_open(&s.ws));
        say(&s, FIN | WS_TEXT, BYTES("later"));
        assert_last_heard(&s, cases[i].heard);
        assert_bytes(buf_bytes(&s.log), BYTES("1:before\n"));
        assert_int_equal(meter_sum(METER_CLOSED_PROTOCOL) - counted, 1);
        site_close(&s);
        buf_fini(&out);
    }
}

static void messages_are_limited(void **state)
{
    size_t len;

    (void)state;
    for (len = MESSAGE_LIMIT - 1; len <= MESSAGE_LIMIT + 1; len++) {
        struct buf text = {0};
        struct site s;

        site_open(&s);
        site_connect(&s, 0);
        memset(buf_reserve(&text, len), 'a', len);
        say(&s, WS_TEXT, bytes_of(text.at, 1000));
        say(&s, FIN | WS_CONTINUATION, bytes_of(text.at, len - 1000));
        if (len <= MESSAGE_LIMIT) {
            world_until(&s.w, s.log.len > 0);
            assert_int_equal(s.log.len, len + 3);
            assert_true(ws_is_open(&s.ws));
        } else {
            assert_last_heard(&s, BYTES("\x88\x02\x03\xf1"));
            assert_int_equal(s.log.len, 0);
        }
        site_close(&s);
        buf_fini(&text);
    }
}

static void our_close_waits_for_the_peers(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    assert_int_equal(push_text(&s, "q", 1), ERR_OK);
    ws_close(&s.ws, 1001, BYTES("bye"), false);
    ws_close(&s.ws, 1011, BYTES("twice"), false);
    assert_false(ws_is_open(&s.ws));
    assert_int_equal(push_text(&s, "q", 1), ERR_GONE);
    assert_heard(&s, BYTES("\x81\x01q\x88\x05\x03\xe9"
                           "bye"));
    say(&s, FIN | WS_TEXT, BYTES("crossing"));
    say(&s, FIN | WS_PING, BYTES("crossing"));
    assert_heard(&s, BYTES(""));
    assert_int_equal(s.log.len, 0);
    assert_int_equal(s.closed, 0);
    say(&s, FIN | WS_CLOSE, BYTES("\x03\xe9"));
    assert_last_heard(&s, BYTES(""));
    site_close(&s);
}

static void our_close_does_not_wait_for_ever(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    s.w.limits.close_wait_ms = 30;
    s.w.limits.linger_ms = 30;
    site_connect(&s, 0);
    ws_close(&s.ws, 1001, (struct bytes){NULL, 0}, false);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &s.heard), PEER_EOF);
    assert_bytes(buf_bytes(&s.heard), BYTES("\x88\x02\x03\xe9"));
    world_until(&s.w, s.closed == 1);
    site_close(&s);
}

static void our_close_is_content_with_the_end_of_input(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    ws_close(&s.ws, 1001, (struct bytes){NULL, 0}, false);
    shutdown(s.peer, SHUT_WR);
    assert_last_heard(&s, BYTES("\x88\x02\x03\xe9"));
    site_close(&s);
}

static void nonsense_after_our_close_ends_it(void **state)
{
    int64_t counted = meter_sum(METER_CLOSED_PROTOCOL);
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    ws_close(&s.ws, 1001, (struct bytes){NULL, 0}, false);
    say(&s, FIN | 3, BYTES("x"));
    assert_last_heard(&s, BYTES("\x88\x02\x03\xe9"));
    assert_int_equal(meter_sum(METER_CLOSED_PROTOCOL), counted);
    site_close(&s);
}

static void closing_now_drops_what_waits(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 4096);
    assert_int_equal(push_text(&s, "a", 100000), ERR_OK);
    assert_int_equal(push_text(&s, "b", 1000), ERR_OK);
    world_turns(&s.w, 2);
    ws_close(&s.ws, 1012, (struct bytes){NULL, 0}, true);
    peer_read(&s.w, s.peer, &s.heard, 100010 + 4);
    assert_int_equal(s.heard.len, 100010 + 4);
    assert_memory_equal(s.heard.at + 100010, "\x88\x02\x03\xf4", 4);
    site_close(&s);
}

static void the_end_without_close_is_the_end(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    say(&s, WS_TEXT, BYTES("half a mess"));
    shutdown(s.peer, SHUT_WR);
    world_until(&s.w, s.closed == 1);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &s.heard), PEER_EOF);
    assert_int_equal(s.heard.len, 0);
    assert_int_equal(s.log.len, 0);
    site_close(&s);
}

static void nothing_is_heard_after_closing_from_inside(void **state)
{
    bool cut;

    (void)state;
    for (cut = false;; cut = true) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.close_inside = !cut;
        s.cut_inside = cut;
        site_connect(&s, 0);
        add_frame(&out, FIN | WS_TEXT, BYTES("one"));
        add_frame(&out, FIN | WS_TEXT, BYTES("two"));
        add_frame(&out, FIN | WS_PING, BYTES("three"));
        add_frame(&out, FIN | WS_CLOSE, BYTES("\x03\xe8"));
        peer_write(&s.w, s.peer, buf_bytes(&out));
        assert_bytes(buf_bytes(&s.log), BYTES("1:one\n"));
        if (cut)
            world_until(&s.w, s.closed == 1);
        else
            assert_last_heard(&s, BYTES("\x88\x08\x03\xe8"
                                        "enough"));
        site_close(&s);
        buf_fini(&out);
        if (cut)
            break;
    }
}

static void bytes_behind_the_handshake_are_fed(void **state)
{
    struct buf out = {0};
    char *exact;
    struct site s;

    (void)state;
    site_open(&s);
    s.echo = true;
    site_connect(&s, 0);
    add_frame(&out, FIN | WS_TEXT, BYTES("early"));
    add_frame(&out, FIN | WS_TEXT, BYTES("bird"));
    exact = mem_alloc(out.len - 3); /* no padding: it is not the caller's care */
    memcpy(exact, out.at, out.len - 3);
    ws_feed(&s.ws, exact, out.len - 3);
    mem_free(exact);
    ws_feed(&s.ws, NULL, 0);
    assert_bytes(buf_bytes(&s.log), BYTES("1:early\n"));
    peer_write(&s.w, s.peer, bytes_of(out.at + out.len - 3, 3));
    assert_heard(&s, BYTES("\x81\x05"
                           "early\x81\x04"
                           "bird"));
    site_close(&s);
    buf_fini(&out);
}

static void a_silent_peer_is_pinged_and_closed(void **state)
{
    int64_t counted = meter_sum(METER_CLOSED_SILENT);
    struct site s;

    (void)state;
    site_open(&s);
    s.settings.ping_interval_ms = 30;
    s.settings.pong_wait_ms = 30;
    site_connect(&s, 0);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &s.heard), PEER_EOF);
    assert_bytes(buf_bytes(&s.heard), BYTES("\x89\x00"));
    assert_int_equal(s.closed, 1);
    assert_int_equal(meter_sum(METER_CLOSED_SILENT) - counted, 1);
    site_close(&s);
}

/* Reads a ping and answers it, `times` times. */
static void live(struct site *s, int times, int first, struct bytes payload)
{
    while (times--) {
        peer_read(&s->w, s->peer, &s->heard, 2);
        assert_bytes(bytes_of(s->heard.at, 2), BYTES("\x89\x00"));
        s->heard.len = 0;
        say(s, first, payload);
    }
}

static void any_sign_of_life_will_do(void **state)
{
    int64_t counted = meter_sum(METER_CLOSED_SILENT);
    struct site s;

    (void)state;
    site_open(&s);
    s.settings.ping_interval_ms = 40;
    s.settings.pong_wait_ms = 40;
    site_connect(&s, 0);
    live(&s, 3, FIN | WS_PONG, BYTES(""));
    live(&s, 1, WS_TEXT, BYTES("part"));
    live(&s, 3, WS_CONTINUATION, BYTES("part"));
    assert_true(ws_is_open(&s.ws));
    assert_int_equal(meter_sum(METER_CLOSED_SILENT), counted);
    site_close(&s);
}

static void a_pong_ends_the_wait_for_it(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    s.settings.ping_interval_ms = 40; /* and longer than any test waits for the pong */
    site_connect(&s, 0);
    peer_read(&s.w, s.peer, &s.heard, 2);
    assert_true(ws_is_in_doubt(&s.ws));
    say(&s, FIN | WS_PONG, BYTES(""));
    world_until(&s.w, !ws_is_in_doubt(&s.ws));
    s.heard.len = 0;
    live(&s, 3, FIN | WS_PONG, BYTES(""));
    site_close(&s);
}

static void pings_gather_at_common_moments(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        struct site s;

        site_open(&s);
        s.settings.ping_interval_ms = 25000;
        site_connect(&s, 0);
        assert_int_equal(conn_due(s.ws.conn) % 100, 0);
        assert_true(conn_due(s.ws.conn) > s.w.loop.now_ms);
        assert_true(conn_due(s.ws.conn) <= s.w.loop.now_ms + 25000 + 100);
        site_close(&s);
    }
}

/* We do not read from a peer that has much to take, so its signs of life go unheard. */
static void whoever_is_not_read_from_is_not_taken_for_silent(void **state)
{
    int64_t counted = meter_sum(METER_CLOSED_SILENT), until_ms;
    struct site s;

    (void)state;
    site_open(&s);
    s.w.limits.soft_queue_bytes = 40000;
    site_connect(&s, 4096);
    assert_int_equal(push_text(&s, "a", 100000), ERR_OK);
    say(&s, FIN | WS_TEXT, BYTES("hello"));
    world_until(&s.w, s.log.len > 0);
    peer_read(&s.w, s.peer, &s.heard, 65000);
    assert_false(conn_is_behind(s.ws.conn));
    s.settings.ping_interval_ms = 20;
    s.settings.pong_wait_ms = 20;
    conn_arm(s.ws.conn, s.w.loop.now_ms + 1);
    assert_true(send(s.peer, "\x8a\x80kkkk", 6, MSG_NOSIGNAL) == 6);
    until_ms = s.w.loop.now_ms + 100;
    world_until(&s.w, s.closed || s.w.loop.now_ms > until_ms);
    assert_int_equal(meter_sum(METER_CLOSED_SILENT), counted);
    assert_true(ws_is_open(&s.ws));
    site_close(&s);
}

static void a_peer_over_its_queue_limit_is_closed_1013(void **state)
{
    static const char last[] = "\x88\x25\x03\xf5the connection does not keep up";
    int64_t counted = meter_sum(METER_CLOSED_SLOW);
    struct site s;
    enum err e;

    (void)state;
    site_open(&s);
    s.w.limits.queue_bytes = 10000;
    site_connect(&s, 4096);
    assert_int_equal(push_text(&s, "a", 100000), ERR_OK);
    world_turns(&s.w, 2);
    while ((e = push_text(&s, "b", 996)) == ERR_OK)
        ;
    assert_int_equal(e, ERR_FULL);
    assert_false(ws_is_open(&s.ws));
    assert_int_equal(push_text(&s, "b", 1), ERR_GONE);
    assert_int_equal(meter_sum(METER_CLOSED_SLOW) - counted, 1);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &s.heard), PEER_EOF);
    assert_int_equal(s.heard.len, 100010 + 4 + (sizeof(last) - 5));
    assert_memory_equal(s.heard.at + 100010, "\x88", 1);
    assert_memory_equal(s.heard.at + 100012, last + 2, sizeof(last) - 3);
    site_close(&s);
}

static void a_stalled_peer_is_closed_1013(void **state)
{
    int64_t stalled = meter_sum(METER_CLOSED_STALLED), silent = meter_sum(METER_CLOSED_SILENT);
    struct site s;

    (void)state;
    site_open(&s);
    s.w.limits.stall_ms = 40;
    s.w.limits.linger_ms = 40;
    s.settings.ping_interval_ms = 20;
    s.settings.pong_wait_ms = 20;
    site_connect(&s, 4096);
    assert_int_equal(push_text(&s, "a", 100000), ERR_OK);
    world_until(&s.w, s.closed == 1);
    assert_int_equal(meter_sum(METER_CLOSED_STALLED) - stalled, 1);
    assert_int_equal(meter_sum(METER_CLOSED_SILENT), silent);
    site_close(&s);
}

static void an_idle_socket_holds_no_buffer(void **state)
{
    struct buf big = {0};
    struct site s;
    int64_t idle;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    world_turns(&s.w, WORLD_QUIET_TURNS);
    memset(buf_reserve(&big, 200000), 'a', 200000);
    big.len = 200000;
    idle = mem_held();
    say(&s, WS_TEXT, BYTES("part"));
    assert_true(mem_held() > idle);
    say(&s, WS_CONTINUATION, buf_bytes(&big));
    say(&s, FIN | WS_CONTINUATION, BYTES("end"));
    world_until(&s.w, s.log.len > 0);
    assert_int_equal(s.log.len, 200000 + 4 + 3 + 3);
    buf_fini(&s.log);
    world_turns(&s.w, WORLD_QUIET_TURNS);
    assert_int_equal(mem_held(), idle);
    site_close(&s);
    buf_fini(&big);
}

/* Frames cut anywhere are the same messages. */
static void any_split_gives_the_same_messages(void **state)
{
    struct dice d = dice_new("ws_conn");
    struct buf in = {0}, wanted = {0};
    int i;

    (void)state;
    add_frame(&in, FIN | WS_TEXT, BYTES("one"));
    add_frame(&in, WS_BINARY, BYTES("tw"));
    add_frame(&in, FIN | WS_PING, BYTES("p"));
    add_frame(&in, FIN | WS_CONTINUATION, BYTES("o"));
    add_frame(&in, FIN | WS_TEXT, BYTES("\xc3\xa4\xe2\x82\xac"));
    add_frame(&in, FIN | WS_CLOSE, BYTES("\x03\xe8"));
    buf_add(&wanted, BYTES("\x81\x03one\x8a\x01p\x82\x03two\x81\x05\xc3\xa4\xe2\x82\xac"
                           "\x88\x02\x03\xe8"));
    for (i = 0; i < 200; i++) {
        size_t at = 0, most = 1 + dice_roll(&d, 12);
        struct site s;

        site_open(&s);
        s.echo = true;
        site_connect(&s, 0);
        while (at < in.len) {
            size_t n = 1 + dice_roll(&d, most);

            n = n < in.len - at ? n : in.len - at;
            peer_write(&s.w, s.peer, bytes_of(in.at + at, n));
            at += n;
        }
        assert_last_heard(&s, buf_bytes(&wanted));
        site_close(&s);
    }
    buf_fini(&in);
    buf_fini(&wanted);
}

/* A frame that is mostly in order: now and then its bits, its header or its end are not. */
static void add_noise(struct buf *out, struct dice *d)
{
    char payload[200];
    size_t len = dice_roll(d, sizeof(payload)), j;
    int first = (int)(dice_roll(d, 3) ? dice_roll(d, 11) : dice_roll(d, 16));

    for (j = 0; j < len; j++)
        payload[j] = (char)(dice_roll(d, 30) ? 'a' + dice_roll(d, 26) : dice_roll(d, 256));
    add_frame(out, first | (dice_roll(d, 4) ? FIN : 0), bytes_of(payload, len));
    if (dice_roll(d, 8) == 0) {
        j = dice_roll(d, out->len);
        out->at[j] = (char)(out->at[j] ^ (1 << dice_roll(d, 8)));
    }
    if (dice_roll(d, 20) == 0)
        out->len = dice_roll(d, out->len);
}

static void noise_harms_nobody(void **state)
{
    struct dice d = dice_new("ws noise");
    int64_t held = mem_held();
    int i, k;

    (void)state;
    for (i = 0; i < 1500; i++) {
        struct site s;

        site_open(&s);
        s.echo = dice_roll(&d, 2);
        s.close_inside = dice_roll(&d, 10) == 0;
        site_connect(&s, 0);
        for (k = 0; k < 20 && s.closed == 0; k++) {
            struct buf out = {0};

            add_noise(&out, &d);
            (void)send(s.peer, out.at, out.len, MSG_NOSIGNAL);
            if (dice_roll(&d, 2))
                world_turns(&s.w, 1);
            buf_fini(&out);
        }
        (void)peer_read_quiet(&s.w, s.peer, &s.heard);
        site_close(&s);
    }
    assert_int_equal(mem_held(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_both_ways),
        cmocka_unit_test(frames_are_built_whole),
        cmocka_unit_test(pings_are_answered_with_their_payload),
        cmocka_unit_test(the_peers_close_is_answered_and_ends_it),
        cmocka_unit_test(violations_are_answered_with_their_code),
        cmocka_unit_test(messages_are_limited),
        cmocka_unit_test(our_close_waits_for_the_peers),
        cmocka_unit_test(our_close_does_not_wait_for_ever),
        cmocka_unit_test(our_close_is_content_with_the_end_of_input),
        cmocka_unit_test(nonsense_after_our_close_ends_it),
        cmocka_unit_test(closing_now_drops_what_waits),
        cmocka_unit_test(the_end_without_close_is_the_end),
        cmocka_unit_test(nothing_is_heard_after_closing_from_inside),
        cmocka_unit_test(bytes_behind_the_handshake_are_fed),
        cmocka_unit_test(a_silent_peer_is_pinged_and_closed),
        cmocka_unit_test(any_sign_of_life_will_do),
        cmocka_unit_test(a_pong_ends_the_wait_for_it),
        cmocka_unit_test(pings_gather_at_common_moments),
        cmocka_unit_test(whoever_is_not_read_from_is_not_taken_for_silent),
        cmocka_unit_test(a_peer_over_its_queue_limit_is_closed_1013),
        cmocka_unit_test(a_stalled_peer_is_closed_1013),
        cmocka_unit_test(an_idle_socket_holds_no_buffer),
        cmocka_unit_test(any_split_gives_the_same_messages),
        cmocka_unit_test(noise_harms_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
