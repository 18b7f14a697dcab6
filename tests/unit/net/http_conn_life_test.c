#include "unit/net/http_site.h"

/* Deadlines, ends, back pressure and noise; http_conn_test.c has requests and answers. */

static void an_idle_connection_ends_in_silence(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    s.limits.keep_alive_ms = 30;
    site_connect(&s, 0);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(out.len, 0);
    assert_int_equal(s.closed, 1);
    close(s.peer);
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 "), 1);
    assert_int_equal(s.errors, 0);
    assert_int_equal(s.closed, 2);
    site_close(&s);
    buf_fini(&out);
}

/* Some clients end a request with an empty line too many. An answer to it would be taken for the
   answer to the next request. */
static void an_empty_line_alone_is_never_answered(void **state)
{
    static const char *const lines[] = {"\r", "\r\n"};
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.limits.head_ms = 10;
        s.limits.keep_alive_ms = 40;
        site_connect_first(&s, 0, i < 2 ? 0 : 20);
        if (i < 2)
            peer_write(&s.w, s.peer, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        peer_write(&s.w, s.peer, bytes_text(lines[i % 2]));
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 "), i < 2);
        assert_int_equal(s.errors, 0);
        assert_int_equal(s.closed, 1);
        close(s.peer);
        out.len = 0;
        site_connect(&s, 0);
        peer_write(&s.w, s.peer, bytes_text(lines[i % 2]));
        http_end(s.h);
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_int_equal(out.len, 0);
        site_close(&s);
        buf_fini(&out);
    }
}

/* The time for the head begins with its first byte, not with the empty line before it. */
static void a_head_behind_an_empty_line_has_its_own_deadline(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    s.limits.head_ms = 30;
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("\r\n"));
    world_turns(&s.w, 2);
    peer_write(&s.w, s.peer, BYTES("GET /"));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 408 ")));
    site_close(&s);
    buf_fini(&out);
}

/* Drips text, a byte a turn and over and over, until an answer comes; returns the bytes dripped. */
static size_t drip(struct site *s, const char *text, struct buf *out)
{
    size_t len = strlen(text), count = 0;

    while (out->len == 0 && count < 1000000) {
        (void)send(s->peer, text + count++ % len, 1, MSG_NOSIGNAL);
        loop_turn(&s->w.loop, 1);
        (void)peer_take(s->peer, out);
    }
    return count;
}

static void a_late_head_is_answered_408_however_it_drips(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    s.limits.head_ms = 40;
    s.limits.head.line_bytes = s.limits.head.head_bytes = 10000000;
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET /"));
    drip(&s, "abc", &out);
    assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 408 ")));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(count_text(buf_bytes(&s.log), "pushca.limits.head-arrival-ms -\n"), 1);
    site_close(&s);
    buf_fini(&out);
}

static void a_late_body_is_answered_408_however_it_drips(void **state)
{
    static const char *const heads[] = {
        "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    static const char *const drops[] = {"body", "1\r\na\r\n"};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.limits.body_ms = 40;
        s.limits.body_bytes = 10000000;
        site_connect(&s, 0);
        peer_write(&s.w, s.peer, bytes_text(heads[i]));
        drip(&s, drops[i], &out);
        assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 408 ")));
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_int_equal(count_text(buf_bytes(&s.log), "pushca.limits.body-arrival-ms /p\n"), 1);
        site_close(&s);
        buf_fini(&out);
    }
}

static void the_first_head_may_have_a_deadline_of_its_own(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    site_connect_first(&s, 0, 40);
    peer_write(&s.w, s.peer, BYTES("GET"));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 408 ")));
    close(s.peer);
    out.len = 0;
    site_connect_first(&s, 0, 40);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(out.len, 0);
    site_close(&s);
    buf_fini(&out);
}

