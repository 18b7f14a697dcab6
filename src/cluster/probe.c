#include "cluster/probe.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "cluster/resolve.h"
#include "cluster/tls_client.h"
#include "flow/loop.h"
#include "net/sock.h"

enum { LOOK_MS = WHEEL_STEP_MS, HOST_BYTES = 255, HTTP_PORT = 80, HTTPS_PORT = 443 };

#define TARGET "/actuator/health/readiness"

enum state { FREE, FAILED, RESOLVE, CONNECT, SHAKE, WRITE, READ };

struct question {
    struct probe *probe;
    enum state state;
    uint32_t generation; /* in tags, so that an event of an earlier one finds nobody */
    probe_done *done;
    void *context;
    char *url;
    struct resolve *resolve;
    uint32_t nth; /* address tried */
    int fd;
    bool is_secure;
    char host[HOST_BYTES + 1];
    struct ssl_st *tls; /* null: plain, or not connected yet */
    bool wants_write;   /* as TLS said last */
    struct timer timer;
    int64_t deadline_ms;
    struct buf request;
    size_t written;
    char answer[PROBE_BYTES];
    size_t got;
};

struct probe {
    struct loop *loop;
    struct ssl_ctx_st *tls; /* null: no https has been asked yet */
    struct question all[PROBES_MOST];
};

/* ---- the URL ---- */

struct url {
    bool is_secure;
    struct bytes authority; /* for the Host field */
    char host[HOST_BYTES + 1];
    uint16_t port;
    struct bytes path; /* without a slash at its end */
};

static bool read_port(struct bytes text, uint16_t *out)
{
    uint32_t n = 0;

    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.at[i]))
            return false;
        n = n * 10 + (uint32_t)(text.at[i] - '0');
    }
    *out = (uint16_t)n;
    return n >= 1 && n <= UINT16_MAX;
}

/* Names, IPv4, and what may stand between the brackets of an IPv6 literal. */
static bool read_host(struct bytes text, bool literal, char out[HOST_BYTES + 1])
{
    if (text.len == 0 || text.len > HOST_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (!isalnum(c) && c != '.' && !(literal ? c == ':' : c == '-' || c == '_'))
            return false;
    }
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return true;
}

static bool read_authority(struct bytes text, struct url *out)
{
    bool literal = bytes_starts(text, BYTES("["));
    struct bytes host, port;
    bool has_port;

    out->authority = text;
    out->port = out->is_secure ? HTTPS_PORT : HTTP_PORT;
    if (literal) {
        if (!bytes_cut(bytes_of(text.at + 1, text.len - 1), BYTES("]"), &host, &port))
            return false;
        has_port = bytes_starts(port, BYTES(":"));
        if (port.len && !has_port)
            return false;
        if (has_port)
            port = bytes_of(port.at + 1, port.len - 1);
    } else {
        has_port = bytes_cut(text, BYTES(":"), &host, &port);
    }
    return read_host(host, literal, out->host) && (!has_port || read_port(port, &out->port));
}

/* Nothing that could end the request line. */
static bool path_is_good(struct bytes path)
{
    for (size_t i = 0; i < path.len; i++)
        if (!isgraph((unsigned char)path.at[i]) || path.at[i] == '?' || path.at[i] == '#')
            return false;
    return true;
}

static bool cut_scheme(struct bytes *rest, struct bytes scheme)
{
    if (rest->len <= scheme.len || !bytes_equal_nocase(bytes_of(rest->at, scheme.len), scheme))
        return false;
    *rest = bytes_of(rest->at + scheme.len, rest->len - scheme.len);
    return true;
}

static bool read_url(const char *text, struct url *out)
{
    struct bytes rest = bytes_text(text), authority;
    const char *slash;

    if (rest.len > PROBE_URL_BYTES)
        return false;
    out->is_secure = cut_scheme(&rest, BYTES("https://"));
    if (!out->is_secure && !cut_scheme(&rest, BYTES("http://")))
        return false;
    slash = memchr(rest.at, '/', rest.len);
    authority = slash ? bytes_of(rest.at, (size_t)(slash - rest.at)) : rest;
    out->path = bytes_of(rest.at + authority.len, rest.len - authority.len);
    while (out->path.len && out->path.at[out->path.len - 1] == '/')
        out->path.len--;
    return read_authority(authority, out) && path_is_good(out->path);
}

static void write_request(struct buf *out, const struct url *u)
{
    buf_add(out, BYTES("GET "));
    buf_add(out, u->path);
    buf_add(out, BYTES(TARGET " HTTP/1.1\r\nHost: "));
    buf_add(out, u->authority);
    buf_add(out, BYTES("\r\nConnection: close\r\n\r\n"));
}

