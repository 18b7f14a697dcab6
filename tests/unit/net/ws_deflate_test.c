#include "net/ws_deflate.h"

#include "net/ws_conn.h"
#include "unit/net/peer.h"
#include "wire/inflater.h"

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { FIN = 0x80, RSV1 = 0x40, MOST = 4, LIMIT = 1 << 20, LEAST = 100 };

/* A few WebSockets of one net; what they hear is counted. */
struct site {
    struct world w;
    struct ws_settings settings;
    struct ws_ops ops;
    struct rand rand;
    struct end {
        struct ws_conn ws;
        int peer;
        struct buf heard; /* by the peer, after the handshake */
    } ends[MOST];
    int open;
};

static struct buf said; /* by peers */

static void on_message(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload)
{
    (void)w;
    buf_printf(&said, "%d:", (int)opcode);
    buf_add(&said, payload);
    buf_add_char(&said, '\n');
}

static int closed;

static void on_closed(struct ws_conn *w)
{
    (void)w;
    closed++;
}

static void site_open(struct site *s)
{
    *s = (struct site){.settings = {.limits = {.message_bytes = LIMIT, .empty_fragments = 4},
                                    .ping_interval_ms = 1000000,
                                    .pong_wait_ms = 1000000,
                                    .deflate = {.level = 6, .min_bytes = LEAST}}};
    s->ops = (struct ws_ops){&s->settings, on_message, on_closed};
    closed = 0;
    world_open(&s->w);
    rand_init(&s->rand);
}

static struct end *site_connect(struct site *s, struct deflate_terms terms)
{
    struct upgrade u = {.accept = ACCEPT, .deflate = terms};
    struct end *e = &s->ends[s->open++];
    char answer[UPGRADE_TEXT_MAX];
    size_t len = upgrade_write(answer, &u);
    int ours;

    world_pair(&ours, &e->peer, 0);
    assert_int_equal(ws_open(&e->ws, &s->w.net, ours, &u, &s->ops, &s->rand), ERR_OK);
    peer_read(&s->w, e->peer, &e->heard, len);
    assert_memory_equal(e->heard.at, answer, len);
    buf_drop(&e->heard, len);
    return e;
}

static void site_close(struct site *s)
{
    int i;

    for (i = 0; i < s->open; i++)
        close(s->ends[i].peer);
    world_close(&s->w);
    assert_int_equal(closed, s->open);
    for (i = 0; i < s->open; i++)
        buf_fini(&s->ends[i].heard);
    buf_fini(&said);
    assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
}

static struct deflate_terms terms(uint8_t bits, bool forgets)
{
    return (struct deflate_terms){
        .server_bits = bits, .client_bits = 15, .server_forgets = forgets, .client_forgets = true};
}

/* A message of n bytes that gets shorter. */
static struct frame *message(size_t n)
{
    struct buf text = {0};
    struct frame *f;

    while (text.len < n)
        buf_printf(&text, "{\"price\":%zu,\"what\":\"a thing\"},", text.len * 7919 % 1000);
    f = ws_frame(FRAME_PLAIN, WS_TEXT, bytes_of(text.at, n), (struct bytes){NULL, 0});
    buf_fini(&text);
    return f;
}

/* What stands behind the header of a short frame. */
static struct bytes payload_of(struct bytes frame)
{
    size_t head = (frame.at[1] & 0x7f) == 126 ? 4 : 2;

    return bytes_of(frame.at + head, frame.len - head);
}

/* The peer has one frame: f's message, compressed. Forgets it. */
static void assert_heard(struct site *s, struct end *e, const struct frame *f, struct inflater *i)
{
    struct bytes wanted = {NULL, 0};
    struct buf out = {0};

    assert_int_equal(peer_read_quiet(&s->w, e->peer, &e->heard), PEER_QUIET);
    assert_int_equal((unsigned char)e->heard.at[0], FIN | RSV1 | WS_TEXT);
    assert_true(e->heard.len < f->len / 2);
    assert_true(ws_holds_message(bytes_of(f->at, f->len), &wanted));
    assert_int_equal(inflater_add(i, payload_of(buf_bytes(&e->heard)), &out, LIMIT), ERR_OK);
    assert_int_equal(inflater_end(i, &out, LIMIT), ERR_OK);
    assert_bytes(buf_bytes(&out), wanted);
    buf_fini(&out);
    e->heard.len = 0;
}

