#include "cluster/redis_link.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/check.h"
#include "base/buf.h"
#include "base/mem.h"
#include "cluster/redis_encode.h"
#include "cluster/redis_hello.h"
#include "cluster/redis_reader.h"
#include "cluster/resolve.h"
#include "cluster/tls_client.h"
#include "flow/loop.h"
#include "net/sock.h"

enum {
    BACKOFF_LEAST_MS = 50,
    BACKOFF_MOST_MS = 1000,
    TELL_EVERY_MS = 10000, /* of attempts that fail again and again */
    STEADY_MS = 1000,      /* a link that held so long may be tried again at once */
    RESOLVE_EVERY_MS = 10,
    LOOK_LEAST_MS = 10,
    LOOK_MOST_MS = 250,
    READS_A_TURN = 8,
    UNDER_WAY = 1024 * 1024,
    COMPACT_BYTES = 64 * 1024, /* moved down only if so much in front is done with */
    KEEP_BYTES = 1024 * 1024,  /* an empty buffer larger than this is given back */
};

enum state { DOWN, RESOLVING, CONNECTING, SHAKING, HELLO, READY };

struct redis_link {
    struct redis_world *world;
    struct list link;  /* world's links */
    struct list dirty; /* world's dirty */
    struct timer timer;
    struct redis_address to;
    void *owner;
    enum redis_link_kind kind;
    enum state state;
    int fd; /* -1: none */
    uint64_t tag;
    uint32_t interest;
    struct resolve *resolve;
    uint32_t attempt, tries_left; /* which of its addresses; how many more this time */
    struct ssl_st *tls;
    bool tls_wants_write;
    struct redis_reader reader;
    struct redis_hello hello; /* goes out before out */
    struct buf out;           /* done_at <= sent_at <= out.len */
    size_t done_at, sent_at;
    struct redis_asks asks;
    bool failed;
    bool pinged;        /* a link of channels: the answer is due */
    int64_t ready_ms;   /* since when */
    int64_t until_ms;   /* of a state that waits for a peer */
    int64_t heard_ms;   /* bytes came in */
    int64_t due_ms;     /* an answer is due since */
    int64_t backoff_ms; /* the last one */
    int64_t told_ms;    /* the last line on it */
    char why[REDIS_WHY_TEXT];
};

/* ---- what is said of it ---- */

static const char *kind_name(const struct redis_link *l)
{
    switch (l->kind) {
    case REDIS_LINK_COMMANDS:
        return "commands";
    case REDIS_LINK_CHANNELS:
        return "channels";
    case REDIS_LINK_FINDER:
    case REDIS_LINK_KINDS:
        break;
    }
    return l->world->by_sentinel ? "sentinel" : "topology";
}

static void tell(struct redis_link *l, bool up)
{
    char address[REDIS_ADDRESS_TEXT];
    int64_t held_back = 0;

    if (!log_may(&l->world->said[l->kind][up], l->world->loop->now_ms, &held_back))
        return;
    l->told_ms = l->world->loop->now_ms;
    redis_address_write(&l->to, address);
    if (up)
        log_info("redis link up", LOG_STR("address", address), LOG_STR("for", kind_name(l)),
                 LOG_NUM("held_back", held_back));
    else
        log_warn("redis link lost", LOG_STR("address", address), LOG_STR("for", kind_name(l)),
                 LOG_STR("reason", l->why), LOG_NUM("held_back", held_back));
}

/* ---- losing it ---- */

static void watch(struct redis_link *l, uint32_t interest)
{
    if (interest != l->interest)
        poll_change(&l->world->loop->poll, l->fd, interest, l->tag);
    l->interest = interest;
}

static void stop_socket(struct redis_link *l)
{
    tls_client_free(l->tls);
    l->tls = NULL;
    if (l->fd >= 0) {
        poll_remove(&l->world->loop->poll, l->fd);
        sock_close(l->fd);
    }
    l->fd = -1;
    l->tag = 0;
}

static void disconnect(struct redis_link *l)
{
    stop_socket(l);
    resolve_drop(l->resolve);
    l->resolve = NULL;
    l->state = DOWN;
}

static void arm(struct redis_link *l, int64_t in_ms)
{
    wheel_start(&l->world->loop->wheel, &l->timer, l->world->loop->now_ms + in_ms);
}

