#include "unit/net/http_site.h"

/* One answer to one request, in order, whatever the requests are, however their bytes are cut, and
   whether the handler answers at once or later. */

enum { ROUNDS = 1000, REQUESTS_MOST = 12 };

/* How the input ends. */
enum ending { STAYS, CLOSES, IS_BAD, IS_CUT, ENDINGS };

struct script {
    struct buf in, log, out; /* what is sent; the handler's lines; the answers */
    enum ending ending;
    int requests;
};

/* Adds the answer that the site's handler gives: its own line, unless HEAD was asked. */
static void add_answer(struct script *t, struct bytes line, bool is_head, bool is_last)
{
    buf_printf(&t->out,
               "HTTP/1.1 200 OK\r\n" DATE
               "%sContent-Type: text/plain\r\nX-Test: yes\r\nContent-Length: %zu\r\n\r\n",
               is_last ? "Connection: close\r\n" : "", line.len);
    if (!is_head)
        buf_add(&t->out, line);
    buf_add(&t->log, line);
    buf_add_char(&t->log, '\n');
    t->requests++;
}

static void add_chunked(struct buf *in, struct bytes body, struct dice *d)
{
    buf_add(in, BYTES("Transfer-Encoding: chunked\r\n\r\n"));
    while (body.len > 0) {
        size_t n = 1 + dice_roll(d, body.len);

        buf_printf(in, "%zx%s\r\n", n, dice_roll(d, 3) ? "" : ";a=b");
        buf_add(in, bytes_of(body.at, n));
        buf_add(in, BYTES("\r\n"));
        body = bytes_of(body.at + n, body.len - n);
    }
    buf_printf(in, "0\r\n%s\r\n", dice_roll(d, 3) ? "" : "A: b\r\n");
}

static void add_request(struct script *t, bool is_last, struct dice *d)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
    /* the last looks like a request, and like an end of chunks */
    static const char *const bodies[] = {"", "b", "hello world",
                                         "0\r\n\r\nGET /no HTTP/1.1\r\n\r\n"};
    const char *method = methods[dice_roll(d, 6)];
    struct bytes body = bytes_text(bodies[dice_roll(d, 4)]);
    struct buf line = {0};

    if (dice_roll(d, 5) == 0)
        buf_add(&t->in, BYTES("\r\n"));
    buf_printf(&t->in, "%s /%d HTTP/1.1\r\nHost: x\r\nX-Mark: m\r\n", method, t->requests);
    if (is_last)
        buf_add(&t->in, BYTES("Connection: close\r\n"));
    if (dice_roll(d, 20) == 0)
        buf_add(&t->in, BYTES("Upgrade: other\r\n"));
    switch (dice_roll(d, 3)) {
    case 0:
        buf_add(&t->in, BYTES("\r\n"));
        body.len = 0;
        break;
    case 1:
        buf_printf(&t->in, "Content-Length: %zu\r\n\r\n", body.len);
        buf_add(&t->in, body);
        break;
    default:
        add_chunked(&t->in, body, d);
    }
    buf_printf(&line, "%s /%d m ", method, t->requests);
    buf_add(&line, body);
    add_answer(t, buf_bytes(&line), strcmp(method, "HEAD") == 0, is_last);
    buf_fini(&line);
}

static void script_init(struct script *t, struct dice *d)
{
    static const char chunked[] = "POST /bad HTTP/1.1\r\nHost: x\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\nx\r\n";
    static const char *const bad[] = {"GET /bad HTTP/1.1\r\nHost: x\r\nX\r\n\r\n", "GET\r\n",
                                      "GET /bad HTTP/1.1\r\nHost : x\r\n\r\n", chunked};
    size_t count = dice_roll(d, REQUESTS_MOST);

    *t = (struct script){.ending = (enum ending)dice_roll(d, ENDINGS)};
    while (count-- > 0)
        add_request(t, false, d);
    if (t->ending == CLOSES)
        add_request(t, true, d);
    if (t->ending == IS_BAD)
        buf_add(&t->in, bytes_text(bad[dice_roll(d, 4)]));
    if (t->ending == CLOSES || t->ending == IS_BAD) /* never looked at */
        buf_add(&t->in, BYTES("GET /no HTTP/1.1\r\nHost: x\r\n\r\n"));
    if (t->ending == IS_CUT)
        buf_add(&t->in, BYTES("POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell"));
}