static void a_message_is_compressed_once_for_all(void **state)
{
    int64_t before = meter_sum(METER_DEFLATED), saved = meter_sum(METER_DEFLATE_SAVED);
    struct frame *f = message(1000);
    struct inflater i;
    struct site s;
    int n;

    (void)state;
    site_open(&s);
    inflater_init(&i, 15, true, 0);
    for (n = 0; n < MOST; n++)
        site_connect(&s, terms(15, true));
    for (n = 0; n < MOST; n++) {
        struct ws_conn *w = &s.ends[n].ws;

        assert_int_equal(ws_push(w, f), ERR_OK);
        assert_int_equal(w->conn->out.bytes, frame_twin(f, 15)->len); /* what really waits */
    }
    assert_int_equal(meter_sum(METER_DEFLATED) - before, 1);
    assert_int_equal(meter_sum(METER_DEFLATE_SAVED) - saved,
                     (int64_t)MOST * (int64_t)(f->len - frame_twin(f, 15)->len));
    for (n = 0; n < MOST; n++)
        assert_heard(&s, &s.ends[n], f, &i);
    frame_unref(f);
    inflater_fini(&i);
    site_close(&s);
}

static void each_size_of_window_has_its_own(void **state)
{
    static const uint8_t bits[MOST] = {15, 9, 15, 9};
    int64_t before = meter_sum(METER_DEFLATED);
    struct frame *f = message(10000);
    struct inflater i;
    struct site s;
    int n;

    (void)state;
    site_open(&s);
    for (n = 0; n < MOST; n++) {
        struct end *e = site_connect(&s, terms(bits[n], true));

        inflater_init(&i, bits[n], true, 0);
        assert_int_equal(ws_push(&e->ws, f), ERR_OK);
        assert_heard(&s, e, f, &i);
        inflater_fini(&i);
    }
    assert_int_equal(meter_sum(METER_DEFLATED) - before, 2);
    frame_unref(f);
    site_close(&s);
}

static void a_context_that_is_kept_makes_repeats_shorter(void **state)
{
    int64_t before = meter_sum(METER_DEFLATED), held;
    struct frame *f = message(1000);
    struct inflater i;
    struct site s;
    struct end *e;
    size_t first;

    (void)state;
    site_open(&s);
    e = site_connect(&s, terms(12, false));
    held = mem_held();
    inflater_init(&i, 12, false, 0);
    assert_int_equal(ws_push(&e->ws, f), ERR_OK);
    first = e->ws.conn->out.bytes;
    assert_heard(&s, e, f, &i);
    assert_true(mem_held() - held > 1 << 14);
    assert_int_equal(ws_push(&e->ws, f), ERR_OK);
    assert_true(e->ws.conn->out.bytes < first / 4);
    assert_heard(&s, e, f, &i);
    assert_int_equal(meter_sum(METER_DEFLATED) - before, 2);
    assert_null(frame_twin(f, 12));
    frame_unref(f);
    inflater_fini(&i);
    site_close(&s);
}

/* In one context with what is pushed, and counted as saved. */
static void what_was_asked_for_is_compressed_too(void **state)
{
    struct frame *f = message(1000);
    int keeps;

    (void)state;
    for (keeps = 0; keeps < 2; keeps++) {
        int64_t saved = meter_sum(METER_DEFLATE_SAVED);
        struct inflater i;
        struct site s;
        struct end *e;
        size_t first;

        site_open(&s);
        e = site_connect(&s, terms(12, !keeps));
        inflater_init(&i, 12, !keeps, 0);
        assert_int_equal(ws_push(&e->ws, f), ERR_OK);
        first = conn_waiting(e->ws.conn);
        assert_heard(&s, e, f, &i);
        ws_push_asked(&e->ws, f);
        assert_true(keeps ? conn_waiting(e->ws.conn) < first / 4
                          : conn_waiting(e->ws.conn) == first);
        saved += 2 * (int64_t)f->len - (int64_t)(first + conn_waiting(e->ws.conn));
        assert_int_equal(meter_sum(METER_DEFLATE_SAVED), saved);
        assert_heard(&s, e, f, &i);
        inflater_fini(&i);
        site_close(&s);
    }
    frame_unref(f);
}

