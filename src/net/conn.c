#include "net/conn.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "net/conn_tls.h"
#include "net/late.h"
#include "net/plain_answer.h"
#include "net/sock.h"
#include "net/tls.h"
#include "net/ws_deflate.h"

enum {
    WRITE_BUDGET = 1024,     /* sockets written in one turn */
    BULK_LEAST = 16,         /* of bulk, beside others: so many, or half of what those are */
    BULK_MOST = 128,         /* of bulk, alone */
    WRITE_BYTES = 64 * 1024, /* to one socket in one turn */
    WRITE_FRAMES = 64,
    SCRATCH_BYTES = 1024,
    BEHIND_MS = 1000,       /* blocked this long: not keeping up */
    READ_BYTES = 16 * 1024, /* one read */
    LATE_BYTES = 2 * 1024,  /* one read of a late socket, and of any other */
    LARGE_READS = 4,        /* after so many in a turn that had more to say than that */
    BURY_US = 50,           /* time for burying in one turn; at least one is */
};

static void on_due(struct timer *t);

void net_init(struct net *n, struct loop *loop, const struct net_limits *limits)
{
    *n = (struct net){.loop = loop, .limits = limits, .bulk_budget = BULK_LEAST};
    n->read_buffer = mem_alloc(NET_READ_BYTES + NET_READ_PADDING);
    (void)buf_reserve(&n->scratch.head, SCRATCH_BYTES);
    list_init(&n->free);
    list_init(&n->dirty);
    list_init(&n->bulk);
    list_init(&n->dead);
}

void net_fini(struct net *n)
{
    int64_t before = mem_balance();
    uint32_t i;

    CHECK(n->open == 0);
    for (i = 0; i < n->blocks.len; i++)
        mem_free(n->blocks.at[i]);
    vec_fini(&n->blocks);
    mem_book(METER_MEM_CONNECTIONS, before);
    mem_free(n->read_buffer);
    buf_fini(&n->scratch.head);
    buf_fini(&n->scratch.pongs);
    buf_fini(&n->scratch.deflated);
    ws_deflate_forget(&n->scratch);
    tls_net_free(n->tls);
}

void net_limit(struct net *n, const struct net_limits *limits)
{
    n->limits = limits;
    if (n->tls)
        n->tls->limits = limits;
}

void net_use_tls(struct net *n, const struct tls_tickets *tickets)
{
    n->tls = tls_net_new(n->loop, n->limits, tickets);
    n->tls->left = n->limits->tls_handshakes;
}

bool net_is_shaking_hard(const struct net *n)
{
    return n->tls && (n->tls->is_short || n->tls->was_short);
}

static struct conn *slot_at(struct net *n, uint32_t slot)
{
    struct conn *block = n->blocks.at[slot / NET_BLOCK_CONNS];

    return &block[slot % NET_BLOCK_CONNS];
}

static void add_block(struct net *n)
{
    int64_t before = mem_balance();
    struct conn *block = mem_zero(NET_BLOCK_CONNS * sizeof(*block));
    uint32_t i;

    vec_push(&n->blocks, block);
    mem_book(METER_MEM_CONNECTIONS, before);
    for (i = 0; i < NET_BLOCK_CONNS; i++) {
        block[i].slot = (n->blocks.len - 1) * NET_BLOCK_CONNS + i;
        block[i].gen = 1;
        list_push_back(&n->free, &block[i].link);
    }
}

uint64_t conn_tag(const struct conn *c)
{
    return (uint64_t)c->gen << 32 | c->slot;
}

static struct conn *find(struct net *n, uint32_t slot, uint32_t gen)
{
    struct conn *c;

    if (slot / NET_BLOCK_CONNS >= n->blocks.len)
        return NULL;
    c = slot_at(n, slot);
    return c->gen == gen && c->state != CONN_FREE ? c : NULL;
}

enum err conn_open(struct net *n, int fd, const struct conn_ops *ops, void *user, struct conn **out)
{
    struct conn *c;
    enum err e;