/* ---- one question ---- */

static uint64_t tag_of(const struct question *q)
{
    return PROBE_TAG | (uint64_t)(q - q->probe->all) << 32 | q->generation;
}

static void drop_socket(struct question *q)
{
    tls_client_free(q->tls);
    q->tls = NULL;
    if (q->fd < 0)
        return;
    poll_remove(&q->probe->loop->poll, q->fd);
    sock_close(q->fd);
    q->fd = -1;
}

static void release(struct question *q)
{
    drop_socket(q);
    wheel_stop(&q->timer);
    resolve_drop(q->resolve);
    q->resolve = NULL;
    buf_fini(&q->request);
    mem_free(q->url);
    q->url = NULL;
    q->state = FREE;
    q->generation++;
}

/* Comes last: done may start again, or close the probe. */
static void finish(struct question *q, enum probe_answer answer)
{
    probe_done *done = q->done;
    void *context = q->context;

    release(q);
    done(context, answer);
}

static void alarm_in(struct question *q, int64_t ms)
{
    wheel_start(&q->probe->loop->wheel, &q->timer, q->probe->loop->now_ms + ms);
}

/* A socket on its way to that address; -1: it cannot go there. */
static int connect_to(const struct sockaddr_storage *to, socklen_t len)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)to, len) == 0 || errno == EINPROGRESS)
        return fd;
    sock_close(fd);
    return -1;
}

/* Begins with the next address that a connection can be begun to, or ends. An address that keeps
   silent leaves time for those behind it. */
static void next_address(struct question *q)
{
    struct loop *loop = q->probe->loop;
    uint32_t count = resolve_count(q->resolve);
    int64_t left_ms = q->deadline_ms - loop->now_ms;
    struct sockaddr_storage to;
    socklen_t len;

    drop_socket(q);
    q->written = q->got = 0;
    for (; q->nth < count && left_ms > 0; q->nth++) {
        if (resolve_poll(q->resolve, q->nth, &to, &len))
            break;
        q->fd = connect_to(&to, len);
        if (q->fd < 0)
            continue;
        if (poll_add(&loop->poll, q->fd, EPOLLOUT, tag_of(q))) {
            sock_close(q->fd);
            q->fd = -1;
            break;
        }
        q->state = CONNECT;
        alarm_in(q, left_ms / (count - q->nth));
        q->nth++;
        return;
    }
    finish(q, PROBE_UNKNOWN);
}

static void look_whether_resolved(struct question *q)
{
    struct sockaddr_storage to;
    socklen_t len;
    enum err e = resolve_poll(q->resolve, 0, &to, &len);

    if (!e)
        next_address(q);
    else if (e == ERR_AGAIN && q->probe->loop->now_ms < q->deadline_ms)
        alarm_in(q, LOOK_MS);
    else
        finish(q, PROBE_UNKNOWN);
}

static void on_due(struct timer *t)
{
    struct question *q = container_of(t, struct question, timer);

    if (q->state == RESOLVE)
        look_whether_resolved(q);
    else if (q->state == FAILED)
        finish(q, PROBE_UNKNOWN);
    else
        next_address(q);
}

/* Until the peer, or the kernel, is ready for more. */
static void watch(struct question *q)
{
    bool writes = q->tls ? q->wants_write : q->state == WRITE;
    uint32_t events = q->tls || !writes ? EPOLLIN : 0;

    poll_change(&q->probe->loop->poll, q->fd, events | (writes ? EPOLLOUT : 0), tag_of(q));
}

static enum err write_some(struct question *q, size_t *sent)
{
    char *at = q->request.at + q->written;
    size_t len = q->request.len - q->written;

    if (q->tls)
        return tls_client_write(q->tls, bytes_of(at, len), sent, &q->wants_write);
    return sock_write(q->fd, &(struct iovec){at, len}, 1, sent);
}

static void write_more(struct question *q)
{
    while (q->written < q->request.len) {
        size_t sent = 0;
        enum err e = write_some(q, &sent);

        q->written += sent;
        if (e == ERR_AGAIN) {
            watch(q);
            return;
        }
        if (e) {
            next_address(q);
            return;
        }
    }
    q->state = READ;
    watch(q);
}