static void script_fini(struct script *t)
{
    buf_fini(&t->in);
    buf_fini(&t->log);
    buf_fini(&t->out);
}

static bool is_over(const struct site *s, const struct script *t)
{
    return s->requests == t->requests && !s->owes && (t->ending != IS_BAD || s->errors > 0);
}

/* Sends the next piece; false: there is no more to send. */
static bool send_piece(struct site *s, struct bytes *rest, size_t len)
{
    ssize_t sent;

    if (rest->len == 0)
        return false;
    sent = send(s->peer, rest->at, len < rest->len ? len : rest->len, MSG_NOSIGNAL);
    if (sent > 0)
        *rest = bytes_of(rest->at + sent, rest->len - (size_t)sent);
    else if (errno != EAGAIN) /* the last answer was given */
        rest->len = 0;
    return rest->len > 0;
}

/* Sends it in pieces, while answers are given now and then. */
static void play(struct site *s, const struct script *t, struct buf *out, struct dice *d)
{
    struct bytes rest = buf_bytes(&t->in);
    size_t most = 1 + dice_roll(d, 200);
    bool sending = true;
    int turns = 0;

    while (sending || !is_over(s, t)) {
        sending = send_piece(s, &rest, 1 + dice_roll(d, most));
        if (!sending && t->ending == IS_CUT)
            shutdown(s->peer, SHUT_WR);
        s->answer_later = dice_roll(d, 3) == 0;
        if (dice_roll(d, 2))
            loop_turn(&s->w.loop, sending ? 0 : 1);
        if (s->h && s->owes && dice_roll(d, 3) == 0)
            answer(s->h, 200, buf_bytes(&s->put_off));
        (void)peer_take(s->peer, out);
        assert_true(turns++ < 100000);
    }
}

static void check(struct site *s, const struct script *t, struct buf *out)
{
    struct bytes got, wanted = buf_bytes(&t->out);
    enum peer_end end = t->ending == STAYS ? peer_read_quiet(&s->w, s->peer, out)
                                           : peer_read_to_end(&s->w, s->peer, out);

    assert_int_equal(end, t->ending == STAYS ? PEER_QUIET : PEER_EOF);
    assert_int_equal(s->errors, t->ending == IS_BAD);
    assert_int_equal(s->requests, t->requests);
    blank_dates(out);
    got = buf_bytes(out);
    if (t->ending == IS_BAD) {
        struct bytes last = bytes_of(got.at + wanted.len, got.len - wanted.len);

        assert_true(got.len > wanted.len);
        assert_true(bytes_starts(last, BYTES("HTTP/1.1 400 ")));
        assert_int_equal(count_text(last, "HTTP/1.1 "), 1);
        assert_int_equal(count_text(last, "Connection: close\r\n"), 1);
        got.len = wanted.len;
    }
    assert_bytes(got, wanted);
}

static void every_request_gets_one_answer(void **state)
{
    struct dice d = dice_new("http pipelines");
    int64_t held = mem_held();
    int i;

    (void)state;
    for (i = 0; i < ROUNDS; i++) {
        struct buf out = {0};
        struct script t;
        struct site s;

        script_init(&t, &d);
        site_open(&s);
        site_connect(&s, dice_roll(&d, 4) ? 0 : 4096);
        play(&s, &t, &out, &d);
        check(&s, &t, &out);
        site_close(&s);
        assert_int_equal(s.closed, 1);
        script_fini(&t);
        buf_fini(&out);
    }
    assert_int_equal(mem_held(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_request_gets_one_answer)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