    if (list_is_empty(&n->free))
        add_block(n);
    c = container_of(list_first(&n->free), struct conn, link);
    e = poll_add(&n->loop->poll, fd, EPOLLIN, conn_tag(c));
    if (e) {
        sock_close(fd);
        return e;
    }
    list_remove(&c->link);
    *c = (struct conn){.net = n,
                       .ops = ops,
                       .user = user,
                       .slot = c->slot,
                       .gen = c->gen,
                       .fd = fd,
                       .state = CONN_OPEN,
                       .is_new = true};
    list_init(&c->link);
    outq_init(&c->out);
    timer_init(&c->timer, on_due);
    n->open++;
    *out = c;
    return ERR_OK;
}

struct conn_id conn_name(const struct conn *c)
{
    return (struct conn_id){c->slot, c->gen};
}

struct conn *conn_find(struct net *n, struct conn_id id)
{
    struct conn *c = id.gen ? find(n, id.slot, id.gen) : NULL;

    return c && c->state != CONN_DEAD ? c : NULL;
}

struct conn *net_next(struct net *n, uint32_t *cursor)
{
    while (*cursor < n->blocks.len * NET_BLOCK_CONNS) {
        struct conn *c = slot_at(n, (*cursor)++);

        if (c->state != CONN_FREE && c->state != CONN_DEAD)
            return c;
    }
    return NULL;
}

void net_each(struct net *n, void (*visit)(struct conn *c, void *context), void *context)
{
    uint32_t cursor = 0;
    struct conn *c;

    while ((c = net_next(n, &cursor)))
        visit(c, context);
}

bool conn_is_open(const struct conn *c)
{
    return c->state == CONN_OPEN;
}

void conn_prefetch(const struct conn *c)
{
    const char *at = (const char *)c;
    size_t i;

    for (i = 0; i < sizeof(*c); i += 64)
        __builtin_prefetch(at + i, 1);
}

bool conn_is_paused(const struct conn *c)
{
    return c->paused;
}

bool conn_is_flushed(const struct conn *c)
{
    return c->out.len == 0;
}

size_t conn_waiting(const struct conn *c)
{
    return c->out.bytes;
}

bool conn_is_behind(const struct conn *c)
{
    if (c->out.bytes > c->net->limits->soft_queue_bytes)
        return true;
    return c->out_on && c->net->loop->now_ms - c->last_progress_ms >= BEHIND_MS;
}

uint32_t conn_watched(const struct conn *c)
{
    bool in = !c->in_off && !c->paused;

    return (in ? (uint32_t)EPOLLIN : 0) | (c->out_asked ? (uint32_t)EPOLLOUT : 0);
}

/* What the kernel is asked to watch follows from three facts; asked again only when it changed.
   A writer that waits for the peer's bytes does not ask for room. */
static void watch(struct conn *c, bool in_off, bool paused, bool out_on)
{
    uint32_t before = conn_watched(c);

    c->in_off = in_off;
    c->paused = paused;
    c->out_on = out_on;
    c->out_asked = out_on && !(c->tls && c->tls->write_waits);
    if (conn_watched(c) == before || c->state == CONN_DEAD) /* late_forget: in no poll */
        return;
    if (c->out_asked)
        late_unpark(c); /* room for what leaves is told at once */
    poll_change(late_poll(c), c->fd, conn_watched(c), conn_tag(c));
}

bool conn_is_shaking(const struct conn *c)
{
    return c->tls && c->tls->is_shaking && c->state != CONN_LINGERING;
}

/* The nearest of the deadline, the stall's and the handshake's; after conn_finish the deadline is
   the stall's. */
static void rearm(struct conn *c)
{
    int64_t due = c->due_ms;

    if (c->out_on && c->state == CONN_OPEN) {
        int64_t stall = c->last_progress_ms + c->net->limits->stall_ms;

        due = due && due < stall ? due : stall;
    }
    if (conn_is_shaking(c))
        due = due && due < c->tls->due_ms ? due : c->tls->due_ms;
    if (due)
        wheel_start(&c->net->loop->wheel, &c->timer, due);
    else
        wheel_stop(&c->timer);
}

static void arm(struct conn *c, int64_t due_ms)
{
    c->due_ms = due_ms;
    rearm(c);
}

