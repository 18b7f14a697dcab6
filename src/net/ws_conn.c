#include "net/ws_conn.h"

#include <string.h>
#include "base/mem.h"
#include "base/meter.h"
#include "net/ws_deflate.h"
#include "wire/inflater.h"

/* So far apart are the moments for pings, and there are at least so many in an interval. */
enum { PING_APART_MS = 100, PING_MOMENTS = 200 };

enum { SECOND_MS = 1000 };

static void on_bytes(struct conn *c, char *at, size_t len);
static void on_timer(struct conn *c);
static void on_stalled(struct conn *c);
static void on_closed(struct conn *c);

static const struct conn_ops ops_of_ws = {on_bytes, on_timer, on_stalled, on_closed};

static int64_t now_ms(const struct ws_conn *w)
{
    return w->conn->net->loop->now_ms;
}

static struct frame *frame_of(const char *at, size_t len)
{
    struct frame *f = frame_new(FRAME_ANSWER, len);

    memcpy(f->at, at, len);
    return f;
}

static struct frame *close_frame(uint16_t code, struct bytes reason)
{
    char at[WS_HEADER_MAX + WS_CONTROL_MAX];

    return frame_of(at, ws_write_close(at, code, reason));
}

/* Our Close goes out behind what is queued, or in its place. The queue's limit is not asked: it
   is the last frame, and dropping for it what the peer was promised would help nobody. Takes f. */
static void push_close(struct ws_conn *w, struct frame *f, bool now)
{
    w->closing = true;
    if (now)
        conn_push_last(w->conn, f);
    else
        conn_push_asked(w->conn, f);
    frame_unref(f);
}

/* The last word: a Close in place of all that the peer did not take. */
static void give_up(struct ws_conn *w, enum meter reason)
{
    meter_add(reason, 1);
    push_close(w, close_frame(WS_CLOSE_TRY_LATER, BYTES("the connection does not keep up")), true);
    conn_finish(w->conn);
}

struct frame *ws_frame(enum frame_class class, enum ws_opcode opcode, struct bytes first,
                       struct bytes second)
{
    char head[WS_HEADER_MAX];
    size_t head_len = ws_write_header(head, opcode, (uint64_t)first.len + second.len);
    struct frame *f = frame_new(class, head_len + first.len + second.len);

    memcpy(f->at, head, head_len);
    if (first.len)
        memcpy(f->at + head_len, first.at, first.len);
    if (second.len)
        memcpy(f->at + head_len + first.len, second.at, second.len);
    return f;
}

struct bytes ws_frame_text(const struct frame *f)
{
    size_t head_len = 2; /* RFC 6455, section 5.2: ours are not masked */

    if ((f->at[1] & 0x7f) == 126)
        head_len = 4;
    else if ((f->at[1] & 0x7f) == 127)
        head_len = 10;
    return bytes_of(f->at + head_len, f->len - head_len);
}

bool ws_is_open(const struct ws_conn *w)
{
    return !w->closing && conn_is_open(w->conn);
}

enum err ws_push(struct ws_conn *w, struct frame *f)
{
    enum err e;

    if (!ws_is_open(w))
        return ERR_GONE;
    e = w->reader.inflater ? ws_deflate_push(w, f) : conn_push(w->conn, f);
    if (e == ERR_FULL)
        give_up(w, METER_CLOSED_SLOW);
    return e;
}

void ws_push_asked(struct ws_conn *w, struct frame *f)
{
    if (!ws_is_open(w))
        return;
    if (w->reader.inflater)
        ws_deflate_push_asked(w, f);
    else
        conn_push_asked(w->conn, f);
}

void ws_close(struct ws_conn *w, uint16_t code, struct bytes reason, bool now)
{
    if (!ws_is_open(w))
        return;
    push_close(w, close_frame(code, reason), now);
    conn_arm(w->conn, now_ms(w) + w->conn->net->limits->close_wait_ms);
}

bool ws_tolerate(struct ws_conn *w, enum ws_nuisance kind)
{
    static const char *const whys[] = {[WS_PINGS] = "too many pings in a second",
                                       [WS_BAD_COMMANDS] = "too many bad commands in a second"};
    uint16_t second = (uint16_t)(now_ms(w) / SECOND_MS), most = w->ops->settings->nuisances[kind];

    if (most == 0)
        return true;
    if (w->second != second) {
        w->second = second;
        memset(w->nuisances, 0, sizeof(w->nuisances));
    }
    if (w->nuisances[kind] < most) {
        w->nuisances[kind]++;
        return true;
    }
    if (!w->closing) {
        meter_add(METER_CLOSED_FLOOD, 1);
        push_close(w, close_frame(WS_CLOSE_POLICY, bytes_text(whys[kind])), false);
    }
    conn_finish(w->conn);
    return false;
}