static void the_first_deadline_is_that_of_the_body_too(void **state)
{
    struct buf out = {0};
    struct site s;
    int64_t due;

    (void)state;
    site_open(&s);
    site_connect_first(&s, 0, 200);
    due = conn_due(s.h->conn);
    peer_write(&s.w, s.peer, BYTES("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"));
    world_turns(&s.w, 4);
    assert_int_equal(conn_due(s.h->conn), due);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 408 ")));
    assert_int_equal(count_text(buf_bytes(&s.log), "pushca.limits.handshake-ms /a\n"), 1);
    close(s.peer);
    world_until(&s.w, s.closed == 1);
    /* the second request has the usual ones */
    site_connect_first(&s, 0, 10000);
    due = conn_due(s.h->conn);
    peer_write(&s.w, s.peer, BYTES("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"));
    world_turns(&s.w, 4);
    peer_write(&s.w, s.peer, BYTES("cdePUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"));
    world_until(&s.w, conn_due(s.h->conn) > due);
    site_close(&s);
    buf_fini(&out);
}

static void an_awaited_answer_has_no_deadline_and_survives_the_peers_end(void **state)
{
    struct buf out = {0};
    struct site s;
    int64_t start;

    (void)state;
    site_open(&s);
    s.limits.head_ms = s.limits.body_ms = s.limits.keep_alive_ms = 20;
    s.answer_later = true;
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    shutdown(s.peer, SHUT_WR);
    world_until(&s.w, s.requests == 1);
    start = s.w.loop.now_ms;
    world_until(&s.w, s.w.loop.now_ms > start + 60);
    assert_int_equal(s.closed, 0);
    answer(s.h, 200, BYTES("late"));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 200 OK")));
    world_until(&s.w, s.closed == 1);
    site_close(&s);
    buf_fini(&out);
}

static void requests_before_the_peers_end_are_all_answered(void **state)
{
    bool later;

    (void)state;
    for (later = false;; later = true) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.answer_later = later;
        site_connect(&s, 0);
        peer_write(&s.w, s.peer,
                   BYTES("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
                         "GET /3 HTTP/1.1\r\nHost: x\r\n\r\nGET /4 HT"));
        shutdown(s.peer, SHUT_WR);
        while (later && s.requests < 3) {
            int before = s.requests;

            if (before)
                answer(s.h, 200, BYTES("late"));
            world_until(&s.w, s.requests == before + 1);
        }
        if (later)
            answer(s.h, 200, BYTES("late"));
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 200 OK"), 3);
        assert_int_equal(s.errors, 0);
        site_close(&s);
        assert_int_equal(s.closed, 1);
        buf_fini(&out);
        if (later)
            break;
    }
}

static void a_peer_that_vanishes_ends_the_wait(void **state)
{
    struct site s;

    (void)state;
    site_open(&s);
    s.answer_later = true;
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2"));
    world_until(&s.w, s.requests == 1);
    close(s.peer);
    s.peer = -1;
    world_until(&s.w, s.closed == 1);
    site_close(&s);
}

static void ending_closes_the_idle_at_once(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    http_end(s.h);
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(out.len, 0);
    assert_int_equal(s.closed, 1);
    site_close(&s);
    buf_fini(&out);
}

