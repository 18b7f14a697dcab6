/*
 * ws-echo - every message comes back: loop, listener, http_conn, upgrade and ws_conn without the
 * rest of the product, for conformance suites from outside. Its keys come from where Pushca's do.
 *
 * Thread: one.      Ends: SIGINT or SIGTERM, exit status 0.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "app/config.h"
#include "app/secure.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "net/conn_tls.h"
#include "net/http_conn.h"
#include "net/listen.h"
#include "net/sock.h"
#include "net/tls_context.h"
#include "net/tls_tickets.h"
#include "net/ws_conn.h"
#include "wire/upgrade.h"

/* Above every conn's and listener's tag, below the loop's own. */
#define SIGNAL_TAG (LOOP_PARKED_TAG - 1)

enum { LARGEST_CASE = 16 * 1024 * 1024 };

struct options {
    const char *address; /* null: server.address */
    const char *file;    /* null: spring.config.location, or none */
    uint16_t port;
    const char **sets;
    int set_count;
};

struct echo {
    const struct settings *settings;
    struct tls_context *tls; /* null: plain */
    struct inbox inbox;      /* the loop wants one; nobody posts to it */
    struct loop loop;
    struct net net;
    struct listener listener;
    struct rand rand;
    struct http_limits http;
    struct http_handler handler;
    struct ws_settings ws;
    struct ws_ops ws_ops;
    int signal_fd;
    bool stopping;
};

static struct echo *echo_of(const struct conn *c)
{
    return container_of(c->net, struct echo, net);
}

static void ws_on_message(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload)
{
    struct frame *f = ws_frame(FRAME_ANSWER, opcode, payload, (struct bytes){NULL, 0});

    ws_push_asked(w, f); /* a peer that does not read is not read from, and nothing is lost */
    frame_unref(f);
}

static void ws_on_closed(struct ws_conn *w)
{
    mem_free(w);
}

static void refuse(struct http_conn *h, const struct http1_bad *bad)
{
    struct http_answer a = {
        .status = bad->status, .type = "text/plain", .body = bytes_text(bad->why)};

    if (bad->status == 426)
        a.fields = BYTES("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    else if (bad->status == 405)
        a.fields = BYTES("Allow: GET\r\n");
    http_answer(h, &a);
}

static void http_on_request(struct http_conn *h, const struct http1_request *r, struct bytes body)
{
    struct echo *e = echo_of(h->conn);
    struct upgrade upgrade;
    struct buf unread = {0};
    struct http1_bad bad;
    struct conn *c;
    struct ws_conn *w;

    (void)body;
    if (!upgrade_check(r, &e->ws.deflate, &upgrade, &bad)) {
        refuse(h, &bad);
        return;
    }
    c = http_leave(h, &unread);
    w = mem_new(struct ws_conn);
    ws_take(w, c, &upgrade, &e->ws_ops, &e->rand);
    ws_feed(w, unread.at, unread.len);
    buf_fini(&unread);
}

static void http_on_error(struct http_conn *h, const struct http1_request *r, int status,
                          const char *why)
{
    (void)r;
    refuse(h, &(struct http1_bad){status, why});
}

static void http_on_closed(struct http_conn *h)
{
    (void)h;
}

static void on_accept(struct listener *l, int fd)
{
    struct echo *e = l->user;
    struct http_conn *h;

    if (http_open(&e->net, fd, &e->http, &e->handler, e->settings->handshake_ms, &h))
        fprintf(stderr, "a connection could not be watched\n");
    else if (l->is_secure)
        conn_secure(h->conn, e->tls, e->settings->handshake_ms);
}

static bool on_ready(void *owner, uint64_t tag, uint32_t events)
{
    struct echo *e = owner;

    if (tag == SIGNAL_TAG)
        e->stopping = true;
    else if (listener_owns(tag, 0))
        listener_on_ready(&e->listener);
    else
        return net_on_ready(&e->net, tag, events);
    return true;
}

static bool on_late(void *owner, uint64_t tag, uint32_t events)
{
    struct echo *e = owner;

    return net_on_late(&e->net, tag, events);
}

static void on_park(void *owner, uint64_t tag)
{
    struct echo *e = owner;

    net_on_park(&e->net, tag);
}

static bool on_write(void *owner)
{
    struct echo *e = owner;

    return net_write(&e->net);
}

static void on_bury(void *owner)
{
    struct echo *e = owner;

    net_bury(&e->net);
}

static enum err open_signals(struct echo *e)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    e->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (e->signal_fd < 0)
        return ERR_IO;
    return poll_add(&e->loop.poll, e->signal_fd, EPOLLIN, SIGNAL_TAG);
}

/* Some defaults are not Pushca's, for the suites' sake: they compare all that comes with what they
   want, so a ping nobody asked for would spoil a case; they may ping as fast as they like; their
   largest message has 16 MiB; and where compression was agreed, short messages are to show it. */
static struct ws_settings ws_settings(const struct config *c)
{
    const struct settings *set = config_settings(c);
    struct ws_settings ws = {.limits = set->ws,
                             .ping_interval_ms = set->ping_interval_ms,
                             .pong_wait_ms = set->pong_wait_ms,
                             .memory_bytes = set->memory_bytes,
                             .deflate = set->deflate};