void conn_arm(struct conn *c, int64_t due_ms)
{
    if (c->state == CONN_OPEN) /* later the deadline is ours: the flush's, then the linger's */
        arm(c, due_ms);
}

int64_t conn_due(const struct conn *c)
{
    return c->due_ms;
}

void conn_read(struct conn *c, bool on)
{
    if (c->state == CONN_OPEN)
        watch(c, !on, c->paused, c->out_on);
}

void conn_close(struct conn *c, enum conn_end why)
{
    if (c->state == CONN_DEAD || c->state == CONN_FREE)
        return;
    if (c->tls && c->state == CONN_OPEN && (why == CONN_END_OURS || why == CONN_END_PEER))
        tls_end(c->tls); /* if there is room for it */
    c->state = CONN_DEAD;
    c->end = (uint8_t)why;
    wheel_stop(&c->timer);
    list_remove(&c->link);
    list_push_back(&c->net->dead, &c->link);
}

/* A socket with a message of its own does not wait among those that only have a copy of one, or are
   heard late. */
static void mark_dirty(struct conn *c, bool bulk)
{
    if (list_is_linked(&c->link)) {
        if (bulk || !c->in_bulk)
            return;
        list_remove(&c->link);
    }
    c->in_bulk = bulk;
    list_push_back(bulk ? &c->net->bulk : &c->net->dirty, &c->link);
}

enum err conn_push(struct conn *c, struct frame *f)
{
    enum err e;

    if (c->state != CONN_OPEN)
        return ERR_GONE;
    e = outq_push(&c->out, f, c->net->limits->queue_bytes);
    if (e)
        return e;
    if (!c->out_on)
        mark_dirty(c, c->net->to_many || late_is_busy(c));
    return ERR_OK;
}

void conn_push_asked(struct conn *c, struct frame *f)
{
    if (c->state != CONN_OPEN)
        return;
    if (outq_push(&c->out, f, SIZE_MAX))
        UNREACHABLE();
    if (!c->out_on)
        mark_dirty(c, false);
}

void conn_push_last(struct conn *c, struct frame *f)
{
    if (c->state != CONN_OPEN)
        return;
    outq_cut(&c->out, c->tls ? c->tls->promised : 0);
    conn_push_asked(c, f);
}

/* All is written: FIN, then wait for the peer's end so that no reset overtakes our last bytes. TLS
   says before that it ends; without room for that the state stays until there is some. */
static void linger(struct conn *c)
{
    if (c->tls && tls_end(c->tls) == ERR_AGAIN) {
        watch(c, c->in_off, c->paused, true);
        arm(c, c->net->loop->now_ms + c->net->limits->stall_ms);
        return;
    }
    sock_shut(c->fd);
    if (c->eof) {
        conn_close(c, CONN_END_OURS);
        return;
    }
    c->state = CONN_LINGERING;
    arm(c, c->net->loop->now_ms + c->net->limits->linger_ms);
}

void conn_finish(struct conn *c)
{
    int64_t now = c->net->loop->now_ms;

    if (c->state != CONN_OPEN)
        return;
    c->state = CONN_FLUSHING;
    watch(c, c->eof, false, c->out_on);
    if (c->out.len == 0)
        linger(c);
    else
        arm(c, net_flush_end(c->net->limits, now, c->out_on ? c->last_progress_ms : now));
}

static void free_slot(struct conn *c)
{
    struct net *n = c->net;

    outq_fini(&c->out);
    list_remove(&c->link);
    tls_free(c->tls);
    c->tls = NULL;
    c->state = CONN_FREE;
    c->fd = -1;
    if (++c->gen >= UINT32_MAX >> 1) /* high tags belong to listeners and the loop */
        c->gen = 1;
    list_push_front(&n->free, &c->link);
    n->open--;
}

int conn_release(struct conn *c)
{
    int fd = c->fd;

    CHECK(c->state == CONN_OPEN && c->out.len == 0 && !c->tls);
    poll_remove(late_poll(c), fd);
    c->fd = -1;
    conn_close(c, CONN_END_OURS);
    return fd;
}