static void assert_left_alone(struct site *s, struct end *e, struct frame *f)
{
    assert_int_equal(ws_push(&e->ws, f), ERR_OK);
    assert_int_equal(peer_read_quiet(&s->w, e->peer, &e->heard), PEER_QUIET);
    assert_bytes(buf_bytes(&e->heard), bytes_of(f->at, f->len));
    e->heard.len = 0;
    frame_unref(f);
}

static void what_is_not_worth_it_is_left_alone(void **state)
{
    int64_t before = meter_sum(METER_DEFLATED);
    struct bytes nothing = {NULL, 0};
    struct frame *noise, *edge = message(LEAST);
    struct site s;
    char random[5000];
    int keeps;

    (void)state;
    site_open(&s);
    rand_fill(&s.rand, random, sizeof(random));
    for (keeps = 0; keeps < 2; keeps++) {
        struct end *e = site_connect(&s, terms(15, !keeps));

        assert_left_alone(&s, e, message(LEAST - 1));
        assert_left_alone(&s, e, ws_frame(FRAME_ANSWER, WS_PING, bytes_of(random, 125), nothing));
        assert_left_alone(&s, e, ws_frame(FRAME_ANSWER, WS_TEXT, nothing, nothing));
    }
    assert_int_equal(meter_sum(METER_DEFLATED) - before, 0);
    noise = ws_frame(FRAME_PLAIN, WS_BINARY, bytes_of(random, sizeof(random)), nothing);
    assert_left_alone(&s, &s.ends[0], frame_ref(noise));
    assert_int_equal(frame_twin(noise, 15)->len, 0); /* nobody tries again */
    assert_left_alone(&s, &s.ends[0], noise);
    assert_int_equal(ws_push(&s.ends[0].ws, edge), ERR_OK);
    assert_int_equal(meter_sum(METER_DEFLATED) - before, 1);
    frame_unref(edge);
    site_close(&s);
}

static void without_memory_messages_leave_as_they_are(void **state)
{
    struct site s;
    int keeps;

    (void)state;
    site_open(&s);
    s.settings.memory_bytes = 1;
    for (keeps = 0; keeps < 2; keeps++)
        assert_left_alone(&s, site_connect(&s, terms(15, !keeps)), message(1000));
    site_close(&s);
}

/* A masked frame; the mask is zero. */
static void say(struct site *s, struct end *e, int first, struct bytes payload)
{
    struct buf out = {0};
    int i;

    buf_add_char(&out, (char)first);
    buf_add_char(&out, (char)(0x80 | (payload.len < 126 ? payload.len : 126)));
    if (payload.len >= 126) {
        buf_add_char(&out, (char)(payload.len >> 8));
        buf_add_char(&out, (char)payload.len);
    }
    for (i = 0; i < 4; i++)
        buf_add_char(&out, 0);
    buf_add(&out, payload);
    peer_write(&s->w, e->peer, buf_bytes(&out));
    buf_fini(&out);
}

static void assert_closed_with(struct site *s, struct end *e, unsigned code)
{
    assert_int_equal(peer_read_to_end(&s->w, e->peer, &e->heard), PEER_EOF);
    assert_int_equal((unsigned char)e->heard.at[0], FIN | WS_CLOSE);
    assert_int_equal((unsigned char)e->heard.at[2] << 8 | (unsigned char)e->heard.at[3], code);
    shutdown(e->peer, SHUT_WR);
}

