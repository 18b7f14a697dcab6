/* What one call does for a peer that says much without saying anything, and how much of that is
   borne. The server's end is a tls alone: nothing else reads from the socket. */
#include "unit/net/tls_site.h"

#include <sys/ioctl.h>
#include "net/limits.h"
#include "net/tls_tickets.h"

enum { CALLS = 20000, MESSAGES = 5 };

struct site {
    struct loop loop; /* its clock alone */
    struct net_limits limits;
    struct site_file file;
    struct tls_settings set;
    struct tls_context *context;
    struct tls_tickets tickets;
    struct tls_net *net;
    struct tls *tls;
    int ours, peers;
    SSL *client;
    char at[TLS_RECORD_BYTES];
    size_t got; /* bytes that the last read brought */
};

static void site_open(struct site *s, int version)
{
    int ends[2];

    *s = (struct site){.loop = {.now_ms = 5000}, .limits = {.tls_messages = MESSAGES}};
    site_certificate(&s->file, "one");
    s->set.certificate = s->file.path;
    s->context = site_context(&s->set);
    tls_tickets_init(&s->tickets, s->loop.now_ms);
    s->net = tls_net_new(&s->loop, &s->limits, &s->tickets);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    s->ours = ends[0];
    s->peers = ends[1];
    assert_int_equal(tls_open(s->net, s->context, s->ours, &s->tls), ERR_OK);
    s->client = site_client(s->peers, version, NULL);
}

static void site_close(struct site *s)
{
    SSL_free(s->client);
    tls_free(s->tls);
    tls_net_free(s->net);
    tls_context_unref(s->context);
    close(s->ours);
    close(s->peers);
    unlink(s->file.path);
}

static void connect_both(struct site *s)
{
    enum err e = ERR_AGAIN;
    int i;

    for (i = 0; e == ERR_AGAIN && i < CALLS; i++) {
        (void)SSL_do_handshake(s->client);
        e = tls_handshake(s->tls);
    }
    assert_int_equal(e, ERR_OK);
    assert_int_equal(SSL_do_handshake(s->client), 1);
}

static void write_raw(struct site *s, struct bytes b)
{
    assert_int_equal(write(s->peers, b.at, b.len), b.len);
}

static void update_key(struct site *s, int kind)
{
    assert_true(SSL_key_update(s->client, kind));
    assert_int_equal(SSL_do_handshake(s->client), 1);
}

static int unread(const struct site *s)
{
    int n;

    assert_int_equal(ioctl(s->ours, FIONREAD, &n), 0);
    return n;
}

static enum err read_once(struct site *s)
{
    return tls_read(s->tls, s->at, sizeof(s->at), &s->got);
}

/* As a poll would: again while there is something, and until there were bytes. */
static enum err read_on(struct site *s)
{
    enum err e = ERR_AGAIN;

    s->got = 0;
    while (e == ERR_AGAIN && !s->got && unread(s))
        e = read_once(s);
    return e;
}

static void one_message_is_obeyed_in_a_call(void **state)
{
    struct site s;
    int i, before;

    (void)state;
    site_open(&s, TLS1_3_VERSION);
    connect_both(&s);
    for (i = 0; i < MESSAGES; i++)
        update_key(&s, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(SSL_write(s.client, "hello", 5), 5);
    for (i = 0; i < MESSAGES; i++) {
        before = unread(&s);
        assert_int_equal(read_once(&s), ERR_AGAIN);
        assert_in_range(unread(&s), 1, before - 1);
    }
    assert_int_equal(read_once(&s), ERR_OK);
    assert_bytes(bytes_of(s.at, s.got), BYTES("hello"));
    site_close(&s);
}

static void updates_are_borne_up_to_the_limit_of_a_second(void **state)
{
    int64_t floods = meter_sum(METER_CLOSED_FLOOD);
    struct site s;
    int second, i;

    (void)state;
    site_open(&s, TLS1_3_VERSION);
    connect_both(&s);
    for (second = 0; second < 3; second++) {
        for (i = 0; i < MESSAGES; i++)
            update_key(&s, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
        assert_int_equal(SSL_write(s.client, "x", 1), 1);
        assert_int_equal(read_on(&s), ERR_OK);
        assert_int_equal(s.got, 1);
        s.loop.now_ms += 1000;
    }
    for (i = 0; i < MESSAGES; i++)
        update_key(&s, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(read_on(&s), ERR_AGAIN);
    assert_int_equal(meter_sum(METER_CLOSED_FLOOD), floods);
    update_key(&s, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(read_on(&s), ERR_BAD);
    assert_int_equal(meter_sum(METER_CLOSED_FLOOD), floods + 1);
    site_close(&s);
}

static void without_a_limit_any_number_is_borne(void **state)
{
    struct site s;
    int i;

    (void)state;
    site_open(&s, TLS1_3_VERSION);
    s.limits.tls_messages = 0;
    connect_both(&s);
    for (i = 0; i < 500; i++) {
        update_key(&s, SSL_KEY_UPDATE_NOT_REQUESTED);
        if (i % 50 == 49)
            assert_int_equal(read_on(&s), ERR_AGAIN);
    }
    assert_int_equal(SSL_write(s.client, "x", 1), 1);
    assert_int_equal(read_on(&s), ERR_OK);
    site_close(&s);
}

/* In 1.2 the client asks for another handshake, and is refused. */
static void an_attempt_to_renegotiate_counts(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, TLS1_2_VERSION);
    connect_both(&s);
    assert_int_equal(s.tls->messages, 0);
    assert_int_equal(SSL_renegotiate(s.client), 1);
    assert_int_equal(SSL_do_handshake(s.client), -1);
    assert_int_equal(read_on(&s), ERR_AGAIN);
    assert_int_equal(s.tls->messages, 1);
    site_close(&s);
}

/* The client's hello, a byte in each record. */
static void cut_hello(struct site *s, struct buf *into)
{
    BIO *hello = BIO_new(BIO_s_mem()), *socket = SSL_get_wbio(s->client);
    char *at;
    long len, i;

    assert_true(BIO_up_ref(socket));
    SSL_set0_wbio(s->client, hello);
    assert_int_equal(SSL_do_handshake(s->client), -1);
    len = BIO_get_mem_data(hello, &at);
    for (i = 5; i < len; i++) { /* behind its one record's header */
        buf_add(into, BYTES("\x16\x03\x01\x00\x01"));
        buf_add(into, bytes_of(at + i, 1));
    }
    SSL_set0_wbio(s->client, socket);
}

static void a_hello_in_tiny_records_takes_its_calls(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct site s;
    struct buf hello = {0};
    size_t i;
    int before;

    (void)state;
    for (i = 0; i < 2; i++) {
        site_open(&s, versions[i]);
        hello.len = 0;
        cut_hello(&s, &hello);
        write_raw(&s, buf_bytes(&hello));
        before = unread(&s);
        assert_int_equal(tls_handshake(s.tls), ERR_AGAIN);
        assert_in_range(unread(&s), before - 100, before - 1);
        connect_both(&s);
        assert_int_equal(SSL_write(s.client, "x", 1), 1);
        assert_int_equal(read_on(&s), ERR_OK);
        site_close(&s);
    }
    buf_fini(&hello);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_is_obeyed_in_a_call),
        cmocka_unit_test(updates_are_borne_up_to_the_limit_of_a_second),
        cmocka_unit_test(without_a_limit_any_number_is_borne),
        cmocka_unit_test(an_attempt_to_renegotiate_counts),
        cmocka_unit_test(a_hello_in_tiny_records_takes_its_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