void conn_become(struct conn *c, const struct conn_ops *ops, void *user)
{
    CHECK(c->state == CONN_OPEN && c->out.len == 0);
    c->ops = ops;
    c->user = user;
    c->eof = false;
    c->is_new = true;
    watch(c, false, false, c->out_on);
    arm(c, 0);
}

void net_bury(struct net *n)
{
    struct list *link;
    int64_t end_us = 0;

    while ((link = list_first(&n->dead)) &&
           (!end_us || n->loop->stopping || clock_mono_us() < end_us)) {
        struct conn *c = container_of(link, struct conn, link);

        if (!end_us)
            end_us = clock_mono_us() + BURY_US;
        if (c->fd >= 0) {
            sock_close(c->fd);
            c->ops->on_closed(c);
        }
        free_slot(c);
    }
    if (link) /* fifty with a thousand small frames each are not everybody's business */
        n->loop->hurry = true;
}

/* A peer that takes no answers may ask no more: reading stops while much waits for it. */
static void pause_if_behind(struct conn *c)
{
    size_t soft = c->net->limits->soft_queue_bytes;

    if (c->state != CONN_OPEN)
        return;
    if (!c->paused && c->out.bytes > soft)
        watch(c, c->in_off, true, c->out_on);
    else if (c->paused && c->out.bytes <= soft / 2)
        watch(c, c->in_off, false, c->out_on);
}

static void read_end(struct conn *c)
{
    c->eof = true;
    if (c->state == CONN_LINGERING) {
        conn_close(c, CONN_END_PEER);
        return;
    }
    if (c->state == CONN_OPEN)
        c->ops->on_bytes(c, NULL, 0);
    if (c->state != CONN_DEAD) /* mostly it is by now: then a change would be for nothing */
        watch(c, true, c->paused, c->out_on);
}

/* Once we are done with the peer its records are thrown away unopened. */
static bool reads_tls(const struct conn *c)
{
    return c->tls && c->state == CONN_OPEN;
}

/* True: there may be more now. */
static bool read_some(struct conn *c, size_t most)
{
    struct net *n = c->net;
    size_t got;
    enum err e = reads_tls(c) ? tls_read(c->tls, n->read_buffer, most, &got)
                              : sock_read(c->fd, n->read_buffer, most, &got);

    c->is_new = false;
    if (got) {
        n->large_reads += got > LATE_BYTES;
        late_add_load(c, got == most ? LATE_BUSY : got / LATE_READ_BYTES);
        if (c->state == CONN_OPEN)
            c->ops->on_bytes(c, n->read_buffer, got);
        pause_if_behind(c);
    }
    if (e == ERR_OK || c->state == CONN_DEAD)
        return got == most && c->state != CONN_DEAD;
    if (e == ERR_GONE)
        read_end(c);
    else if (e != ERR_AGAIN && e != ERR_FULL)
        conn_close(c, CONN_END_ERROR);
    return false;
}

/* Writes one gathered piece. True: there is more, and the kernel would take it. */
static bool write_some(struct conn *c)
{
    struct iovec iov[WRITE_FRAMES];
    int count = outq_peek(&c->out, iov, WRITE_FRAMES, WRITE_BYTES);
    size_t sent = 0, offered = 0;
    enum err e;
    int i;

    for (i = 0; i < count; i++)
        offered += iov[i].iov_len;
    if (!count)
        e = ERR_OK;
    else if (c->tls)
        e = tls_write(c->tls, iov, count, &sent);
    else
        e = sock_write(c->fd, iov, count, &sent);
    if (e && e != ERR_AGAIN && e != ERR_FULL) {
        conn_close(c, CONN_END_PEER);
        return false;
    }
    if (sent) {
        outq_sent(&c->out, sent);
        c->last_progress_ms = c->net->loop->now_ms;
        if (c->state == CONN_FLUSHING) /* slow is not stalled: only no progress ends the flush */
            arm(c, c->net->loop->now_ms + c->net->limits->stall_ms);
    }
    if (sent < offered) {
        if (!c->out_on)
            c->last_progress_ms = c->net->loop->now_ms;
        watch(c, c->in_off, c->paused, true);
        rearm(c);
        return false;
    }
    if (c->out_on) {
        watch(c, c->in_off, c->paused, false);
        rearm(c);
    }
    pause_if_behind(c);
    if (c->out.len == 0 && c->state == CONN_FLUSHING)
        linger(c);
    return c->out.len > 0;
}

