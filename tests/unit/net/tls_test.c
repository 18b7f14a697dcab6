#include "unit/net/tls_site.h"

#include <signal.h>
#include "net/tls_tickets.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static const struct way {
    int version;
    const char *suite;
} ways[] = {
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
    {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* A protocol that writes down what happens to it. */
struct probe {
    struct conn *conn;
    struct buf got;
    int ends, closed;
};

static void probe_on_bytes(struct conn *c, char *at, size_t len)
{
    struct probe *p = c->user;

    if (len)
        buf_add(&p->got, bytes_of(at, len));
    else
        p->ends++;
}

static void probe_on_timer(struct conn *c)
{
    conn_close(c, CONN_END_OURS);
}

static void probe_on_closed(struct conn *c)
{
    struct probe *p = c->user;

    p->closed++;
}

static const struct conn_ops probe_ops = {probe_on_bytes, probe_on_timer, NULL, probe_on_closed};

/* One world that speaks TLS. */
struct site {
    struct world w;
    struct site_file file;
    struct tls_settings set;
    struct tls_context *context;
    struct tls_tickets tickets;
};

static void site_open(struct site *s)
{
    memset(s, 0, sizeof(*s));
    world_open(&s->w);
    s->w.limits.tls_handshakes = 4;
    site_certificate(&s->file, "one");
    s->set.certificate = s->file.path;
    s->context = site_context(&s->set);
    tls_tickets_init(&s->tickets, clock_mono_ms());
    net_use_tls(&s->w.net, &s->tickets);
}

static void site_close(struct site *s)
{
    world_close(&s->w);
    tls_context_unref(s->context);
    unlink(s->file.path);
}

/* A secured conn; returns the peer's end. */
static int probe_open(struct site *s, struct probe *p, int kernel_bytes)
{
    int ours, peers;

    *p = (struct probe){0};
    world_pair(&ours, &peers, kernel_bytes);
    assert_int_equal(conn_open(&s->w.net, ours, &probe_ops, p, &p->conn), ERR_OK);
    conn_secure(p->conn, s->context, 60000);
    return peers;
}

static void probe_close(struct site *s, struct probe *p, SSL *ssl, int fd)
{
    SSL_free(ssl);
    close(fd);
    if (!p->closed)
        conn_close(p->conn, CONN_END_OURS);
    world_until(&s->w, p->closed == 1);
    buf_fini(&p->got);
}

static void push(struct conn *c, char letter, size_t len)
{
    struct frame *f = frame_new(FRAME_ANSWER, len);

    memset(f->at, letter, len);
    conn_push_asked(c, f);
    frame_unref(f);
}

/* ---- what passes ---- */

static void bytes_pass_both_ways(void **state)
{
    struct site s;
    size_t i;

    (void)state;
    site_open(&s);
    for (i = 0; i < 2; i++) {
        struct probe p;
        int fd = probe_open(&s, &p, 0);
        SSL *ssl = site_client(fd, versions[i], NULL);
        struct buf got = {0};

        push(p.conn, 'a', 3); /* waits for the handshake */
        site_connect(&s.w, ssl);
        site_write(&s.w, ssl, BYTES("hello"));
        world_until(&s.w, p.got.len == 5);
        assert_bytes(buf_bytes(&p.got), BYTES("hello"));
        push(p.conn, 'b', 2);
        assert_int_equal(site_read(&s.w, ssl, &got, 5), PEER_QUIET);
        assert_bytes(buf_bytes(&got), BYTES("aaabb"));
        assert_int_equal(SSL_shutdown(ssl), 0);
        world_until(&s.w, p.ends == 1);
        assert_int_equal(p.closed, 0);
        probe_close(&s, &p, ssl, fd);
        buf_fini(&got);
    }
    site_close(&s);
}

static void fill(struct buf *b, struct dice *d, size_t len)
{
    char *at = buf_reserve(b, len);

    for (size_t i = 0; i < len; i++)
        at[i] = (char)dice_roll(d, 256);
    b->len += len;
}

/* Frames of every size through a kernel that takes little at a time, and as much back. */
static void much_passes_a_narrow_kernel(void **state)
{
    struct dice d = dice_new("much_passes_a_narrow_kernel");
    struct site s;
    size_t i, sent, len;

    (void)state;
    site_open(&s);
    for (i = 0; i < WAYS; i++) {
        struct probe p;
        int fd = probe_open(&s, &p, 4096);
        SSL *ssl = site_client_of(fd, ways[i].version, ways[i].suite, NULL);
        struct buf wanted = {0}, got = {0};

        site_connect(&s.w, ssl);
        fill(&wanted, &d, 600000);
        for (sent = 0; sent < wanted.len; sent += len) {
            struct frame *f;

            len = dice_roll(&d, 3) ? 1 + dice_roll(&d, 300) : 1 + dice_roll(&d, 60000);
            if (len > wanted.len - sent)
                len = wanted.len - sent;
            f = frame_new(FRAME_ANSWER, len);
            memcpy(f->at, wanted.at + sent, len);
            conn_push_asked(p.conn, f);
            frame_unref(f);
            if (dice_roll(&d, 4) == 0)
                assert_int_equal(site_read(&s.w, ssl, &got, dice_roll(&d, sent + len + 1)),
                                 PEER_QUIET);
        }
        assert_int_equal(site_read(&s.w, ssl, &got, wanted.len), PEER_QUIET);
        assert_bytes(buf_bytes(&got), buf_bytes(&wanted));
        world_until(&s.w, conn_is_flushed(p.conn));
        site_write(&s.w, ssl, buf_bytes(&wanted));
        world_until(&s.w, p.got.len == wanted.len);
        assert_bytes(buf_bytes(&p.got), buf_bytes(&wanted));
        probe_close(&s, &p, ssl, fd);
        buf_fini(&wanted);
        buf_fini(&got);
    }
    site_close(&s);
}

/* What is in a record that the kernel did not take is not dropped by a last word. */
static void a_cut_queue_is_still_whole_records(void **state)
{
    struct site s;
    size_t i;
    int n;

    (void)state;
    site_open(&s);
    for (i = 0; i < WAYS; i++) {
        struct probe p;
        int fd = probe_open(&s, &p, 4096);
        SSL *ssl = site_client_of(fd, ways[i].version, ways[i].suite, NULL);
        struct frame *last = frame_new(FRAME_ANSWER, 4);
        struct buf got = {0};
        size_t at;

        memcpy(last->at, "last", 4);
        site_connect(&s.w, ssl);
        for (n = 0; n < 2000; n++)
            push(p.conn, (char)('a' + n % 26), 100);
        world_turns(&s.w, 4);
        assert_false(conn_is_flushed(p.conn));
        conn_push_last(p.conn, last);
        frame_unref(last);
        conn_finish(p.conn);
        assert_int_equal(site_read(&s.w, ssl, &got, SIZE_MAX), PEER_EOF);
        assert_true(got.len >= 4 && got.len < 200000 && (got.len - 4) % 100 == 0);
        for (at = 0; at < got.len - 4; at++)
            assert_int_equal(got.at[at], 'a' + at / 100 % 26);
        assert_memory_equal(got.at + got.len - 4, "last", 4);
        probe_close(&s, &p, ssl, fd);
        buf_fini(&got);
    }
    site_close(&s);
}

static void keys_are_updated_in_the_middle(void **state)
{
    struct site s;
    struct probe p;
    struct buf got = {0};
    SSL *ssl;
    int fd, n;

    (void)state;
    site_open(&s);
    fd = probe_open(&s, &p, 4096);
    ssl = site_client(fd, TLS1_3_VERSION, NULL);
    site_connect(&s.w, ssl);
    for (n = 0; n < 20; n++) {
        push(p.conn, 'x', 30000); /* more than the kernel takes: a record is on its way */
        world_turns(&s.w, 2);
        assert_true(
            SSL_key_update(ssl, n % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED));
        site_write(&s.w, ssl, BYTES("y"));
        assert_int_equal(site_read(&s.w, ssl, &got, got.len + 30000), PEER_QUIET);
        world_until(&s.w, p.got.len == (size_t)n + 1);
    }
    assert_int_equal(got.len, 20 * 30000);
    assert_int_equal(p.closed, 0);
    probe_close(&s, &p, ssl, fd);
    buf_fini(&got);
    site_close(&s);
}

/* From one net to another, as between two shards. */
/* A small device asked for small records. */
static void small_fragments_are_kept(void **state)
{
    struct site s;
    size_t i;

    (void)state;
    site_open(&s);
    for (i = 0; i < 2; i++) {
        struct probe p;
        int fd = probe_open(&s, &p, 4096);
        SSL *ssl = site_client(fd, versions[i], NULL);
        struct buf got = {0};

        assert_true(SSL_set_tlsext_max_fragment_length(ssl, TLSEXT_max_fragment_length_512));
        site_connect(&s.w, ssl);
        push(p.conn, 'x', 40000); /* a larger record would be an error to the client */
        assert_int_equal(site_read(&s.w, ssl, &got, 40000), PEER_QUIET);
        probe_close(&s, &p, ssl, fd);
        buf_fini(&got);
    }
    site_close(&s);
}

static void a_connection_moves(void **state)
{
    struct site from, to;
    size_t i;

    (void)state;
    site_open(&from);
    site_open(&to);
    for (i = 0; i < 2; i++) {
        struct probe p, q = {0};
        int ours, fd = probe_open(&from, &p, 0);
        SSL *ssl = site_client(fd, versions[i], NULL);
        struct buf got = {0};
        struct tls *t;

        site_connect(&from.w, ssl);
        site_write(&from.w, ssl, BYTES("here"));
        world_until(&from.w, p.got.len == 4);
        push(p.conn, 'a', 2);
        assert_int_equal(site_read(&from.w, ssl, &got, 2), PEER_QUIET);
        t = conn_tls_take(p.conn);
        ours = conn_release(p.conn);
        world_turns(&from.w, 1);
        assert_int_equal(p.closed, 0);

        assert_int_equal(conn_open(&to.w.net, ours, &probe_ops, &q, &q.conn), ERR_OK);
        conn_tls_adopt(q.conn, t);
        site_write(&to.w, ssl, BYTES("there"));
        world_until(&to.w, q.got.len == 5);
        push(q.conn, 'b', 2);
        assert_int_equal(site_read(&to.w, ssl, &got, 4), PEER_QUIET);
        assert_bytes(buf_bytes(&got), BYTES("aabb"));
        buf_fini(&p.got);
        probe_close(&to, &q, ssl, fd);
        buf_fini(&got);
    }
    site_close(&from);
    site_close(&to);
}

/* ---- many at once ---- */

enum { STORM = 40 };

/* Of forty that are ready a turn takes at most four steps, fewer when they take long, and the live
   one is heard at once whenever it speaks. */
static void a_storm_of_handshakes_takes_turns(void **state)
{
    struct site s;
    struct probe live, many[STORM];
    SSL *ssl, *clients[STORM];
    int fd, fds[STORM], i, turn, said = 1, done = 0, before;

    (void)state;
    site_open(&s);
    fd = probe_open(&s, &live, 0);
    ssl = site_client(fd, TLS1_3_VERSION, NULL);
    site_connect(&s.w, ssl);
    site_write(&s.w, ssl, BYTES("!"));
    world_until(&s.w, live.got.len == 1);
    for (i = 0; i < STORM; i++) {
        fds[i] = probe_open(&s, &many[i], 0);
        clients[i] = site_client(fds[i], TLS1_3_VERSION, NULL);
        assert_int_equal(SSL_do_handshake(clients[i]), -1); /* its hello is on the way */
    }
    for (turn = 1; done < STORM; turn++) {
        bool speaks = turn % 6 == 0; /* who speaks in every turn comes late, too */

        if (speaks)
            assert_int_equal(SSL_write(ssl, "!", 1), 1);
        world_turns(&s.w, 1);
        said += speaks;
        assert_int_equal(live.got.len, said);
        before = done;
        for (i = done = 0; i < STORM; i++) { /* whoever was answered can do its part */
            char byte;

            done += recv(fds[i], &byte, 1, MSG_PEEK) == 1;
        }
        assert_in_range(done, before + 1, before + 4);
    }
    for (i = 0; i < STORM; i++)
        site_connect(&s.w, clients[i]);
    world_turns(&s.w, STORM);
    for (i = 0; i < STORM; i++) {
        site_write(&s.w, clients[i], BYTES("z"));
        world_until(&s.w, many[i].got.len == 1);
        probe_close(&s, &many[i], clients[i], fds[i]);
    }
    probe_close(&s, &live, ssl, fd);
    site_close(&s);
}

/* OpenSSL keeps what it has opened of a record and was not asked for, and no poll tells of that. */
static void large_records_of_many_are_read_whole(void **state)
{
    enum { MANY = 12, RECORD = 16384 };
    static char record[RECORD];
    struct site s;
    struct probe p[MANY];
    SSL *ssl[MANY];
    int fds[MANY], i;

    (void)state;
    site_open(&s);
    for (i = 0; i < MANY; i++) {
        fds[i] = probe_open(&s, &p[i], 0);
        ssl[i] = site_client(fds[i], TLS1_3_VERSION, NULL);
        site_connect(&s.w, ssl[i]);
        site_write(&s.w, ssl[i], BYTES("!")); /* known from now on */
        world_until(&s.w, p[i].got.len == 1);
    }
    for (i = 0; i < MANY; i++) {
        if (i % 2)
            net_on_park(&s.w.net, conn_tag(p[i].conn)); /* late, but read the same way */
        assert_int_equal(SSL_write(ssl[i], record, RECORD), RECORD);
    }
    for (i = 0; i < MANY; i++)
        world_until(&s.w, p[i].got.len == 1 + RECORD);
    for (i = 0; i < MANY; i++)
        probe_close(&s, &p[i], ssl[i], fds[i]);
    site_close(&s);
}

/* ---- ends ---- */

static void the_end_is_said_when_there_is_room(void **state)
{
    struct site s;
    size_t i;

    (void)state;
    site_open(&s);
    for (i = 0; i < 2; i++) {
        struct probe p, q;
        int fd = probe_open(&s, &p, 4096), other;
        SSL *ssl = site_client(fd, versions[i], NULL), *idle;
        struct buf got = {0};

        site_connect(&s.w, ssl);
        push(p.conn, 'x', 50000);
        conn_finish(p.conn);
        world_turns(&s.w, 3);
        assert_int_equal(site_read(&s.w, ssl, &got, SIZE_MAX), PEER_EOF);
        assert_int_equal(got.len, 50000);
        probe_close(&s, &p, ssl, fd);

        other = probe_open(&s, &q, 0);
        idle = site_client(other, versions[i], NULL);
        site_connect(&s.w, idle);
        world_turns(&s.w, 2);
        conn_close(q.conn, CONN_END_OURS);
        got.len = 0;
        assert_int_equal(site_read(&s.w, idle, &got, SIZE_MAX), PEER_EOF);
        probe_close(&s, &q, idle, other);
        buf_fini(&got);
    }
    site_close(&s);
}

static void who_speaks_plain_http_is_told(void **state)
{
    struct site s;
    struct probe p;
    struct buf got = {0};
    int fd;

    (void)state;
    site_open(&s);
    fd = probe_open(&s, &p, 0);
    peer_write(&s.w, fd, BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(peer_read_to_end(&s.w, fd, &got), PEER_EOF);
    assert_true(bytes_starts(buf_bytes(&got), BYTES("HTTP/1.1 400 ")));
    assert_non_null(memmem(got.at, got.len, "speaks TLS", 10));
    assert_int_equal(p.got.len, 0);
    probe_close(&s, &p, NULL, fd);
    buf_fini(&got);
    site_close(&s);
}

static void a_late_handshake_is_cut(void **state)
{
    struct site s;
    struct probe p = {0};
    int ours, peers;
    int64_t failed = meter_sum(METER_TLS_FAILED);

    (void)state;
    site_open(&s);
    world_pair(&ours, &peers, 0);
    assert_int_equal(conn_open(&s.w.net, ours, &probe_ops, &p, &p.conn), ERR_OK);
    conn_secure(p.conn, s.context, 1);
    conn_arm(p.conn, s.w.loop.now_ms + 60000); /* the protocol's own deadline is later */
    peer_write(&s.w, peers, BYTES("\x16\x03\x01"));
    world_until(&s.w, p.closed == 1);
    assert_int_equal(meter_sum(METER_TLS_FAILED), failed + 1);
    close(peers);
    site_close(&s);
}

/* The default limit, by a clock that is moved and not waited for. */
static void a_handshake_has_all_of_its_time_and_no_more(void **state)
{
    enum { LIMIT_MS = 10000 };
    struct site s;
    struct probe p = {0};
    int ours, peers;
    int64_t limit_ms;

    (void)state;
    site_open(&s);
    world_pair(&ours, &peers, 0);
    assert_int_equal(conn_open(&s.w.net, ours, &probe_ops, &p, &p.conn), ERR_OK);
    limit_ms = s.w.loop.now_ms + LIMIT_MS;
    conn_secure(p.conn, s.context, LIMIT_MS);
    s.w.loop.now_ms = limit_ms - 1;
    wheel_run(&s.w.loop.wheel, s.w.loop.now_ms, 100);
    assert_true(conn_is_open(p.conn));
    s.w.loop.now_ms = limit_ms + WHEEL_STEP_MS;
    wheel_run(&s.w.loop.wheel, s.w.loop.now_ms, 100);
    assert_false(conn_is_open(p.conn));
    net_bury(&s.w.net);
    assert_int_equal(p.closed, 1);
    close(peers);
    site_close(&s);
}

/* From 3.0.22 on OpenSSL takes room for a ClientHello as it comes; before, for all of what it
   announces, 128 KiB at most, and a third more. */
static size_t room_for_announced(void)
{
    unsigned long version = OpenSSL_version_num();
    bool at_once = version < 0x30000160 || version >= 0x30100000;

    return at_once ? 128 * 1024 / 3 * 4 : 0;
}

/* Nobody gets 128 KiB for announcing them, if OpenSSL lets us. */
static void an_announced_message_gets_little_room(void **state)
{
    const int64_t most = 80000 + (int64_t)room_for_announced();
    static const char large[] = "\x16\x03\x01\x00\x08\x01\x01\xf0\x00\x03\x03\0\0";
    struct site s;
    struct probe p;
    int64_t before;
    int fd;

    (void)state;
    site_open(&s);
    before = mem_held();
    fd = probe_open(&s, &p, 0);
    peer_write(&s.w, fd, bytes_of(large, sizeof(large) - 1));
    world_turns(&s.w, 4);
    assert_int_equal(p.closed, 0);
    assert_true(mem_held() > before + 8192 && mem_held() < before + most);
    probe_close(&s, &p, NULL, fd);
    site_close(&s);
}

/* ---- tickets and certificates ---- */

/* Connects, and says whether the session was resumed; the newest one is left in *session. */
static bool resumes(struct site *s, int version, SSL_SESSION **session)
{
    struct probe p;
    int fd = probe_open(s, &p, 0);
    SSL *ssl = site_client(fd, version, *session);
    struct buf got = {0};
    bool is_resumed;

    site_connect(&s->w, ssl);
    push(p.conn, '.', 1);
    assert_int_equal(site_read(&s->w, ssl, &got, 1), PEER_QUIET); /* a ticket came with it */
    is_resumed = SSL_session_reused(ssl);
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    world_until(&s->w, p.ends == 1);
    probe_close(s, &p, ssl, fd);
    buf_fini(&got);
    return is_resumed;
}

static void tickets_outlive_a_certificate_but_not_who_is_trusted(void **state)
{
    struct site s;
    struct site_file other;
    size_t i;

    (void)state;
    site_open(&s);
    site_certificate(&other, "two");
    for (i = 0; i < 2; i++) {
        struct tls_settings set = {.certificate = other.path};
        struct tls_context *before = s.context;
        SSL_SESSION *session = NULL;

        assert_false(resumes(&s, versions[i], &session));
        assert_true(resumes(&s, versions[i], &session));
        s.context = site_context(&set);
        assert_true(resumes(&s, versions[i], &session));
        tls_context_unref(s.context);

        set.client_auth = TLS_CLIENT_WANT;
        set.trust_certificate = other.path;
        s.context = site_context(&set);
        assert_false(resumes(&s, versions[i], &session));
        assert_true(resumes(&s, versions[i], &session));
        tls_context_unref(s.context);

        set.trust_certificate = s.file.path;
        s.context = site_context(&set);
        assert_false(resumes(&s, versions[i], &session));
        tls_context_unref(s.context);
        s.context = before;
        SSL_SESSION_free(session);
    }
    unlink(other.path);
    site_close(&s);
}

/* The other net has a copy of the same keys, and an hour later those of before still open. */
static void tickets_are_good_elsewhere_and_for_an_hour(void **state)
{
    struct site s, other;
    SSL_SESSION *session = NULL;
    int turn;

    (void)state;
    site_open(&s);
    site_open(&other);
    other.w.net.tls->tickets = s.tickets;
    assert_false(resumes(&s, TLS1_2_VERSION, &session));
    assert_true(resumes(&other, TLS1_2_VERSION, &session));
    for (turn = 0; turn < 2; turn++) { /* as if an hour had passed: a new ticket comes with it */
        s.w.net.tls->tickets.until_ms -= TLS_TICKET_HOUR_MS;
        assert_true(resumes(&s, TLS1_2_VERSION, &session));
    }
    s.w.net.tls->tickets.until_ms -= (int64_t)2 * TLS_TICKET_HOUR_MS;
    assert_false(resumes(&s, TLS1_2_VERSION, &session));
    SSL_SESSION_free(session);
    site_close(&other);
    site_close(&s);
}

static void ticket_keys_turn_every_hour(void **state)
{
    struct tls_tickets a, b;
    unsigned char first[TLS_TICKET_NAME], second[TLS_TICKET_NAME];
    bool is_old;

    (void)state;
    tls_tickets_init(&a, 1000);
    b = a;
    memcpy(first, tls_tickets_seal(&a, 1000)->name, sizeof(first));
    assert_memory_equal(tls_tickets_seal(&a, 1000 + TLS_TICKET_HOUR_MS - 1)->name, first, 16);
    memcpy(second, tls_tickets_seal(&a, 1000 + TLS_TICKET_HOUR_MS)->name, sizeof(second));
    assert_memory_not_equal(first, second, 16);
    assert_ptr_equal(tls_tickets_open(&b, 1000, first, &is_old), &b.now);
    assert_false(is_old);
    assert_null(tls_tickets_open(&b, 1000, second, &is_old));
    assert_non_null(tls_tickets_open(&b, 1000 + TLS_TICKET_HOUR_MS, first, &is_old));
    assert_true(is_old);
    assert_memory_equal(&a.now, &b.now, sizeof(a.now));
    assert_memory_equal(&a.before, &b.before, sizeof(a.before));
    assert_null(tls_tickets_open(&b, 1000 + 2 * TLS_TICKET_HOUR_MS, first, &is_old));
    tls_tickets_seal(&a, 1000 + (int64_t)50 * TLS_TICKET_HOUR_MS);
    tls_tickets_seal(&b, 1000 + (int64_t)49 * TLS_TICKET_HOUR_MS);
    tls_tickets_seal(&b, 1000 + (int64_t)50 * TLS_TICKET_HOUR_MS);
    assert_memory_equal(&a, &b, sizeof(a));
    tls_tickets_wipe(&a);
    tls_tickets_wipe(&b);
}

static void connections_keep_the_certificate_they_began_with(void **state)
{
    struct site s;
    struct site_file other;
    struct tls_settings set = {0};
    struct probe p;
    struct buf got = {0};
    int fd;
    SSL *ssl;

    (void)state;
    site_open(&s);
    site_certificate(&other, "two");
    fd = probe_open(&s, &p, 0);
    ssl = site_client(fd, TLS1_3_VERSION, NULL);
    tls_context_unref(s.context); /* in the middle of its handshake */
    set.certificate = other.path;
    s.context = site_context(&set);
    site_connect(&s.w, ssl);
    push(p.conn, 'a', 10);
    assert_int_equal(site_read(&s.w, ssl, &got, 10), PEER_QUIET);
    probe_close(&s, &p, ssl, fd);
    buf_fini(&got);
    unlink(other.path);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(much_passes_a_narrow_kernel),
        cmocka_unit_test(a_cut_queue_is_still_whole_records),
        cmocka_unit_test(keys_are_updated_in_the_middle),
        cmocka_unit_test(small_fragments_are_kept),
        cmocka_unit_test(a_connection_moves),
        cmocka_unit_test(a_storm_of_handshakes_takes_turns),
        cmocka_unit_test(large_records_of_many_are_read_whole),
        cmocka_unit_test(the_end_is_said_when_there_is_room),
        cmocka_unit_test(who_speaks_plain_http_is_told),
        cmocka_unit_test(a_late_handshake_is_cut),
        cmocka_unit_test(a_handshake_has_all_of_its_time_and_no_more),
        cmocka_unit_test(an_announced_message_gets_little_room),
        cmocka_unit_test(tickets_outlive_a_certificate_but_not_who_is_trusted),
        cmocka_unit_test(tickets_are_good_elsewhere_and_for_an_hour),
        cmocka_unit_test(ticket_keys_turn_every_hour),
        cmocka_unit_test(connections_keep_the_certificate_they_began_with),
    };

    tls_count_memory();
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