/* Half of the time is chance: not all that lost one server come back at once. */
static void arm_backoff(struct redis_link *l)
{
    bool was_steady = l->ready_ms && l->world->loop->now_ms - l->ready_ms >= STEADY_MS;

    if (was_steady || !l->backoff_ms)
        l->backoff_ms = BACKOFF_LEAST_MS;
    else if (l->backoff_ms < BACKOFF_MOST_MS)
        l->backoff_ms = l->backoff_ms * 2 < BACKOFF_MOST_MS ? l->backoff_ms * 2 : BACKOFF_MOST_MS;
    l->ready_ms = 0;
    arm(l,
        l->backoff_ms / 2 + (int64_t)rand_below(&l->world->rand, (uint64_t)l->backoff_ms / 2 + 1));
}

/* Commands are kept until they are answered. */
static bool keeps(const struct redis_link *l)
{
    return l->world->keeps && l->kind != REDIS_LINK_CHANNELS;
}

/* None of what was under way will be answered. What the events give in return is refused. */
static void fail_asks(struct redis_link *l)
{
    struct redis_asks asks = l->asks;
    struct buf out = l->out;
    size_t at = l->done_at;

    l->asks = (struct redis_asks){0};
    l->out = (struct buf){0};
    l->done_at = l->sent_at = 0;
    while (asks.len) {
        struct redis_ask ask = redis_asks_pop(&asks);
        l->world->events->on_reply(
            l->owner, l, &ask, keeps(l) ? bytes_of(out.at + at, ask.len) : bytes_of(NULL, 0), NULL);
        at += ask.len;
    }
    mem_free(asks.at);
    buf_fini(&out);
}

void redis_link_drop(struct redis_link *l, const char *why)
{
    int64_t now_ms = l->world->loop->now_ms;
    bool was_ready = l->state == READY;

    if (l->state == DOWN)
        return;
    snprintf(l->why, sizeof(l->why), "%s", why);
    disconnect(l);
    arm_backoff(l);
    if (was_ready || !l->failed || now_ms - l->told_ms >= TELL_EVERY_MS)
        tell(l, false);
    l->failed = true;
    list_remove(&l->dirty);
    l->world->events->on_lost(l->owner, l, l->why);
    fail_asks(l);
}

/* ---- the hello ---- */

static void say_hello(struct redis_link *l)
{
    const struct redis_world *w = l->world;
    bool is_data = l->kind != REDIS_LINK_FINDER && !w->is_cluster;
    bool to_sentinel = l->kind == REDIS_LINK_FINDER && w->by_sentinel;
    struct redis_hello_wish wish = {
        .username = to_sentinel ? w->set->sentinel_username : w->set->username,
        .password = to_sentinel ? w->set->sentinel_password : w->set->password,
        .database = is_data ? w->set->database : 0,
        .master = is_data,
    };
    char name[32];

    snprintf(name, sizeof(name), "pushca:%s", kind_name(l));
    wish.name = name;
    l->state = HELLO;
    l->until_ms = w->loop->now_ms + w->set->answer_ms;
    redis_hello_begin(&l->hello, &wish);
    redis_link_write(l);
}

static void mark_dirty(struct redis_link *l)
{
    if (!list_is_linked(&l->dirty))
        list_push_back(&l->world->dirty, &l->dirty);
}

static void look_again(struct redis_link *l)
{
    int64_t each_ms = l->world->set->answer_ms / 8;

    arm(l, each_ms < LOOK_LEAST_MS  ? LOOK_LEAST_MS
           : each_ms > LOOK_MOST_MS ? LOOK_MOST_MS
                                    : each_ms);
}

static void become_ready(struct redis_link *l)
{
    int64_t now_ms = l->world->loop->now_ms;

    l->state = READY;
    l->ready_ms = l->due_ms = now_ms;
    l->failed = l->pinged = false;
    look_again(l);
    if (l->out.len > l->sent_at)
        mark_dirty(l);
    tell(l, true);
    l->world->events->on_ready(l->owner, l);
}

static void on_hello(struct redis_link *l, const struct redisReply *reply)
{
    char why[REDIS_WHY_TEXT];

    if (!redis_hello_take(&l->hello, reply, why))
        redis_link_drop(l, why);
    else if (redis_hello_is_done(&l->hello))
        become_ready(l);
}

/* ---- connecting ---- */