    if (!config_is_given(c, "pushca.pusher.ping-interval-ms"))
        ws.ping_interval_ms = 0;
    if (!config_is_given(c, "pushca.limits.message-bytes"))
        ws.limits.message_bytes = LARGEST_CASE;
    if (!config_is_given(c, "pushca.pusher.deflate.min-bytes"))
        ws.deflate.min_bytes = 1;
    if (config_is_given(c, "pushca.limits.pings"))
        ws.nuisances[WS_PINGS] = set->nuisances[WS_PINGS];
    return ws;
}

static void use_tls(struct echo *e)
{
    struct tls_tickets tickets;

    if (!e->tls)
        return;
    tls_tickets_init(&tickets, clock_mono_ms());
    net_use_tls(&e->net, &tickets);
    tls_tickets_wipe(&tickets);
}

/* e is zeroed but for its tls. */
static enum err echo_open(struct echo *e, const struct options *o, const struct config *c)
{
    const struct settings *set = config_settings(c);
    struct loop_hooks hooks = {.owner = e,
                               .on_ready = on_ready,
                               .on_late = on_late,
                               .on_park = on_park,
                               .on_write = on_write,
                               .on_bury = on_bury};
    enum err err;
    int fd;

    e->settings = set;
    e->http = (struct http_limits){set->http,    set->body_bytes,    set->head_ms,
                                   set->body_ms, set->keep_alive_ms, set->memory_bytes};
    e->handler = (struct http_handler){e, http_on_request, http_on_error, http_on_closed};
    e->ws = ws_settings(c);
    e->ws_ops = (struct ws_ops){&e->ws, ws_on_message, ws_on_closed};
    rand_init(&e->rand);
    err = sock_listen(o->address ? o->address : set->address, o->port, false, &fd);
    if (err)
        return err;
    err = inbox_open(&e->inbox);
    if (!err)
        err = loop_open(&e->loop, &e->inbox, &hooks);
    if (!err)
        err = open_signals(e);
    if (err)
        return err;
    net_init(&e->net, &e->loop, &set->net);
    use_tls(e);
    err = listener_open(&e->listener, &e->net, fd, 0, on_accept, e);
    e->listener.is_secure = e->tls;
    return err;
}

static void say_goodbye(struct conn *c, void *context)
{
    struct ws_conn *w = ws_of(c);

    (void)context;
    if (w)
        ws_close(w, WS_CLOSE_GOING_AWAY, (struct bytes){NULL, 0}, true);
    else
        conn_finish(c);
}

static void echo_run(struct echo *e)
{
    int64_t end_ms;

    fprintf(stderr, "ready port=%u\n", sock_port(e->listener.fd));
    while (!e->stopping)
        loop_turn(&e->loop, -1);
    end_ms = e->loop.now_ms + e->settings->drain_ms;
    listener_close(&e->listener);
    poll_remove(&e->loop.poll, e->signal_fd);
    net_each(&e->net, say_goodbye, NULL);
    while (e->net.open > 0 && e->loop.now_ms < end_ms)
        loop_turn(&e->loop, 50);
}

/* What is still open when the drain time is over ends with the process. */
static void echo_close(struct echo *e)
{
    if (e->net.open > 0)
        return;
    net_fini(&e->net);
    close(e->signal_fd);
    loop_close(&e->loop);
    inbox_close(&e->inbox);
}

static bool read_port(const char *text, uint16_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    *out = (uint16_t)value;
    return *text >= '0' && *text <= '9' && !*end && value <= UINT16_MAX;
}

/* Options come in pairs: a name and its value. */
static bool read_options(int argc, char **argv, struct options *o)
{
    bool has_port = false;
    int i;

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0)
            has_port = read_port(argv[i + 1], &o->port);
        else if (strcmp(argv[i], "--address") == 0)
            o->address = argv[i + 1];
        else if (strcmp(argv[i], "--config") == 0)
            o->file = argv[i + 1];
        else if (strcmp(argv[i], "--set") == 0)
            o->sets[o->set_count++] = argv[i + 1];
        else
            return false;
    }
    return has_port && i == argc;
}

static int serve(const struct options *o)
{
    struct config_sources from = {
        .file = o->file, .sets = o->sets, .set_count = o->set_count, .environment = environ};
    struct buf errors = {0};
    struct config *config = NULL;
    struct problem why;
    struct echo *e = mem_new(struct echo);
    int status = 1;
    enum err err;

    if (config_load(&from, &config, &errors)) {
        fprintf(stderr, "%.*s", (int)errors.len, errors.at ? errors.at : "");
    } else if (secure_load(config_settings(config), &e->tls, &why)) {
        fprintf(stderr, "ws-echo: %s\n", why.text);
    } else if ((err = echo_open(e, o, config))) {
        fprintf(stderr, "ws-echo: cannot listen on port %u: %s\n", o->port, err_name(err));
    } else {
        echo_run(e);
        echo_close(e);
        status = 0;
    }
    tls_context_unref(e->tls);
    config_free(config);
    buf_fini(&errors);
    mem_free(e);
    return status;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    int status = 2;

    tls_count_memory();
    meter_open();
    o.sets = mem_alloc((size_t)argc * sizeof(*o.sets));
    if (read_options(argc, argv, &o))
        status = serve(&o);
    else
        fprintf(stderr,
                "usage: ws-echo --port N [--address A] [--config FILE] [--set KEY=VALUE]...\n");
    mem_free(o.sets);
    meter_close();
    return status;
}
