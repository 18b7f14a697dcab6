#include "cluster/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "flow/loop.h"
#include "net/sock.h"
#include "unit/base/dice.h"

enum { PATIENCE_MS = 20000, NONE = -1 };

#define READY "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"status\":\"UP\"}"

/* A loop with a probe, and a node that answers what it is told to. */
struct site {
    struct inbox inbox;
    struct loop loop;
    struct probe *probe;
    int listener, peer; /* peer: the connection last accepted */
    uint16_t port;
    struct bytes says; /* written when a whole request is there */
    size_t step;       /* bytes of it a turn; 0: all at once */
    bool hangs_up;     /* after that */
    int asked;
    struct buf request;
    int answer;
    int answers;
};

static bool on_ready(void *owner, uint64_t tag, uint32_t events)
{
    struct site *s = owner;

    probe_on_ready(s->probe, tag, events);
    return true;
}

static void site_open(struct site *s, const char *address)
{
    struct loop_hooks hooks = {.owner = s, .on_ready = on_ready};

    *s = (struct site){.peer = -1, .answer = NONE, .hangs_up = true};
    assert_int_equal(inbox_open(&s->inbox), ERR_OK);
    assert_int_equal(loop_open(&s->loop, &s->inbox, &hooks), ERR_OK);
    probe_open(&s->probe, &s->loop);
    s->listener = -1;
    if (address)
        assert_int_equal(sock_listen(address, 0, false, &s->listener), ERR_OK);
    s->port = address ? sock_port(s->listener) : 0;
}

static void site_close(struct site *s)
{
    probe_close(s->probe);
    sock_close(s->peer);
    sock_close(s->listener);
    buf_fini(&s->request);
    loop_close(&s->loop);
    inbox_close(&s->inbox);
}

static void say_more(struct site *s)
{
    struct iovec part = {(void *)(uintptr_t)s->says.at, s->says.len};
    size_t sent = 0;

    if (s->step && s->step < part.iov_len)
        part.iov_len = s->step;
    if (part.iov_len && sock_write(s->peer, &part, 1, &sent))
        sent = s->says.len; /* the probe knows enough */
    s->says = bytes_of(s->says.at + sent, s->says.len - sent);
    if (s->says.len == 0 && s->hangs_up) {
        sock_close(s->peer);
        s->peer = -1;
    }
}

static void serve(struct site *s)
{
    size_t got;

    if (s->listener < 0)
        return;
    if (s->peer < 0) {
        if (sock_accept(s->listener, &s->peer))
            return;
        s->asked++;
        s->request.len = 0;
    }
    if (sock_read(s->peer, buf_reserve(&s->request, 4096), 4096, &got) == ERR_OK)
        s->request.len += got;
    if (s->request.len && memmem(s->request.at, s->request.len, "\r\n\r\n", 4))
        say_more(s);
}

static void turn(struct site *s)
{
    loop_turn(&s->loop, 1);
    serve(s);
}

static void note_answer(void *context, enum probe_answer answer)
{
    struct site *s = context;

    s->answer = (int)answer;
    s->answers++;
}

static void wait_for_answer(struct site *s)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

    while (s->answers == 0 && clock_mono_ms() < end_ms)
        turn(s);
    assert_int_equal(s->answers, 1);
    for (int i = 0; i < 10; i++)
        turn(s);
    assert_int_equal(s->answers, 1);
}

static enum probe_answer ask(struct site *s, const char *url)
{
    s->answer = NONE;
    s->answers = 0;
    loop_turn(&s->loop, 0);
    assert_true(probe_start(s->probe, url, note_answer, s));
    assert_int_equal(s->answers, 0);
    wait_for_answer(s);
    return (enum probe_answer)s->answer;
}

static const char *url_of(const struct site *s, const char *host, const char *path)
{
    static char url[128];

    snprintf(url, sizeof(url), "http://%s:%u%s", host, (unsigned)s->port, path);
    return url;
}

static enum probe_answer ask_saying(struct site *s, struct bytes says)
{
    s->says = says;
    return ask(s, url_of(s, "127.0.0.1", ""));
}