/* Writes to at most budget sockets of the list, and says to how many; those with more to write come
   again. */
static uint32_t write_list(struct list *dirty, uint32_t budget)
{
    struct list again;
    uint32_t count;

    list_init(&again);
    for (count = 0; count < budget && !list_is_empty(dirty); count++) {
        struct conn *c = container_of(list_first(dirty), struct conn, link);

        /* one system call is time enough for the next one to come from memory */
        conn_prefetch(container_of(c->link.next, struct conn, link));
        list_remove(&c->link);
        if (write_some(c))
            list_push_back(&again, &c->link);
    }
    list_splice(dirty, &again);
    return count;
}

/* A copy for each of ten thousand takes tens of milliseconds: in slices it does not hold up the
   others, and is not held up by them either: a third of the writes are its own. */
static uint32_t bulk_budget(struct net *n, bool alone, uint32_t others)
{
    if (!alone)
        n->bulk_budget = BULK_LEAST;
    else if (n->bulk_budget < BULK_MOST)
        n->bulk_budget *= 2;
    return others / 2 > n->bulk_budget ? others / 2 : n->bulk_budget;
}

static void renew_handshakes(struct net *n)
{
    n->tls->was_short = n->tls->is_short;
    n->tls->is_short = false;
    n->tls->left = n->limits->tls_handshakes;
}

bool net_write(struct net *n)
{
    bool alone = !n->ready && list_is_empty(&n->dirty);
    uint32_t others = write_list(&n->dirty, WRITE_BUDGET);

    if (n->tls)
        renew_handshakes(n);
    if (!list_is_empty(&n->bulk))
        write_list(&n->bulk, bulk_budget(n, alone, others));
    n->ready_before = n->ready;
    n->ready = n->large_reads = 0;
    return !list_is_empty(&n->dirty) || !list_is_empty(&n->bulk);
}

/* ---- TLS ---- */

/* The peer began without TLS, and is told in its own language. */
static void answer_plain(struct conn *c)
{
    struct frame *f = plain_answer(&c->net->scratch);

    tls_free(c->tls);
    c->tls = NULL;
    watch(c, false, false, false);
    conn_push_last(c, f);
    conn_finish(c);
    frame_unref(f);
}

/* The alert that says why is on its way: no reset may overtake it. */
static void end_handshake(struct conn *c, enum err e)
{
    if (e == ERR_DENIED && c->state == CONN_OPEN) {
        answer_plain(c);
    } else if (e == ERR_BAD) {
        outq_cut(&c->out, 0);
        c->state = CONN_FLUSHING;
        watch(c, false, false, false);
        linger(c);
    } else {
        conn_close(c, CONN_END_PEER);
    }
}

static void shake(struct conn *c)
{
    struct tls_net *t = c->net->tls;
    enum err e;

    if (t->left == 0) { /* the poll says it again */
        t->is_short = true;
        return;
    }
    t->left--;
    e = tls_handshake(c->tls);
    if (e == ERR_AGAIN) {
        c->last_progress_ms = c->net->loop->now_ms;
        watch(c, c->in_off, c->tls->wants_room, true);
    } else if (e) {
        end_handshake(c, e);
    } else {
        watch(c, c->in_off, false, false);
        rearm(c);
        if (c->out.len)
            mark_dirty(c, false);
    }
}

/* After reading: TLS may have words of its own to send before it can read on, or wait no longer
   with writing. */
static void mind_tls(struct conn *c)
{
    struct tls *t = c->tls;

    if (c->state == CONN_DEAD || !reads_tls(c))
        return;
    if (t->wants_room) {
        t->wants_room = false;
        if (!c->out_on)
            c->last_progress_ms = c->net->loop->now_ms;
        watch(c, c->in_off, true, true);
        rearm(c);
    } else if (t->write_waits) {
        t->write_waits = false;
        mark_dirty(c, false);
    }
}