/* What an unfinished message holds; there will be no more of it. */
static void forget_input(struct ws_conn *w)
{
    struct ws_deflate *d = ws_deflate_of(w);

    ws_reader_fini(&w->reader);
    ws_reader_init(&w->reader);
    ws_deflate_free(d);
}

/* The same outside of read_messages, which counts for itself. */
static void forget_counted_input(struct ws_conn *w)
{
    meter_add(METER_MEM_INPUT, -(int64_t)ws_reader_held(&w->reader));
    forget_input(w);
}

void ws_shed(struct ws_conn *w)
{
    forget_counted_input(w);
    give_up(w, METER_CLOSED_MEMORY);
}

struct ws_conn *ws_of(struct conn *c)
{
    return c->ops == &ops_of_ws ? c->user : NULL;
}

/* Takes f. A queue that is over its limit closed the socket, and that was counted. */
static void push_own(struct ws_conn *w, struct frame *f)
{
    enum err e = ws_push(w, f);

    (void)e;
    frame_unref(f);
}

/* Thousands may come in one read: their pongs leave as one frame of bytes. */
static void pong(struct ws_conn *w, struct bytes payload)
{
    struct buf *pongs = &w->conn->net->scratch.pongs;
    char head[WS_HEADER_MAX];

    buf_add(pongs, bytes_of(head, ws_write_header(head, WS_PONG, payload.len)));
    buf_add(pongs, payload);
}

/* Before anything else is said. Asked for, and whoever asks while it is behind is not read from: a
   large answer before them is no reason to end in 1013. */
static void push_pongs(struct ws_conn *w)
{
    struct buf *pongs = &w->conn->net->scratch.pongs;
    struct frame *f;

    if (!pongs->len)
        return;
    f = frame_of(pongs->at, pongs->len);
    ws_push_asked(w, f);
    frame_unref(f);
    pongs->len = 0;
}

static void on_message(struct ws_conn *w, const struct ws_message *m)
{
    if (m->opcode != WS_PING && m->opcode != WS_PONG)
        push_pongs(w);
    if (m->opcode == WS_CLOSE) {
        if (!w->closing)
            push_close(w, close_frame(m->close_code, (struct bytes){NULL, 0}), false);
        conn_finish(w->conn);
    } else if (w->closing) {
        return; /* said after our Close, or on the way when we sent it: nobody listens any more */
    } else if (m->opcode == WS_PING || m->opcode == WS_PONG) {
        if (ws_tolerate(w, WS_PINGS) && m->opcode == WS_PING)
            pong(w, m->payload);
    } else {
        w->ops->on_message(w, m->opcode, m->payload);
    }
}

/* The reader lost its place: say why, and hear no more. */
static void on_violation(struct ws_conn *w, uint16_t code)
{
    forget_input(w);
    if (!w->closing) {
        meter_add(METER_CLOSED_PROTOCOL, 1);
        push_close(w, close_frame(code, (struct bytes){NULL, 0}), false);
    }
    conn_finish(w->conn);
}

static void refuse_more(struct ws_conn *w)
{
    forget_input(w);
    if (!w->closing) {
        meter_add(METER_REFUSED_MEMORY, 1);
        push_close(w, close_frame(WS_CLOSE_TRY_LATER, BYTES("the memory budget is used up")),
                   false);
    }
    conn_finish(w->conn);
}

/* Any message may end the conn; what follows is then left unread. */
static void read_all(struct ws_conn *w, char *at, size_t len)
{
    struct ws_message m;
    uint16_t code;

    while (conn_is_open(w->conn)) {
        switch (ws_read(&w->reader, &w->ops->settings->limits, &at, &len, &m, &code)) {
        case WS_MORE:
            push_pongs(w);
            if (net_keeps_too_much(ws_reader_kept(&w->reader), w->ops->settings->memory_bytes))
                refuse_more(w);
            return;
        case WS_BAD:
            push_pongs(w);
            if (code == WS_CLOSE_TRY_LATER)
                refuse_more(w);
            else
                on_violation(w, code);
            return;
        case WS_MESSAGE:
            on_message(w, &m);
            break;
        }
    }
}

static void read_messages(struct ws_conn *w, char *at, size_t len)
{
    size_t before = ws_reader_held(&w->reader);

    if (w->reader.inflater) /* a reload may have changed it */
        w->reader.inflater->budget = w->ops->settings->memory_bytes;
    read_all(w, at, len);
    push_pongs(w);
    if (ws_reader_held(&w->reader) != before)
        meter_add(METER_MEM_INPUT, (int64_t)ws_reader_held(&w->reader) - (int64_t)before);
}