/* "HTTP/1.x 200 " or its end of line; false: it is not whole yet. */
static bool read_status(struct bytes got, enum probe_answer *out)
{
    struct bytes line, rest;
    const char *at = got.at;

    if (!bytes_cut(got, BYTES("\n"), &line, &rest))
        return false;
    *out = PROBE_UNKNOWN;
    if (line.len < 13 || !bytes_starts(line, BYTES("HTTP/1.")) || at[8] != ' ' ||
        (at[12] != ' ' && at[12] != '\r'))
        return true;
    if (isdigit((unsigned char)at[9]) && isdigit((unsigned char)at[10]) &&
        isdigit((unsigned char)at[11]))
        *out = memcmp(at + 9, "200", 3) == 0 ? PROBE_UP : PROBE_DOWN;
    return true;
}

static enum err read_some(struct question *q, size_t *got)
{
    char *at = q->answer + q->got;
    size_t len = sizeof(q->answer) - q->got;

    if (q->tls)
        return tls_client_read(q->tls, at, len, got, &q->wants_write);
    return sock_read(q->fd, at, len, got);
}

static void read_more(struct question *q)
{
    enum err e = ERR_OK;

    while (!e) {
        enum probe_answer answer;
        size_t got = 0;

        e = read_some(q, &got);
        q->got += got;
        if (read_status(bytes_of(q->answer, q->got), &answer)) {
            finish(q, answer);
            return;
        }
        if (q->got == sizeof(q->answer))
            break;
    }
    if (e == ERR_AGAIN)
        watch(q);
    else
        next_address(q);
}

static void shake(struct question *q)
{
    enum err e = tls_client_shake(q->tls, &q->wants_write);

    if (e == ERR_AGAIN) {
        watch(q);
    } else if (e) {
        next_address(q);
    } else {
        q->state = WRITE;
        write_more(q);
    }
}

/* Nothing is verified: a status is all that is asked for, and nothing is told. */
static bool begin_tls(struct question *q)
{
    struct probe *p = q->probe;

    if (!p->tls)
        p->tls = tls_client_open();
    return p->tls && !tls_client_new(p->tls, q->fd, q->host, true, &q->tls);
}

static void on_connected(struct question *q)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
        next_address(q);
        return;
    }
    if (!q->is_secure) {
        q->state = WRITE;
        write_more(q);
    } else if (begin_tls(q)) {
        q->state = SHAKE;
        shake(q);
    } else {
        finish(q, PROBE_UNKNOWN);
    }
}

/* ---- all of them ---- */

void probe_open(struct probe **out, struct loop *loop)
{
    struct probe *p = mem_new(struct probe);

    p->loop = loop;
    for (size_t i = 0; i < PROBES_MOST; i++) {
        p->all[i].probe = p;
        p->all[i].fd = -1;
        timer_init(&p->all[i].timer, on_due);
    }
    *out = p;
}

void probe_close(struct probe *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < PROBES_MOST; i++)
        release(&p->all[i]);
    tls_client_close(p->tls);
    mem_free(p);
}

static struct question *find_free(struct probe *p, const char *url)
{
    struct question *found = NULL;

    for (size_t i = 0; i < PROBES_MOST; i++) {
        if (p->all[i].state == FREE)
            found = &p->all[i];
        else if (strcmp(p->all[i].url, url) == 0)
            return NULL;
    }
    return found;
}

bool probe_start(struct probe *p, const char *url, probe_done *done, void *context)
{
    struct question *q = find_free(p, url);
    struct url parts;

    if (!q)
        return false;
    q->done = done;
    q->context = context;
    q->url = mem_copy(bytes_text(url));
    q->deadline_ms = p->loop->now_ms + PROBE_MS;
    q->nth = 0;
    q->state = FAILED;
    if (read_url(q->url, &parts)) {
        q->state = RESOLVE;
        q->is_secure = parts.is_secure;
        memcpy(q->host, parts.host, strlen(parts.host) + 1);
        q->resolve = resolve_start(parts.host, parts.port);
        write_request(&q->request, &parts);
    }
    alarm_in(q, 0);
    return true;
}

void probe_stop(struct probe *p, const void *context)
{
    for (size_t i = 0; i < PROBES_MOST; i++)
        if (p->all[i].state != FREE && p->all[i].context == context)
            release(&p->all[i]);
}

static struct question *find(struct probe *p, uint64_t tag)
{
    uint64_t slot = (tag & ~PROBE_TAG) >> 32;

    if (slot >= PROBES_MOST || p->all[slot].fd < 0 || tag_of(&p->all[slot]) != tag)
        return NULL;
    return &p->all[slot];
}

void probe_on_ready(struct probe *p, uint64_t tag, uint32_t events)
{
    struct question *q = find(p, tag);

    (void)events; /* errors come out of what is tried */
    if (!q)
        return;
    if (q->state == CONNECT)
        on_connected(q);
    else if (q->state == SHAKE)
        shake(q);
    else if (q->state == WRITE)
        write_more(q);
    else
        read_more(q);
}