static void the_status_line_decides(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    assert_int_equal(ask_saying(&s, BYTES(READY)), PROBE_UP);
    assert_int_equal(ask_saying(&s, BYTES("HTTP/1.0 200\r\n\r\n")), PROBE_UP);
    assert_int_equal(ask_saying(&s, BYTES("HTTP/1.1 503 Service Unavailable\r\n\r\n")), PROBE_DOWN);
    assert_int_equal(ask_saying(&s, BYTES("HTTP/1.1 404 \r\n\r\n")), PROBE_DOWN);
    assert_int_equal(ask_saying(&s, BYTES("HTTP/1.1 2000 OK\r\n\r\n")), PROBE_UNKNOWN);
    assert_int_equal(ask_saying(&s, BYTES("HTTP/2.0 200 OK\r\n\r\n")), PROBE_UNKNOWN);
    assert_int_equal(ask_saying(&s, BYTES("200 OK\r\n\r\n")), PROBE_UNKNOWN);
    assert_int_equal(ask_saying(&s, BYTES("\n")), PROBE_UNKNOWN);
    assert_int_equal(ask_saying(&s, BYTES("HTTP/1.1 200")), PROBE_UNKNOWN); /* cut */
    assert_int_equal(ask_saying(&s, BYTES("")), PROBE_UNKNOWN);
    site_close(&s);
}

static void slow_answers_and_long_ones(void **state)
{
    static char endless[3 * PROBE_BYTES], lengthy[3 * PROBE_BYTES];
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    s.step = 1;
    assert_int_equal(ask_saying(&s, BYTES(READY)), PROBE_UP);
    s.step = 0;
    s.hangs_up = false;
    memset(endless, 'x', sizeof(endless));
    assert_int_equal(ask_saying(&s, bytes_of(endless, sizeof(endless))), PROBE_UNKNOWN);
    sock_close(s.peer);
    s.peer = -1;
    memset(lengthy, 'x', sizeof(lengthy));
    memcpy(lengthy, "HTTP/1.1 200 OK\r\n", 17);
    assert_int_equal(ask_saying(&s, bytes_of(lengthy, sizeof(lengthy))), PROBE_UP);
    site_close(&s);
}

static void what_it_asks(void **state)
{
    char wanted[256];
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    s.says = BYTES(READY);
    assert_int_equal(ask(&s, url_of(&s, "127.0.0.1", "")), PROBE_UP);
    snprintf(wanted, sizeof(wanted),
             "GET /actuator/health/readiness HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
             "Connection: close\r\n\r\n",
             (unsigned)s.port);
    assert_int_equal(s.request.len, strlen(wanted));
    assert_memory_equal(s.request.at, wanted, s.request.len);
    s.says = BYTES(READY);
    assert_int_equal(ask(&s, url_of(&s, "127.0.0.1", "/pushca/one//")), PROBE_UP);
    assert_memory_equal(s.request.at, "GET /pushca/one/actuator/health/readiness HTTP/1.1\r\n", 52);
    site_close(&s);
}

/* The name may have an IPv6 address, too, where nobody listens. */
static void host_names_are_looked_up(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    s.says = BYTES(READY);
    assert_int_equal(ask(&s, url_of(&s, "localhost", "")), PROBE_UP);
    /* a label too long to be asked for anywhere */
    assert_int_equal(
        ask(&s, "http://a123456789b123456789c123456789d123456789e123456789f123456789g123456789x"),
        PROBE_UNKNOWN);
    site_close(&s);
}

static void ipv6_stands_in_brackets(void **state)
{
    int listener;
    struct site s;

    (void)state;
    if (sock_listen("::1", 0, false, &listener)) {
        print_message("no IPv6 here\n");
        return;
    }
    sock_close(listener);
    site_open(&s, "::1");
    s.says = BYTES(READY);
    assert_int_equal(ask(&s, url_of(&s, "[::1]", "/")), PROBE_UP);
    site_close(&s);
}

static void what_is_no_http_url_is_unknown(void **state)
{
    static const char *const urls[] = {
        "ftp://127.0.0.1:1",
        "https://",
        "https://127.0.0.1:0",
        "httpss://127.0.0.1:1",
        "",
        "http://",
        "127.0.0.1",
        "http:///x",
        "http://:80",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a:",
        "http://a b",
        "http://[::1",
        "http://[::1]x",
        "http://[]:80",
        "http://u@a",
        "http://a/x y",
        "http://a/\r\nX: y",
        "http://a\r\n",
        "http://a/?q",
        "http://a/#f",
        "http://::1",
    };
    struct site s;
    char *lengthy = mem_zero(PROBE_URL_BYTES + 2);

    (void)state;
    site_open(&s, NULL);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        assert_int_equal(ask(&s, urls[i]), PROBE_UNKNOWN);
    memset(lengthy, 'a', PROBE_URL_BYTES + 1);
    memcpy(lengthy, "http://a/", 9);
    assert_int_equal(ask(&s, lengthy), PROBE_UNKNOWN);
    mem_free(lengthy);
    site_close(&s);
}