void conn_secure(struct conn *c, struct tls_context *context, int64_t limit_ms)
{
    struct net *n = c->net;

    CHECK(n->tls && !c->tls);
    if (tls_open(n->tls, context, c->fd, &c->tls)) {
        conn_close(c, CONN_END_ERROR);
        return;
    }
    c->tls->due_ms = n->loop->now_ms + limit_ms;
    c->last_progress_ms = n->loop->now_ms;
    watch(c, c->in_off, c->paused, true); /* what is pushed waits for the handshake */
    rearm(c);
}

struct tls *conn_tls_take(struct conn *c)
{
    struct tls *t = c->tls;

    CHECK(!t || (!t->is_shaking && !t->promised));
    c->tls = NULL;
    return t;
}

void conn_tls_adopt(struct conn *c, struct tls *t)
{
    CHECK(!c->tls && c->net->tls);
    tls_move(t, c->net->tls);
    c->tls = t;
}

static bool may_read(const struct conn *c, uint32_t events)
{
    return events & EPOLLIN && !c->in_off && !c->paused;
}

/* TLS is read a record at a time at least: what is left of one no poll tells of. */
static bool read_ready(struct conn *c, size_t most)
{
    bool is_more = read_some(c, c->tls ? TLS_RECORD_BYTES : most);

    if (c->tls)
        mind_tls(c);
    return is_more;
}

/* All that is ready but reading. True: it may be read. */
static bool hear(struct conn *c, uint32_t events)
{
    if (events & EPOLLOUT && write_some(c))
        mark_dirty(c, false);
    if (c->state == CONN_DEAD)
        return false;
    if (may_read(c, events))
        return true;
    if (events & (EPOLLERR | EPOLLHUP))
        conn_close(c, CONN_END_PEER);
    return false;
}

static struct conn *find_tagged(struct net *n, uint64_t tag)
{
    return find(n, (uint32_t)tag, (uint32_t)(tag >> 32));
}

bool net_on_ready(struct net *n, uint64_t tag, uint32_t events)
{
    struct conn *c = find_tagged(n, tag);

    n->ready++;
    if (!c || c->state == CONN_DEAD)
        return true;
    if (conn_is_shaking(c))
        return false;
    if (!hear(c, events))
        return true;
    if (late_look(c))
        return false;
    (void)read_ready(c, n->large_reads < LARGE_READS ? READ_BYTES : LATE_BYTES);
    return true;
}

bool net_on_late(struct net *n, uint64_t tag, uint32_t events)
{
    struct conn *c = find_tagged(n, tag);

    if (!c)
        return false;
    if (c->state == CONN_DEAD) {
        late_forget(c);
        return false;
    }
    if (conn_is_shaking(c)) {
        shake(c);
        return false;
    }
    if (!(c->parked ? hear(c, events) : may_read(c, events)))
        return false;
    if (c->parked && !late_look(c))
        late_unpark(c);
    return read_ready(c, LATE_BYTES);
}

void net_on_park(struct net *n, uint64_t tag)
{
    struct conn *c = find_tagged(n, tag);

    if (c && c->state != CONN_DEAD && !c->out_asked && !conn_is_shaking(c))
        late_park(c);
}

static void on_due(struct timer *t)
{
    struct conn *c = container_of(t, struct conn, timer);
    int64_t now = c->net->loop->now_ms;

    if (conn_is_shaking(c) && now >= c->tls->due_ms) {
        conn_close(c, CONN_END_STALLED);
        return;
    }
    if (c->state != CONN_OPEN) {
        if (c->due_ms && now >= c->due_ms)
            conn_close(c, CONN_END_STALLED);
        else
            rearm(c);
        return;
    }
    if (c->out_on && now - c->last_progress_ms >= c->net->limits->stall_ms) {
        if (c->ops->on_stalled)
            c->ops->on_stalled(c);
        else
            conn_close(c, CONN_END_STALLED);
        c->last_progress_ms = now; /* if it is kept: told again after as much time */
    } else if (c->due_ms && now >= c->due_ms) {
        c->due_ms = 0;
        c->ops->on_timer(c);
    }
    if (c->state == CONN_OPEN)
        rearm(c);
}