static void set_options(int fd)
{
    int on = 1;

    /* Tuning only. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static bool connect_socket(struct redis_link *l, const struct sockaddr_storage *to, socklen_t len)
{
    l->fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        snprintf(l->why, sizeof(l->why), "no socket: %s", strerror(errno));
        return false;
    }
    l->tag = REDIS_TAG | ++l->world->last_tag;
    l->interest = EPOLLIN | EPOLLOUT;
    if (poll_add(&l->world->loop->poll, l->fd, l->interest, l->tag)) {
        sock_close(l->fd);
        l->fd = -1;
        snprintf(l->why, sizeof(l->why), "no socket: cannot be watched");
        return false;
    }
    set_options(l->fd);
    if (connect(l->fd, (const struct sockaddr *)to, len) == 0 || errno == EINPROGRESS)
        return true;
    snprintf(l->why, sizeof(l->why), "%s", strerror(errno));
    stop_socket(l);
    return false;
}

/* The next of the host's addresses; when none is left, the attempt has failed. */
static void try_address(struct redis_link *l)
{
    struct sockaddr_storage to;
    socklen_t len = 0;
    enum err e = ERR_OK;

    while (l->tries_left) {
        l->tries_left--;
        e = resolve_poll(l->resolve, l->attempt++, &to, &len);
        if (e)
            break;
        l->state = CONNECTING;
        if (connect_socket(l, &to, len))
            return;
    }
    if (e)
        redis_link_drop(l, "the host name has no address");
    else {
        char why[REDIS_WHY_TEXT];

        memcpy(why, l->why, sizeof(why));
        redis_link_drop(l, why);
    }
}

static void look_at_name(struct redis_link *l)
{
    struct sockaddr_storage to;
    socklen_t len = 0;
    enum err e = resolve_poll(l->resolve, l->attempt, &to, &len);

    if (e == ERR_AGAIN) {
        arm(l, RESOLVE_EVERY_MS);
        return;
    }
    l->tries_left = e ? 1 : resolve_count(l->resolve);
    arm(l, l->until_ms - l->world->loop->now_ms);
    try_address(l);
}

static void begin(struct redis_link *l)
{
    l->state = RESOLVING;
    l->until_ms = l->world->loop->now_ms + l->world->set->connect_ms;
    redis_reader_reset(&l->reader);
    l->why[0] = 0;
    l->resolve = resolve_start(l->to.host, l->to.port);
    look_at_name(l);
}

static void shake(struct redis_link *l)
{
    bool wants_write = false;
    enum err e = tls_client_shake(l->tls, &wants_write);

    if (!e)
        say_hello(l);
    else if (e == ERR_AGAIN)
        watch(l, EPOLLIN | (wants_write ? EPOLLOUT : 0));
    else
        redis_link_drop(l, tls_client_why(l->tls));
}

static bool is_any_host(const struct redis_settings *set)
{
    return set->tls_verify && strcmp(set->tls_verify, "ca") == 0;
}

static void on_connected(struct redis_link *l)
{
    const struct redis_world *w = l->world;
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error) {
        snprintf(l->why, sizeof(l->why), "%s", strerror(error));
        stop_socket(l);
        try_address(l);
        return;
    }
    resolve_drop(l->resolve);
    l->resolve = NULL;
    l->heard_ms = w->loop->now_ms;
    if (!w->tls) {
        say_hello(l);
        return;
    }
    if (tls_client_new(w->tls, l->fd, l->to.host, is_any_host(w->set), &l->tls)) {
        redis_link_drop(l, "no memory for TLS");
        return;
    }
    l->state = SHAKING;
    shake(l);
}

/* ---- output ---- */

/* ERR_OK: all of it is sent. */
static enum err send_some(struct redis_link *l, const struct buf *b, size_t *at)
{
    enum err e = ERR_OK;

    l->tls_wants_write = false;
    while (!e && *at < b->len) {
        struct bytes rest = bytes_of(b->at + *at, b->len - *at);
        size_t sent = 0;

        if (l->tls) {
            e = tls_client_write(l->tls, rest, &sent, &l->tls_wants_write);
        } else {
            char *from = b->at + *at;

            e = sock_write(l->fd, &(struct iovec){from, rest.len}, 1, &sent);
        }
        *at += sent;
    }
    return e;
}

/* What nobody needs any more is given back, at a cost that stays in proportion. */
static void compact(struct redis_link *l)
{
    if (!keeps(l))
        l->done_at = l->sent_at;
    if (l->done_at == l->out.len) {
        l->out.len = l->done_at = l->sent_at = 0;
        if (l->out.cap > KEEP_BYTES)
            buf_fini(&l->out);
    } else if (l->done_at >= COMPACT_BYTES && l->done_at > l->out.len / 2) {
        buf_drop(&l->out, l->done_at);
        l->sent_at -= l->done_at;
        l->done_at = 0;
    }
}