/* Pings gather at common moments: a turn that sends forty costs little more than one that sends
   one, because most of the price is waking up and finding everything out of the cache. */
static void arm_ping(struct ws_conn *w, int64_t wait_ms)
{
    int64_t now = now_ms(w), apart = w->ops->settings->ping_interval_ms / PING_MOMENTS + 1, due;

    if (apart > PING_APART_MS)
        apart = PING_APART_MS;
    due = (now + wait_ms + apart / 2) / apart * apart;
    if (due <= now)
        due = (now / apart + 1) * apart;
    conn_arm(w->conn, due);
}

/* A sign of life. It ends the wait for a pong at once, not when that is over: the timer then runs
   once for each ping. */
static void hear(struct ws_conn *w)
{
    const struct ws_settings *set = w->ops->settings;

    if (!w->awaiting_pong || w->closing)
        return;
    w->awaiting_pong = false;
    arm_ping(w, conn_due(w->conn) - set->pong_wait_ms + set->ping_interval_ms - now_ms(w));
}

void ws_feed(struct ws_conn *w, char *at, size_t len)
{
    char *copy;

    if (len == 0)
        return;
    /* A handshake with bytes behind it is rare: a padded copy costs less than a rule for callers.
     */
    copy = mem_alloc(len + WS_PADDING);
    memcpy(copy, at, len);
    hear(w);
    read_messages(w, copy, len);
    mem_free(copy);
}

static void on_bytes(struct conn *c, char *at, size_t len)
{
    struct ws_conn *w = c->user;

    hear(w);
    if (len > 0)
        read_messages(w, at, len);
    else if (w->closing)
        conn_finish(c);
    else
        conn_close(c, CONN_END_PEER);
}

static void ping(struct ws_conn *w)
{
    struct bytes nothing = {NULL, 0};

    w->awaiting_pong = true;
    conn_arm(w->conn, now_ms(w) + w->ops->settings->pong_wait_ms);
    push_own(w, ws_frame(FRAME_ANSWER, WS_PING, nothing, nothing));
}

/* The deadline is, in this order: the end of the close handshake, a pong's, the next ping's.
   Whoever is behind is not asked for signs of life, which would queue up as well, and whoever is
   not read from gives them in vain: the stall rule has both. */
static void on_timer(struct conn *c)
{
    struct ws_conn *w = c->user;
    bool behind = conn_is_behind(c) || conn_is_paused(c);

    if (w->closing) {
        conn_finish(c);
    } else if (w->awaiting_pong) {
        w->awaiting_pong = false;
        if (behind) {
            arm_ping(w, w->ops->settings->ping_interval_ms - w->ops->settings->pong_wait_ms);
        } else {
            meter_add(METER_CLOSED_SILENT, 1);
            conn_close(c, CONN_END_STALLED);
        }
    } else if (behind) {
        arm_ping(w, w->ops->settings->ping_interval_ms);
    } else {
        ping(w);
    }
}

static void on_stalled(struct conn *c)
{
    struct ws_conn *w = c->user;

    if (w->closing)
        conn_close(c, CONN_END_STALLED);
    else
        give_up(w, METER_CLOSED_STALLED);
}

static void on_closed(struct conn *c)
{
    struct ws_conn *w = c->user;

    forget_counted_input(w);
    w->ops->on_closed(w);
}

/* The conn is ours; rand spreads the first ping. */
static void begin(struct ws_conn *w, const struct upgrade *u, struct rand *rand)
{
    char answer[UPGRADE_TEXT_MAX];
    struct frame *f = frame_of(answer, upgrade_write(answer, u));
    int64_t interval_ms = w->ops->settings->ping_interval_ms;

    ws_reader_init(&w->reader);
    if (deflate_is_agreed(&u->deflate))
        ws_deflate_begin(w, &u->deflate);
    if (interval_ms > 0)
        arm_ping(w, 1 + (int64_t)rand_below(rand, (uint64_t)interval_ms));
    push_own(w, f);
}

void ws_take(struct ws_conn *w, struct conn *c, const struct upgrade *u, const struct ws_ops *ops,
             struct rand *rand)
{
    *w = (struct ws_conn){.conn = c, .ops = ops};
    conn_become(c, &ops_of_ws, w);
    begin(w, u, rand);
}

enum err ws_open(struct ws_conn *w, struct net *n, int fd, const struct upgrade *u,
                 const struct ws_ops *ops, struct rand *rand)
{
    enum err e;

    *w = (struct ws_conn){.ops = ops};
    e = conn_open(n, fd, &ops_of_ws, w, &w->conn);
    if (!e)
        begin(w, u, rand);
    return e;
}