static void ending_lets_the_request_under_way_be_answered(void **state)
{
    int when;

    (void)state;
    for (when = 0; when < 3; when++) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.answer_later = when == 1;
        s.end_inside = when == 2;
        site_connect(&s, 0);
        if (when == 0) { /* half a head has come */
            peer_write(&s.w, s.peer, BYTES("GET / HTTP/1.1\r\nHost: "));
            http_end(s.h);
            peer_write(&s.w, s.peer, BYTES("x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        } else {
            peer_write(&s.w, s.peer,
                       BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        }
        if (when == 1) { /* the handler thinks about it */
            world_until(&s.w, s.requests == 1);
            http_end(s.h);
            answer(s.h, 200, BYTES("late"));
        }
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 200 OK"), 1);
        assert_int_equal(count_text(buf_bytes(&out), "Connection: close\r\n"), 1);
        assert_int_equal(s.requests, 1);
        site_close(&s);
        assert_int_equal(s.closed, 1);
        buf_fini(&out);
    }
}

static void http_1_0_ends_unless_it_asks_to_stay(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    site_hear(&s, BYTES("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &out);
    assert_int_equal(count_text(buf_bytes(&out), "Connection: keep-alive\r\n"), 1);
    out.len = 0;
    peer_write(&s.w, s.peer, BYTES("GET / HTTP/1.0\r\n\r\n"));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(count_text(buf_bytes(&out), "Connection: close\r\n"), 1);
    site_close(&s);
    buf_fini(&out);
}

#define UPGRADE "GET /up HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n"

static void a_released_socket_takes_the_unread_bytes_along(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    s.release = true;
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET /up HTTP/1.1\r\nHo"));
    peer_write(&s.w, s.peer, BYTES("st: x\r\nUpgrade: other\r\n\r\nmore bytes"));
    world_until(&s.w, s.released >= 0);
    world_turns(&s.w, 2);
    assert_int_equal(s.w.net.open, 0);
    assert_int_equal(s.closed, 0);
    assert_bytes(buf_bytes(&s.unread), BYTES("more bytes"));
    assert_int_equal(send(s.released, "hello", 5, MSG_NOSIGNAL), 5);
    assert_int_equal(peer_take(s.peer, &out), PEER_QUIET);
    assert_bytes(buf_bytes(&out), BYTES("hello"));
    close(s.released);
    site_close(&s);
    buf_fini(&out);
}

/* What follows the request goes to unread. */
static int others_closed;

static void other_on_bytes(struct conn *c, char *at, size_t len)
{
    struct site *s = c->user;

    if (len)
        buf_add(&s->unread, bytes_of(at, len));
    else
        conn_close(c, CONN_END_PEER);
}

static void other_on_closed(struct conn *c)
{
    (void)c;
    others_closed++;
}

static const struct conn_ops other_ops = {.on_bytes = other_on_bytes, .on_closed = other_on_closed};

static void leave_to_other(struct site *s)
{
    struct conn *c = http_leave(s->h, &s->unread);

    assert_ptr_equal(http_of(c), s->h);
    conn_become(c, &other_ops, s);
    assert_null(http_of(c));
}

static void a_conn_that_is_left_speaks_another_protocol(void **state)
{
    struct site s;

    (void)state;
    others_closed = 0;
    site_open(&s);
    s.leave = leave_to_other;
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET /up HTTP/1.1\r\nHo"));
    peer_write(&s.w, s.peer, BYTES("st: x\r\nUpgrade: other\r\n\r\nmore"));
    world_until(&s.w, s.unread.len == 4);
    assert_int_equal(s.w.net.open, 1);
    peer_write(&s.w, s.peer, BYTES(" bytes"));
    world_until(&s.w, s.unread.len == 10);
    assert_bytes(buf_bytes(&s.unread), BYTES("more bytes"));
    close(s.peer);
    s.peer = -1;
    world_until(&s.w, s.w.net.open == 0);
    assert_int_equal(s.closed, 0);
    assert_int_equal(others_closed, 1);
    site_close(&s);
}

/* The peer has ended its side before its request is looked at. */
static void a_conn_is_left_together_with_its_end(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    others_closed = 0;
    site_open(&s);
    s.answer_bytes = 50000;
    site_connect(&s, 4096);
    peer_write(&s.w, s.peer, BYTES("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" UPGRADE "tail"));
    shutdown(s.peer, SHUT_WR);
    world_turns(&s.w, WORLD_QUIET_TURNS);
    assert_int_equal(s.requests, 1);
    s.leave = leave_to_other;
    while (others_closed == 0) {
        (void)peer_take(s.peer, &out);
        loop_turn(&s.w.loop, 1);
    }
    assert_true(out.len > 50000);
    assert_bytes(buf_bytes(&s.unread), BYTES("tail"));
    assert_int_equal(s.closed, 0);
    site_close(&s);
    buf_fini(&out);
}

/* The answers before an upgrade leave first, even to a peer that is slow to take them. */
static void a_socket_is_released_when_earlier_answers_have_left(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    s.answer_bytes = 50000;
    site_connect(&s, 4096);
    peer_write(&s.w, s.peer, BYTES("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" UPGRADE "tail"));
    world_turns(&s.w, WORLD_QUIET_TURNS);
    assert_int_equal(s.requests, 1);
    s.release = true;
    while (s.released < 0) {
        assert_int_equal(peer_take(s.peer, &out), PEER_QUIET);
        loop_turn(&s.w.loop, 1);
    }
    assert_int_equal(peer_take(s.peer, &out), PEER_QUIET);
    assert_true(out.len > 50000);
    assert_bytes(buf_bytes(&s.unread), BYTES("tail"));
    close(s.released);
    site_close(&s);
    buf_fini(&out);
}

/* Offers what is left of in to the kernel; true: it took some. */
static bool offer(struct site *s, struct bytes *in)
{
    ssize_t n = in->len ? send(s->peer, in->at, in->len, MSG_NOSIGNAL) : 0;

    if (n <= 0)
        return false;
    *in = bytes_of(in->at + n, in->len - (size_t)n);
    return true;
}

/* Requests without end from a peer that reads nothing: the answers do not pile up. */
static void a_peer_that_reads_no_answers_gets_no_more(void **state)
{
    enum { MANY = 400, ANSWER_BYTES = 20000 };
    struct buf all = {0}, out = {0};
    struct bytes in;
    int64_t held;
    struct site s;
    int i;

    (void)state;
    site_open(&s);
    s.answer_bytes = ANSWER_BYTES;
    site_connect(&s, 8192);
    for (i = 0; i < MANY; i++)
        buf_add(&all, BYTES("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"));
    in = buf_bytes(&all);
    held = mem_held();
    for (i = 0; i < 100; i++) {
        if (offer(&s, &in))
            i = 0;
        loop_turn(&s.w.loop, 0);
        if (in.len == 0)
            break;
    }
    world_turns(&s.w, WORLD_QUIET_TURNS);
    assert_true(mem_held() - held < 400000);
    assert_true(s.requests < 20);
    assert_int_equal(s.closed, 0);
    while (s.requests < MANY) {
        (void)offer(&s, &in);
        assert_int_equal(peer_read_quiet(&s.w, s.peer, &out), PEER_QUIET);
        loop_turn(&s.w.loop, 5);
    }
    assert_int_equal(peer_read_quiet(&s.w, s.peer, &out), PEER_QUIET);
    assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 200 OK"), MANY);
    site_close(&s);
    buf_fini(&all);
    buf_fini(&out);
}

/* What one answer may weigh is not the queue's business: the peer has only to take it. */
static void a_large_answer_may_stand_behind_small_ones(void **state)
{
    enum { LARGE = 1500 };
    struct buf all = {0}, out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    s.w.limits.queue_bytes = 1000;
    s.w.limits.soft_queue_bytes = 1000;
    site_connect(&s, 0);
    buf_add(&all, BYTES("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"));
    buf_printf(&all, "POST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%0*d", LARGE, LARGE,
               7);
    peer_write(&s.w, s.peer, buf_bytes(&all));
    peer_read_quiet(&s.w, s.peer, &out);
    assert_int_equal(s.closed, 0);
    assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 200 OK"), 3);
    site_close(&s);
    buf_fini(&all);
    buf_fini(&out);
}

static void idle_connections_hold_no_buffers(void **state)
{
    struct buf out = {0};
    struct site s;
    int64_t idle;
    int i;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    world_turns(&s.w, 1);
    idle = mem_held();
    for (i = 0; i < 3; i++) {
        peer_write(&s.w, s.peer,
                   BYTES("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo"));
        world_turns(&s.w, 2);
        assert_true(mem_held() > idle);
        peer_write(&s.w, s.peer,
                   BYTES("dyPOST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"));
        peer_write(&s.w, s.peer, BYTES("\r\n\r\n4\r\nbo"));
        peer_write(&s.w, s.peer, BYTES("dy\r\n0\r\n\r\n"));
        site_hear(&s, (struct bytes){NULL, 0}, &out);
        buf_fini(&s.log);
        buf_fini(&out);
        assert_int_equal(mem_held(), idle);
    }
    assert_int_equal(s.requests, 6);
    site_close(&s);
}

/* Over the budget a long body on its way ends in 503; a short one may be kept whatever is used. */
static void long_bodies_end_when_memory_is_used_up(void **state)
{
    static const char *const heads[] = {
        "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n",
    };
    struct buf body = {0};
    int64_t refused = meter_sum(METER_REFUSED_MEMORY);
    size_t i;

    (void)state;
    memset(buf_reserve(&body, 60000), 'b', 60000);
    body.len = 60000;
    for (i = 0; i < 2; i++) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.limits.body_bytes = 200000;
        s.limits.memory_bytes = 1;
        site_connect(&s, 0);
        peer_write(&s.w, s.peer, bytes_text(heads[i]));
        peer_write(&s.w, s.peer, buf_bytes(&body));
        assert_int_equal(peer_read_quiet(&s.w, s.peer, &out), PEER_QUIET);
        assert_int_equal(out.len, 0);
        peer_write(&s.w, s.peer, buf_bytes(&body));
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 503 ")));
        assert_int_equal(count_text(buf_bytes(&s.log), "pushca.limits.memory-bytes"), 1);
        assert_int_equal(count_text(buf_bytes(&s.log), "/p\n"), 1);
        assert_int_equal(s.requests, 0);
        assert_int_equal(meter_sum(METER_REFUSED_MEMORY) - refused, (int64_t)i + 1);
        site_close(&s);
        buf_fini(&out);
    }
    buf_fini(&body);
}

static void many_fields_may_be_allowed(void **state)
{
    struct buf in = {0}, out = {0};
    struct site s;
    int i;

    (void)state;
    site_open(&s);
    s.limits.head = (struct http1_limits){.line_bytes = 200, .head_bytes = 10000, .fields = 300};
    site_connect(&s, 0);
    buf_add(&in, BYTES("GET / HTTP/1.1\r\nHost: x\r\n"));
    for (i = 0; i < 298; i++)
        buf_add(&in, BYTES("A: b\r\n"));
    buf_add(&in, BYTES("X-Mark: last\r\n\r\n"));
    assert_int_equal(site_hear(&s, buf_bytes(&in), &out), PEER_QUIET);
    assert_bytes(buf_bytes(&s.log), BYTES("GET / last \n"));
    site_close(&s);
    buf_fini(&in);
    buf_fini(&out);
}

/* The kernel watches no files. */
static void what_cannot_be_watched_is_closed(void **state)
{
    FILE *file = tmpfile();
    struct site s;
    int fd;

    (void)state;
    assert_non_null(file);
    fd = dup(fileno(file));
    site_open(&s);
    assert_int_not_equal(http_open(&s.w.net, fd, &s.limits, &s.handler, 0, &s.h), ERR_OK);
    assert_int_equal(close(fd), -1);
    assert_int_equal(s.closed, 0);
    site_close(&s);
    (void)fclose(file);
}

/* The connection died in this turn, and its handler has not been told yet. */
static void an_answer_to_who_has_gone_is_dropped(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    s.answer_later = true;
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    world_until(&s.w, s.requests == 1);
    conn_close(s.h->conn, CONN_END_ERROR);
    answer(s.h, 200, BYTES("late"));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(out.len, 0);
    assert_int_equal(s.closed, 1);
    site_close(&s);
    buf_fini(&out);
}

static void everything_is_counted(void **state)
{
    int64_t requests = meter_sum(METER_HTTP_REQUESTS), good = meter_sum(METER_HTTP_2XX);
    int64_t bad = meter_sum(METER_HTTP_4XX), ours = meter_sum(METER_HTTP_5XX);
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    site_hear(&s, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
              &out);
    s.status = 503;
    site_hear(&s, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &out);
    s.status = 302;
    site_hear(&s, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &out);
    site_hear(&s, BYTES("nonsense\r\n\r\n"), &out);
    assert_int_equal(meter_sum(METER_HTTP_REQUESTS) - requests, 5);
    assert_int_equal(meter_sum(METER_HTTP_2XX) - good, 2);
    assert_int_equal(meter_sum(METER_HTTP_4XX) - bad, 1);
    assert_int_equal(meter_sum(METER_HTTP_5XX) - ours, 1);
    site_close(&s);
    buf_fini(&out);
}

/* A random mixture of good pieces and noise: whatever happens, nothing breaks and all is freed. */
static void noise_harms_nobody(void **state)
{
    static const char *const pieces[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                         "POST / HTTP/1.1\r\nHost: x\r\n",
                                         "\r\n",
                                         "\r",
                                         "Content-Length: 5\r\n\r\n",
                                         "Transfer-Encoding: chunked\r\n\r\n",
                                         "5\r\nhello\r\n",
                                         "0\r\n\r\n",
                                         "hello",
                                         "Expect: 100-continue\r\n",
                                         "Connection: close\r\n",
                                         "Upgrade: x\r\n",
                                         "HEAD / HTTP/1.0\r\n\r\n",
                                         "\xff\xfe",
                                         "A: b\r\n",
                                         "GET ",
                                         "ffffffff\r\n",
                                         "2001\r\n"};
    struct dice d = dice_new("http noise");
    int64_t held = mem_held();
    int i, k;

    (void)state;
    for (i = 0; i < 1500; i++) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        site_connect(&s, 0);
        for (k = 0; k < 40; k++) {
            const char *piece = pieces[dice_roll(&d, sizeof(pieces) / sizeof(pieces[0]))];
            size_t len = strlen(piece);

            s.answer_later = dice_roll(&d, 3) == 0;
            if (s.h && s.owes && dice_roll(&d, 2))
                answer(s.h, 200, BYTES("late"));
            if (dice_roll(&d, 20) == 0)
                len = dice_roll(&d, len + 1);
            (void)send(s.peer, piece, len, MSG_NOSIGNAL);
            if (dice_roll(&d, 2))
                world_turns(&s.w, 1);
        }
        if (dice_roll(&d, 2))
            shutdown(s.peer, SHUT_WR);
        (void)peer_read_quiet(&s.w, s.peer, &out);
        site_close(&s);
        assert_int_equal(s.closed, 1);
        buf_fini(&out);
    }
    assert_int_equal(mem_held(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_ends_in_silence),
        cmocka_unit_test(an_empty_line_alone_is_never_answered),
        cmocka_unit_test(a_head_behind_an_empty_line_has_its_own_deadline),
        cmocka_unit_test(a_late_head_is_answered_408_however_it_drips),
        cmocka_unit_test(a_late_body_is_answered_408_however_it_drips),
        cmocka_unit_test(the_first_head_may_have_a_deadline_of_its_own),
        cmocka_unit_test(the_first_deadline_is_that_of_the_body_too),
        cmocka_unit_test(an_awaited_answer_has_no_deadline_and_survives_the_peers_end),
        cmocka_unit_test(requests_before_the_peers_end_are_all_answered),
        cmocka_unit_test(a_peer_that_vanishes_ends_the_wait),
        cmocka_unit_test(ending_closes_the_idle_at_once),
        cmocka_unit_test(ending_lets_the_request_under_way_be_answered),
        cmocka_unit_test(http_1_0_ends_unless_it_asks_to_stay),
        cmocka_unit_test(a_released_socket_takes_the_unread_bytes_along),
        cmocka_unit_test(a_conn_that_is_left_speaks_another_protocol),
        cmocka_unit_test(a_conn_is_left_together_with_its_end),
        cmocka_unit_test(a_socket_is_released_when_earlier_answers_have_left),
        cmocka_unit_test(a_peer_that_reads_no_answers_gets_no_more),
        cmocka_unit_test(a_large_answer_may_stand_behind_small_ones),
        cmocka_unit_test(idle_connections_hold_no_buffers),
        cmocka_unit_test(long_bodies_end_when_memory_is_used_up),
        cmocka_unit_test(many_fields_may_be_allowed),
        cmocka_unit_test(what_cannot_be_watched_is_closed),
        cmocka_unit_test(an_answer_to_who_has_gone_is_dropped),
        cmocka_unit_test(everything_is_counted),
        cmocka_unit_test(noise_harms_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