void redis_link_write(struct redis_link *l)
{
    enum err e = ERR_OK;

    list_remove(&l->dirty);
    if (l->state < HELLO)
        return;
    if (l->hello.out.len) {
        size_t at = 0;

        e = send_some(l, &l->hello.out, &at);
        buf_drop(&l->hello.out, at);
        if (!e)
            redis_hello_sent(&l->hello);
    }
    if (!e && l->state == READY) {
        e = send_some(l, &l->out, &l->sent_at);
        compact(l);
    }
    if (e && e != ERR_AGAIN && e != ERR_FULL) {
        redis_link_drop(l, "connection lost");
        return;
    }
    watch(l, EPOLLIN | (e == ERR_FULL || (e && (!l->tls || l->tls_wants_write)) ? EPOLLOUT : 0));
}

void redis_link_write_dirty(struct list *dirty)
{
    redis_link_write(container_of(dirty, struct redis_link, dirty));
}

static enum err admit(const struct redis_link *l, size_t more)
{
    if (l->state != READY && l->failed)
        return ERR_GONE;
    if (l->asks.len >= UNDER_WAY)
        return ERR_FULL;
    return l->out.len - l->done_at + more > REDIS_WAITING_BYTES ? ERR_FULL : ERR_OK;
}

static void register_ask(struct redis_link *l, const struct redis_ask *ask, size_t len)
{
    struct redis_ask own = *ask;

    own.len = (uint32_t)len;
    if (!l->asks.len)
        l->due_ms = l->world->loop->now_ms;
    if (l->kind != REDIS_LINK_CHANNELS)
        redis_asks_push(&l->asks, &own);
    if (l->state == READY)
        mark_dirty(l);
}

enum err redis_link_give(struct redis_link *l, const struct bytes *argv, int argc,
                         const struct redis_ask *ask)
{
    size_t more = 0, before;
    enum err e;

    for (int i = 0; i < argc; i++)
        more += argv[i].len;
    e = admit(l, more);
    if (e)
        return e;
    before = l->out.len;
    redis_encode(&l->out, argv, argc);
    register_ask(l, ask, l->out.len - before);
    return ERR_OK;
}

enum err redis_link_give_made(struct redis_link *l, struct bytes command,
                              const struct redis_ask *ask)
{
    enum err e = admit(l, command.len);

    if (e)
        return e;
    buf_add(&l->out, command);
    register_ask(l, ask, command.len);
    return ERR_OK;
}

/* ---- input ---- */

static void on_answer(struct redis_link *l, const struct redisReply *reply)
{
    struct redis_ask ask;
    struct bytes command = {0};

    if (!l->asks.len) {
        redis_link_drop(l, "unasked reply");
        return;
    }
    ask = redis_asks_pop(&l->asks);
    if (keeps(l)) {
        command = bytes_of(l->out.at + l->done_at, ask.len);
        l->done_at += ask.len;
        mark_dirty(l); /* so that it is compacted */
    }
    l->due_ms = l->world->loop->now_ms;
    l->world->events->on_reply(l->owner, l, &ask, command, reply);
}

static bool is_pong(const struct redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY)
        return reply->elements && reply->element[0]->type == REDIS_REPLY_STRING &&
               strcmp(reply->element[0]->str, "pong") == 0;
    return reply->type == REDIS_REPLY_STATUS;
}

static void on_whole(struct redis_link *l, const struct redisReply *reply)
{
    if (l->state == HELLO)
        on_hello(l, reply);
    else if (l->kind != REDIS_LINK_CHANNELS)
        on_answer(l, reply);
    else if (is_pong(reply))
        l->pinged = false;
    else
        l->world->events->on_push(l->owner, l, reply);
}

/* The events may drop the link; its reader is as it was until the next attempt. */
static void digest(struct redis_link *l, const char *at, size_t len)
{
    const struct redisReply *reply = NULL;
    uint64_t tag = l->tag;
    enum err e = redis_reader_feed(&l->reader, at, len);

    while (!e && l->tag == tag) {
        e = redis_reader_next(&l->reader, &reply);
        if (!e)
            on_whole(l, reply);
    }
    if (e != ERR_AGAIN && l->tag == tag)
        redis_link_drop(l, "not the protocol of Redis, or a reply past its limit");
}

static enum err read_some(struct redis_link *l, size_t *got)
{
    char *at = l->world->input;

    if (!l->tls)
        return sock_read(l->fd, at, REDIS_INPUT_BYTES, got);
    return tls_client_read(l->tls, at, REDIS_INPUT_BYTES, got, &l->tls_wants_write);
}

