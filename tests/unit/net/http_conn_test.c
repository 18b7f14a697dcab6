#include "net/http_conn.h"

#include "unit/net/http_site.h"

static void an_answer_has_all_its_lines(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    assert_int_equal(
        site_hear(&s, BYTES("GET /a?b HTTP/1.1\r\nHost: x\r\nX-Mark: m\r\n\r\n"), &out),
        PEER_QUIET);
    blank_dates(&out);
    assert_bytes(buf_bytes(&out), BYTES("HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\n"
                                        "X-Test: yes\r\nContent-Length: 11\r\n\r\nGET /a?b m "));
    buf_fini(&out);
    site_close(&s);
    assert_int_equal(s.closed, 1);
}

static void some_answers_have_no_body(void **state)
{
    static const struct {
        int status;
        const char *in, *end;
    } cases[] = {
        {200, "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", "Content-Length: 9\r\n\r\n"},
        {204, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "X-Test: yes\r\n\r\n"},
        {304, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "X-Test: yes\r\n\r\n"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes end = bytes_text(cases[i].end);
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.status = cases[i].status;
        site_connect(&s, 0);
        site_hear(&s, bytes_text(cases[i].in), &out);
        assert_true(out.len > end.len);
        assert_bytes(bytes_of(out.at + out.len - end.len, end.len), end);
        buf_fini(&out);
        site_close(&s);
    }
}

static const char script[] =
    "GET /1 HTTP/1.1\r\nHost: x\r\nX-Mark: one\r\n\r\n"
    "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world"
    "POST /3 HTTP/1.1\r\nHost: x\r\nX-Mark: three\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;a=b\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
    "HEAD /4 HTTP/1.1\r\nHost: x\r\n\r\n"
    "PUT /5 HTTP/1.1\r\nHost: x\r\nX-Mark: five\r\nContent-Length: 0\r\n\r\n"
    "POST /6 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    "GET /7 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
    "DELETE /8 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    "GET /9 HTTP/1.1\r\nHost: x\r\n\r\n";

static const char script_log[] = "GET /1 one \nPOST /2  hello world\nPOST /3 three hello, world\n"
                                 "HEAD /4  \nPUT /5 five \nPOST /6  \nGET /7  body\nDELETE /8  \n";

/* Plays the script, cut where cuts say; ends with the connection's end. */
static void play(struct site *s, const size_t *cuts, size_t count, struct buf *out)
{
    struct bytes all = BYTES(script);
    size_t at = 0, i;

    for (i = 0; i <= count; i++) {
        size_t end = i < count ? cuts[i] : all.len;

        if (end > at) {
            ssize_t n = send(s->peer, all.at + at, end - at, MSG_NOSIGNAL);

            /* the end of the script is behind the last answer: it may find nobody */
            assert_true(n == (ssize_t)(end - at) || errno == EPIPE);
        }
        world_turns(&s->w, 2);
        (void)peer_take(s->peer, out);
        at = end;
    }
    assert_int_equal(peer_read_to_end(&s->w, s->peer, out), PEER_EOF);
    blank_dates(out);
    assert_bytes(buf_bytes(&s->log), BYTES(script_log));
    assert_int_equal(s->errors, 0);
}

static void play_fresh(const size_t *cuts, size_t count, struct buf *out)
{
    struct site s;

    site_open(&s);
    site_connect(&s, 0);
    play(&s, cuts, count, out);
    site_close(&s);
    assert_int_equal(s.closed, 1);
}

static void any_split_gives_the_same_answers(void **state)
{
    struct dice d = dice_new("http_conn");
    size_t len = sizeof(script) - 1, cut, cuts[sizeof(script)];
    struct buf whole = {0}, out = {0};
    int i;

    (void)state;
    play_fresh(NULL, 0, &whole);
    for (cut = 1; cut < len; cut++) {
        out.len = 0;
        play_fresh(&cut, 1, &out);
        assert_bytes(buf_bytes(&out), buf_bytes(&whole));
        cuts[cut - 1] = cut;
    }
    out.len = 0;
    play_fresh(cuts, len - 1, &out);
    assert_bytes(buf_bytes(&out), buf_bytes(&whole));
    for (i = 0; i < 300; i++) {
        size_t count = 0, most = 1 + dice_roll(&d, 40);

        for (cut = 1; cut < len && count < sizeof(cuts) / sizeof(cuts[0]); cut++)
            if (dice_roll(&d, most) == 0)
                cuts[count++] = cut;
        out.len = 0;
        play_fresh(cuts, count, &out);
        assert_bytes(buf_bytes(&out), buf_bytes(&whole));
    }
    buf_fini(&whole);
    buf_fini(&out);
}

static void many_requests_in_one_piece_are_answered_in_order(void **state)
{
    enum { MANY = 1500 };
    struct buf in = {0}, log = {0}, out = {0};
    struct site s;
    int i;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    for (i = 0; i < MANY; i++) {
        buf_printf(&in, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
        buf_printf(&log, "GET /%d  \n", i);
    }
    peer_write(&s.w, s.peer, buf_bytes(&in));
    while (count_text(buf_bytes(&out), "HTTP/1.1 200 OK") < MANY)
        peer_read(&s.w, s.peer, &out, out.len + 1);
    assert_bytes(buf_bytes(&s.log), buf_bytes(&log));
    assert_int_equal(s.requests, MANY);
    site_close(&s);
    buf_fini(&in);
    buf_fini(&log);
    buf_fini(&out);
}

static void late_answers_keep_the_order(void **state)
{
    struct buf out = {0};
    struct site s;
    int i;

    (void)state;
    site_open(&s);
    s.answer_later = true;
    site_connect(&s, 0);
    site_hear(&s,
              BYTES("GET /0 HTTP/1.1\r\nHost: x\r\n\r\nGET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
                    "GET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHo"),
              &out);
    for (i = 0; i < 3; i++) {
        world_until(&s.w, s.requests == i + 1);
        assert_int_equal(peer_read_quiet(&s.w, s.peer, &out), PEER_QUIET);
        assert_int_equal(out.len, 0);
        assert_int_equal(s.requests, i + 1);
        answer(s.h, 200, BYTES("late"));
        assert_int_equal(s.requests, i + 1); /* not from inside the answer */
        peer_read(&s.w, s.peer, &out, 1);
        out.len = 0;
    }
    world_turns(&s.w, WORLD_QUIET_TURNS);
    assert_int_equal(s.requests, 3);
    peer_write(&s.w, s.peer, BYTES("st: x\r\n\r\n"));
    world_until(&s.w, s.requests == 4);
    answer(s.h, 200, BYTES("late"));
    peer_read(&s.w, s.peer, &out, 1);
    assert_bytes(buf_bytes(&s.log), BYTES("GET /0  \nGET /1  \nGET /2  \nGET /3  \n"));
    site_close(&s);
    buf_fini(&out);
}

/* While an answer is awaited a flood stays in the kernel. */
static void nothing_is_hoarded_while_an_answer_is_awaited(void **state)
{
    struct buf flood = {0};
    struct site s;
    int64_t held;
    size_t sent = 0;
    ssize_t n = 0;
    int idle = 0;

    (void)state;
    site_open(&s);
    s.answer_later = true;
    site_connect(&s, 4096);
    peer_write(&s.w, s.peer, BYTES("GET /0 HTTP/1.1\r\nHost: x\r\n\r\n"));
    world_until(&s.w, s.requests == 1);
    memset(buf_reserve(&flood, 2000000), 'G', 2000000);
    flood.len = 2000000;
    held = mem_held();
    while (sent < flood.len && idle < 50) {
        n = send(s.peer, flood.at + sent, flood.len - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        loop_turn(&s.w.loop, 0);
    }
    assert_true(sent < flood.len);
    assert_true(mem_held() - held <= INT64_C(3) * NET_READ_BYTES);
    site_close(&s);
    buf_fini(&flood);
}

/* A body of len bytes by Content-Length, or in chunks of 100; is it taken? */
static bool body_passes(size_t len, bool chunked)
{
    struct buf in = {0}, out = {0};
    enum peer_end end;
    struct site s;
    size_t left;
    bool passed;

    site_open(&s);
    site_connect(&s, 0);
    if (!chunked) {
        buf_printf(&in, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", len);
    } else {
        buf_add(&in, BYTES("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
        for (left = len; left; left -= left < 100 ? left : 100)
            buf_printf(&in, "%zx\r\n%0*d\r\n", left < 100 ? left : 100,
                       (int)(left < 100 ? left : 100), 7);
        buf_add(&in, BYTES("0\r\n\r\n"));
    }
    peer_write(&s.w, s.peer, buf_bytes(&in));
    if (!chunked) {
        /* too long a body is refused before any of it has come */
        world_turns(&s.w, 2);
        assert_int_equal(s.errors, len > BODY_LIMIT);
        in.len = 0;
        memset(buf_reserve(&in, len + 1), '7', len);
        in.len = len;
        peer_write(&s.w, s.peer, buf_bytes(&in));
    }
    end = peer_read_quiet(&s.w, s.peer, &out);
    passed = s.requests == 1;
    assert_int_equal(s.errors, passed ? 0 : 1);
    assert_int_equal(end, passed ? PEER_QUIET : PEER_EOF);
    if (!passed) {
        assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 413 ")));
        assert_int_equal(count_text(buf_bytes(&out), "Connection: close\r\n"), 1);
        assert_int_equal(count_text(buf_bytes(&s.log), "pushca.limits.body-bytes"), 1);
    }
    site_close(&s);
    buf_fini(&in);
    buf_fini(&out);
    return passed;
}

static void bodies_are_limited(void **state)
{
    (void)state;
    assert_true(body_passes(BODY_LIMIT - 1, false));
    assert_true(body_passes(BODY_LIMIT, false));
    assert_false(body_passes(BODY_LIMIT + 1, false));
    assert_true(body_passes(BODY_LIMIT - 1, true));
    assert_true(body_passes(BODY_LIMIT, true));
    assert_false(body_passes(BODY_LIMIT + 1, true));
    assert_true(body_passes(0, false));
    assert_true(body_passes(0, true));
}

static void bad_requests_are_answered_and_end_the_connection(void **state)
{
    static const struct {
        const char *in, *out, *log;
    } cases[] = {
        {"BREW /p HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 501 ", " /p\n"},
        {"GET /p HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", " -\n"},
        {"GET /p HTTP/2.0\r\nHost: x\r\n\r\n", "HTTP/1.1 505 ", " -\n"},
        {"\x16\x03\x01\x02\r\n\r\n", "HTTP/1.1 400 ", " -\n"},
        {"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
         "HTTP/1.1 4", ""},
        {"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n",
         "HTTP/1.1 413 ", " /p\n"},
        {"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
         "HTTP/1.1 400 ", " /p\n"},
        {"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab",
         "HTTP/1.1 413 ", " /p\n"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        site_connect(&s, 0);
        peer_write(&s.w, s.peer, bytes_text(cases[i].in));
        (void)send(s.peer, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n", 31, MSG_NOSIGNAL);
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_true(bytes_starts(buf_bytes(&out), bytes_text(cases[i].out)));
        assert_int_equal(count_text(buf_bytes(&out), "Content-Length: "), 1);
        assert_int_equal(count_text(buf_bytes(&out), "Connection: close\r\n"), 1);
        assert_true(!*cases[i].log || count_text(buf_bytes(&s.log), cases[i].log) > 0);
        assert_int_equal(s.errors, 1);
        assert_int_equal(s.requests, 0);
        site_close(&s);
        assert_int_equal(s.closed, 1);
        buf_fini(&out);
    }
}

static void requests_before_a_bad_one_are_answered(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    peer_write(&s.w, s.peer, BYTES("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET\r\n\r\n"));
    assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
    assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 200 OK"), 1);
    assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 400 "), 1);
    site_close(&s);
    buf_fini(&out);
}

/* All of the answer, its date blanked, to text that comes in pieces of the given size. */
static void hear_in_pieces(struct bytes text, size_t piece, struct buf *out)
{
    struct site s;

    site_open(&s);
    site_connect(&s, 0);
    for (size_t at = 0; at < text.len; at += piece) {
        size_t n = text.len - at < piece ? text.len - at : piece;

        (void)send(s.peer, text.at + at, n, MSG_NOSIGNAL);
        world_turns(&s.w, 2);
    }
    assert_int_equal(peer_read_to_end(&s.w, s.peer, out), PEER_EOF);
    blank_dates(out);
    site_close(&s);
}

static void a_refusal_does_not_depend_on_the_pieces(void **state)
{
    static const char *const cases[] = {
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffg\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff;\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\rb",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\na",
        "HEAD / HTTP/1.1\r\n\r\n",
        "\r\nHEAD / HTTP/1.1\r\nHost : x\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf whole = {0}, pieces = {0};

        hear_in_pieces(bytes_text(cases[i]), SIZE_MAX / 2, &whole);
        for (size_t piece = 1; piece < 9; piece += 3) {
            pieces.len = 0;
            hear_in_pieces(bytes_text(cases[i]), piece, &pieces);
            assert_bytes(buf_bytes(&pieces), buf_bytes(&whole));
        }
        buf_fini(&whole);
        buf_fini(&pieces);
    }
}

/* Also when the head is too bad to be read, or comes too late. */
static void head_gets_no_body_whatever_is_wrong(void **state)
{
    static const char *const cases[] = {
        "HEAD / HTTP/1.1\r\n\r\n",      "HEAD / HTTP/3.0\r\n\r\n",
        "\r\nHEAD /# HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: x\nX: y\r\n",
        "HEAD / HTTP/1.1\r\nHost: ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        struct site s;

        site_open(&s);
        s.limits.head_ms = 50;
        site_connect(&s, 0);
        peer_write(&s.w, s.peer, bytes_text(cases[i]));
        assert_int_equal(peer_read_to_end(&s.w, s.peer, &out), PEER_EOF);
        assert_int_equal(count_text(buf_bytes(&out), "HTTP/1.1 "), 1);
        assert_int_equal(count_text(buf_bytes(&out), "Content-Length: 0\r\n"), 0);
        assert_memory_equal(out.at + out.len - 4, "\r\n\r\n", 4);
        assert_int_equal(s.errors, 1);
        site_close(&s);
        buf_fini(&out);
    }
}

#define EXPECT   "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void whoever_waits_to_continue_is_told_once(void **state)
{
    struct buf out = {0};
    struct site s;

    (void)state;
    site_open(&s);
    site_connect(&s, 0);
    site_hear(&s, BYTES(EXPECT), &out);
    assert_bytes(buf_bytes(&out), BYTES(CONTINUE));
    site_hear(&s, BYTES("bo"), &out);
    assert_bytes(buf_bytes(&out), BYTES(CONTINUE));
    site_hear(&s, BYTES("dy"), &out);
    assert_true(bytes_starts(buf_bytes(&out), BYTES(CONTINUE "HTTP/1.1 200 OK")));
    out.len = 0;
    site_hear(&s, BYTES(EXPECT "body"), &out);
    assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 200 OK")));
    out.len = 0;
    site_hear(&s,
              BYTES("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                    "Content-Length: 2001\r\n\r\n"),
              &out);
    assert_true(bytes_starts(buf_bytes(&out), BYTES("HTTP/1.1 413 ")));
    site_close(&s);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_all_its_lines),
        cmocka_unit_test(some_answers_have_no_body),
        cmocka_unit_test(any_split_gives_the_same_answers),
        cmocka_unit_test(many_requests_in_one_piece_are_answered_in_order),
        cmocka_unit_test(late_answers_keep_the_order),
        cmocka_unit_test(nothing_is_hoarded_while_an_answer_is_awaited),
        cmocka_unit_test(bodies_are_limited),
        cmocka_unit_test(bad_requests_are_answered_and_end_the_connection),
        cmocka_unit_test(requests_before_a_bad_one_are_answered),
        cmocka_unit_test(a_refusal_does_not_depend_on_the_pieces),
        cmocka_unit_test(head_gets_no_body_whatever_is_wrong),
        cmocka_unit_test(whoever_waits_to_continue_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