static void nobody_there_is_unknown(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    sock_close(s.listener);
    s.listener = -1;
    assert_int_equal(ask(&s, url_of(&s, "127.0.0.1", "")), PROBE_UNKNOWN);
    site_close(&s);
}

static void silence_ends_by_itself(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    s.hangs_up = false;
    assert_int_equal(ask(&s, url_of(&s, "127.0.0.1", "")), PROBE_UNKNOWN);
    assert_int_equal(s.asked, 1);
    site_close(&s);
}

static void never(void *context, enum probe_answer answer)
{
    (void)context;
    (void)answer;
    fail_msg("an answer to somebody who has gone");
}

static void one_at_a_time_and_not_too_many(void **state)
{
    struct site s;
    char url[64];

    (void)state;
    site_open(&s, "127.0.0.1");
    s.hangs_up = false;
    for (int i = 0; i < PROBES_MOST; i++) {
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/%d", (unsigned)s.port, i);
        assert_true(probe_start(s.probe, url, never, &s));
        assert_false(probe_start(s.probe, url, never, &s));
        if (i % 3 == 0)
            turn(&s);
    }
    assert_false(probe_start(s.probe, "http://127.0.0.1/more", never, &s));
    for (int i = 0; i < 20; i++)
        turn(&s);
    probe_stop(s.probe, &s);
    for (int i = 0; i < 20; i++)
        turn(&s);
    sock_close(s.peer);
    s.peer = -1;
    for (int i = 0; i < PROBES_MOST; i++) {
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/%d", (unsigned)s.port, i);
        assert_true(probe_start(s.probe, url, never, &s));
    }
    for (int i = 0; i < 5; i++)
        turn(&s);
    site_close(&s); /* with all of them open */
}

static void a_late_event_finds_nobody(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    s.says = BYTES(READY);
    assert_int_equal(ask(&s, url_of(&s, "127.0.0.1", "")), PROBE_UP);
    for (uint64_t n = 0; n < 100; n++) {
        probe_on_ready(s.probe, PROBE_TAG | n << 32, EPOLLIN);
        probe_on_ready(s.probe, PROBE_TAG | n << 32 | n, EPOLLIN | EPOLLHUP);
    }
    probe_on_ready(s.probe, PROBE_TAG | ~(UINT64_MAX << 56), EPOLLIN);
    site_close(&s);
}

static void ask_again(void *context, enum probe_answer answer)
{
    struct site *s = context;

    assert_int_equal(answer, PROBE_UP);
    s->says = BYTES("HTTP/1.1 503 no\r\n\r\n");
    sock_close(s->peer);
    s->peer = -1;
    assert_true(probe_start(s->probe, url_of(s, "127.0.0.1", ""), note_answer, s));
}

static void close_it(void *context, enum probe_answer answer)
{
    struct site *s = context;

    probe_close(s->probe);
    probe_open(&s->probe, &s->loop);
    note_answer(s, answer);
}

static void an_answer_may_ask_again_or_close(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, "127.0.0.1");
    s.says = BYTES(READY);
    loop_turn(&s.loop, 0);
    assert_true(probe_start(s.probe, url_of(&s, "127.0.0.1", ""), ask_again, &s));
    wait_for_answer(&s);
    assert_int_equal(s.answer, PROBE_DOWN);
    s.answers = 0;
    assert_true(probe_start(s.probe, "https://a", close_it, &s));
    wait_for_answer(&s);
    assert_int_equal(s.answer, PROBE_UNKNOWN);
    site_close(&s);
    probe_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_line_decides),
        cmocka_unit_test(slow_answers_and_long_ones),
        cmocka_unit_test(what_it_asks),
        cmocka_unit_test(host_names_are_looked_up),
        cmocka_unit_test(ipv6_stands_in_brackets),
        cmocka_unit_test(what_is_no_http_url_is_unknown),
        cmocka_unit_test(nobody_there_is_unknown),
        cmocka_unit_test(silence_ends_by_itself),
        cmocka_unit_test(one_at_a_time_and_not_too_many),
        cmocka_unit_test(a_late_event_finds_nobody),
        cmocka_unit_test(an_answer_may_ask_again_or_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
