#include "net/ws_conn.h"

#include "unit/net/peer.h"

/* What a WebSocket may cost: what it holds of a message, and how often it may annoy. */

enum { FIN = 0x80 };

struct site {
    struct world w;
    struct ws_settings settings;
    struct ws_ops ops;
    struct rand rand;
    struct ws_conn ws;
    int peer;
    size_t messages;
    struct buf heard;
};

static void on_message(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload)
{
    struct site *s = container_of(w, struct site, ws);

    (void)opcode;
    (void)payload;
    s->messages++;
}

static void on_closed(struct ws_conn *w)
{
    (void)w;
}

static void site_open(struct site *s)
{
    struct upgrade u = {.accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="};
    int ours;

    *s = (struct site){.settings = {.limits = {.message_bytes = 300000},
                                    .nuisances = {[WS_PINGS] = 3},
                                    .ping_interval_ms = 1000000,
                                    .pong_wait_ms = 1000000}};
    s->ops = (struct ws_ops){&s->settings, on_message, on_closed};
    world_open(&s->w);
    rand_init(&s->rand);
    world_pair(&ours, &s->peer, 0);
    assert_int_equal(ws_open(&s->ws, &s->w.net, ours, &u, &s->ops, &s->rand), ERR_OK);
    peer_read_quiet(&s->w, s->peer, &s->heard);
    s->heard.len = 0;
}

static void site_close(struct site *s)
{
    close(s->peer);
    world_close(&s->w);
    assert_int_equal(meter_sum(METER_MEM_INPUT), 0);
    buf_fini(&s->heard);
}

/* Masked with zeros. */
static void add_frame(struct buf *out, int first, struct bytes payload)
{
    int i;

    buf_add_char(out, (char)first);
    buf_add_char(out, (char)(payload.len < 126 ? 0x80 | payload.len : 0xff));
    for (i = payload.len < 126 ? 0 : 8; i > 0; i--)
        buf_add_char(out, (char)(payload.len >> (8 * (i - 1))));
    buf_add(out, BYTES("\0\0\0\0"));
    buf_add(out, payload);
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

static void what_has_arrived_of_a_message_is_counted(void **state)
{
    struct buf long_text = {0};
    struct site s;

    (void)state;
    site_open(&s);
    memset(buf_reserve(&long_text, 100000), 'l', 100000);
    long_text.len = 100000;
    say(&s, WS_TEXT, buf_bytes(&long_text));
    world_until(&s.w, meter_sum(METER_MEM_INPUT) >= 100000);
    assert_true(meter_sum(METER_MEM_INPUT) < 300000);
    say(&s, FIN | WS_CONTINUATION, BYTES("the end"));
    world_until(&s.w, s.messages == 1);
    world_turns(&s.w, 2);
    assert_int_equal(meter_sum(METER_MEM_INPUT), 0);
    say(&s, WS_TEXT, buf_bytes(&long_text)); /* and the rest never comes */
    world_until(&s.w, meter_sum(METER_MEM_INPUT) >= 100000);
    buf_fini(&long_text);
    site_close(&s);
}

static void too_many_pings_in_a_second_end_it(void **state)
{
    int64_t flood = meter_sum(METER_CLOSED_FLOOD), before;
    struct buf out = {0};
    struct site s;
    int i, tries = 0;

    (void)state;
    site_open(&s);
    do { /* all within one second of the loop's clock */
        before = s.w.loop.now_ms / 1000;
        say(&s, FIN | WS_PING, BYTES("1"));
        say(&s, FIN | WS_PONG, BYTES("2"));
        say(&s, FIN | WS_PING, BYTES("3"));
        assert_heard(&s, BYTES("\x8a\x01"
                               "1\x8a\x01"
                               "3"));
    } while (s.w.loop.now_ms / 1000 != before && ++tries < 20);
    assert_true(ws_is_open(&s.ws));
    for (i = 0; i < 4; i++)
        add_frame(&out, FIN | WS_PING, BYTES(""));
    peer_write(&s.w, s.peer, buf_bytes(&out));
    peer_read_quiet(&s.w, s.peer, &s.heard);
    assert_true(s.heard.len > 4 && !ws_is_open(&s.ws));
    assert_non_null(memmem(s.heard.at, s.heard.len, "\x03\xf0too many pings", 16));
    assert_int_equal(meter_sum(METER_CLOSED_FLOOD) - flood, 1);
    buf_fini(&out);
    site_close(&s);
}

static void who_is_shed_gives_back_what_it_holds(void **state)
{
    int64_t closed = meter_sum(METER_CLOSED_MEMORY);
    struct buf text = {0};
    struct site s;

    (void)state;
    site_open(&s);
    memset(buf_reserve(&text, 100000), 'l', 100000);
    text.len = 100000;
    say(&s, WS_TEXT, buf_bytes(&text));
    world_until(&s.w, meter_sum(METER_MEM_INPUT) >= 100000);
    ws_shed(&s.ws);
    assert_int_equal(meter_sum(METER_MEM_INPUT), 0);
    assert_int_equal(meter_sum(METER_CLOSED_MEMORY) - closed, 1);
    peer_read_quiet(&s.w, s.peer, &s.heard);
    assert_memory_equal(s.heard.at + 2, "\x03\xf5", 2);
    buf_fini(&text);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_arrived_of_a_message_is_counted),
        cmocka_unit_test(too_many_pings_in_a_second_end_it),
        cmocka_unit_test(who_is_shed_gives_back_what_it_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