static void read_all(struct redis_link *l)
{
    uint64_t tag = l->tag;

    for (int i = 0; l->tag == tag && (i < READS_A_TURN || (l->tls && tls_client_has_more(l->tls)));
         i++) {
        size_t got = 0;
        enum err e = read_some(l, &got);

        if (e == ERR_AGAIN || e == ERR_FULL) {
            if (l->tls_wants_write)
                watch(l, l->interest | EPOLLOUT);
            return;
        }
        if (e) {
            redis_link_drop(l, "connection lost");
            return;
        }
        l->heard_ms = l->world->loop->now_ms;
        digest(l, l->world->input, got);
        if (!l->tls && got < REDIS_INPUT_BYTES)
            return;
    }
}

void redis_link_on_ready(struct redis_link *l, uint32_t events)
{
    uint64_t tag = l->tag;

    if (l->state == CONNECTING) {
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            on_connected(l);
        return;
    }
    if (l->state == SHAKING) {
        shake(l);
        return;
    }
    if (events & EPOLLOUT)
        redis_link_write(l);
    if (l->tag == tag && l->state >= HELLO)
        read_all(l);
}

/* ---- time ---- */

static void ping(struct redis_link *l)
{
    struct redis_ask ask = {.kind = REDIS_ASK_NOTHING, .slot = REDIS_NO_SLOT};

    if (redis_link_give(l, &BYTES("PING"), 1, &ask))
        return;
    l->pinged = true;
    l->due_ms = l->world->loop->now_ms;
    redis_link_write(l);
}

/* Silent with an answer due: given up. Silent with none due: asked for one. */
static void look(struct redis_link *l)
{
    int64_t now_ms = l->world->loop->now_ms, answer_ms = l->world->set->answer_ms;
    bool due = l->asks.len || (l->kind == REDIS_LINK_CHANNELS && l->pinged);
    int64_t since_ms = due && l->due_ms > l->heard_ms ? l->due_ms : l->heard_ms;

    if (due && now_ms - since_ms > answer_ms) {
        redis_link_drop(l, "no answer in time");
        return;
    }
    look_again(l);
    if (!due && now_ms - since_ms >= answer_ms / 2)
        ping(l);
}

static void on_due(struct timer *t)
{
    struct redis_link *l = container_of(t, struct redis_link, timer);
    int64_t left_ms = l->until_ms - l->world->loop->now_ms;

    switch (l->state) {
    case DOWN:
        begin(l);
        return;
    case READY:
        look(l);
        return;
    case RESOLVING:
        if (left_ms > 0) {
            look_at_name(l);
            return;
        }
        break;
    case CONNECTING:
    case SHAKING:
    case HELLO:
        break;
    }
    if (left_ms > 0)
        arm(l, left_ms);
    else
        redis_link_drop(l, l->state == RESOLVING    ? "the host name is not answered in time"
                           : l->state == CONNECTING ? "no connection in time"
                           : l->state == SHAKING    ? "no TLS handshake in time"
                                                    : "no answer in time");
}

/* ---- its life ---- */

struct redis_link *redis_link_new(struct redis_world *w, enum redis_link_kind kind,
                                  const struct redis_address *to, void *owner)
{
    struct redis_link *l = mem_new(struct redis_link);

    l->world = w;
    l->kind = kind;
    l->to = *to;
    l->owner = owner;
    l->fd = -1;
    list_init(&l->dirty);
    list_push_back(&w->links, &l->link);
    timer_init(&l->timer, on_due);
    redis_reader_init(&l->reader);
    arm(l, 0);
    return l;
}

void redis_link_free(struct redis_link *l, bool quiet)
{
    if (!l)
        return;
    wheel_stop(&l->timer);
    disconnect(l);
    l->failed = true;
    list_remove(&l->dirty);
    list_remove(&l->link);
    if (!quiet)
        fail_asks(l);
    mem_free(l->asks.at);
    redis_reader_fini(&l->reader);
    redis_hello_sent(&l->hello);
    buf_fini(&l->out);
    mem_free(l);
}

bool redis_link_is_ready(const struct redis_link *l)
{
    return l->state == READY;
}

bool redis_link_has_failed(const struct redis_link *l)
{
    return l->failed && l->state != READY;
}

const char *redis_link_why(const struct redis_link *l)
{
    return l->why[0] ? l->why : "not connected yet";
}

const struct redis_address *redis_link_to(const struct redis_link *l)
{
    return &l->to;
}

enum redis_link_kind redis_link_kind(const struct redis_link *l)
{
    return l->kind;
}

struct redis_link *redis_link_tagged(const struct redis_world *w, uint64_t tag)
{
    for (struct list *i = w->links.next; i != &w->links; i = i->next) {
        struct redis_link *l = container_of(i, struct redis_link, link);

        if (l->tag == tag)
            return l;
    }
    return NULL;
}
