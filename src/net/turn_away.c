#include "net/turn_away.h"

#include <string.h>
#include "base/meter.h"
#include "flow/frame.h"
#include "net/conn.h"
#include "net/listen.h"
#include "net/sock.h"

static char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                       "Access-Control-Allow-Origin: *\r\n"
                       "Retry-After: 1\r\n"
                       "Connection: close\r\n"
                       "Content-Length: 0\r\n"
                       "\r\n";

enum { ANSWER_BYTES = sizeof(answer) - 1 };

static void ignore_bytes(struct conn *c, char *at, size_t len)
{
    (void)c;
    (void)at;
    (void)len;
}

static void ignore_timer(struct conn *c)
{
    conn_close(c, CONN_END_OURS);
}

static void on_closed(struct conn *c)
{
    struct turned_away *t = c->user;

    t->lingering--;
}

static const struct conn_ops ops = {
    .on_bytes = ignore_bytes, .on_timer = ignore_timer, .on_closed = on_closed};

void turn_away(const struct listener *l, int fd, struct turned_away *t)
{
    struct frame *f;
    struct conn *c;

    if (!l->is_secure)
        meter_add(METER_HTTP_5XX, 1);
    if (l->is_secure || t->lingering >= t->most) {
        turn_away_now(l, fd);
        return;
    }
    if (conn_open(l->net, fd, &ops, t, &c))
        return;
    t->lingering++;
    f = frame_new(FRAME_ANSWER, ANSWER_BYTES);
    memcpy(f->at, answer, f->len);
    conn_push_last(c, f);
    frame_unref(f);
    conn_finish(c);
}

void turn_away_now(const struct listener *l, int fd)
{
    struct iovec iov = {answer, ANSWER_BYTES};
    size_t done;

    if (!l->is_secure && sock_write(fd, &iov, 1, &done) == ERR_OK) {
        sock_shut(fd);
        (void)!sock_read(fd, l->net->read_buffer, NET_READ_BYTES, &done);
    }
    sock_close(fd);
}