static void what_peers_compress_is_heard(void **state)
{
    int64_t before = meter_sum(METER_INFLATED);
    struct site s;
    struct end *e;

    (void)state;
    site_open(&s);
    e = site_connect(&s, terms(15, true));
    say(&s, e, RSV1 | WS_TEXT, BYTES("\xf2\x48\xcd"));
    say(&s, e, FIN | WS_PING, BYTES("?"));
    say(&s, e, FIN, BYTES("\xc9\xc9\x07\x00"));
    say(&s, e, FIN | WS_TEXT, BYTES("plain"));
    world_until(&s.w, said.len >= 16);
    assert_bytes(buf_bytes(&said), BYTES("1:Hello\n1:plain\n"));
    assert_int_equal(meter_sum(METER_INFLATED) - before, 1);
    assert_int_equal(meter_sum(METER_DEFLATE_HELD), 0);
    say(&s, e, FIN | RSV1 | WS_TEXT, BYTES("not at all"));
    peer_read(&s.w, e->peer, &e->heard, 3);
    assert_memory_equal(e->heard.at, "\x8a\x01?", 3);
    buf_drop(&e->heard, 3);
    assert_closed_with(&s, e, 1007);
    site_close(&s);
}

/* One block of zeros, some 1,000 for each byte; the message goes on. */
static struct buf bomb(size_t n)
{
    struct buf out = {0};
    struct frame *f;
    struct site s;
    struct end *e;
    char *zeros = mem_zero(n);

    site_open(&s);
    e = site_connect(&s, terms(15, true));
    f = ws_frame(FRAME_PLAIN, WS_TEXT, bytes_of(zeros, n), (struct bytes){NULL, 0});
    assert_int_equal(ws_push(&e->ws, f), ERR_OK);
    peer_read(&s.w, e->peer, &out, frame_twin(f, 15)->len);
    buf_drop(&out, out.len - payload_of(buf_bytes(&out)).len);
    frame_unref(f);
    mem_free(zeros);
    site_close(&s);
    return out;
}

static void a_bomb_is_closed_1009_and_gives_its_memory_back(void **state)
{
    struct buf payload = bomb((size_t)2 * LIMIT);
    struct site s;
    struct end *e;
    int64_t held;

    (void)state;
    site_open(&s);
    e = site_connect(&s, terms(15, true));
    world_turns(&s.w, 1);
    held = mem_held();
    say(&s, e, FIN | RSV1 | WS_TEXT, buf_bytes(&payload));
    world_turns(&s.w, 5);
    assert_true(conn_find(&s.w.net, conn_name(e->ws.conn)) != NULL); /* lingers */
    assert_true(mem_held() - held < 1000);
    assert_closed_with(&s, e, 1009);
    buf_fini(&payload);
    site_close(&s);
}

static void over_the_budget_a_growing_message_is_refused_1013(void **state)
{
    int64_t refused = meter_sum(METER_REFUSED_MEMORY);
    struct buf payload = bomb(LIMIT / 2);
    struct site s;
    int first;

    (void)state;
    for (first = 0; first < 2; first++) { /* at its beginning, and while it grows */
        struct end *e;

        site_open(&s);
        s.settings.memory_bytes = first ? 1 : mem_held() + 200000;
        e = site_connect(&s, terms(15, true));
        say(&s, e, RSV1 | WS_TEXT, buf_bytes(&payload));
        assert_closed_with(&s, e, 1013);
        site_close(&s);
    }
    assert_int_equal(meter_sum(METER_REFUSED_MEMORY) - refused, 2);
    buf_fini(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_compressed_once_for_all),
        cmocka_unit_test(each_size_of_window_has_its_own),
        cmocka_unit_test(a_context_that_is_kept_makes_repeats_shorter),
        cmocka_unit_test(what_was_asked_for_is_compressed_too),
        cmocka_unit_test(what_is_not_worth_it_is_left_alone),
        cmocka_unit_test(without_memory_messages_leave_as_they_are),
        cmocka_unit_test(what_peers_compress_is_heard),
        cmocka_unit_test(a_bomb_is_closed_1009_and_gives_its_memory_back),
        cmocka_unit_test(over_the_budget_a_growing_message_is_refused_1013),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
