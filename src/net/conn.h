/*
 * conn - one socket of a shard: read, queue, write, close.
 *
 *   OPEN --conn_finish--> FLUSHING --queue empty: FIN--> LINGERING --EOF or time--> DEAD
 *     \------------------------conn_close, error------------------------------------/
 *
 * While FLUSHING and LINGERING input is read and thrown away, so that the peer sees our last bytes
 * and no reset. DEAD ones are told to their protocol (on_closed) and freed in BURY.
 *
 * Owner:   the net (one per shard) that opened it.      Thread: that shard's.
 * Names:   across turns keep a conn_id, not a pointer: a slot's generation changes when it is
 * freed. Bound:   net_limits. No buffer while idle: reads land in one buffer per net.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/list.h"
#include "base/vec.h"
#include "flow/loop.h"
#include "net/limits.h"
#include "net/outq.h"
#include "net/scratch.h"

struct conn;
struct frame;

/* Bytes of one read; that many and NET_READ_PADDING more are readable behind `at`. */
enum { NET_READ_BYTES = 64 * 1024, NET_READ_PADDING = 64, NET_BLOCK_CONNS = 64 };

struct conn_id {
    uint32_t slot, gen; /* gen 0 names nobody */
};

enum conn_end { CONN_END_OURS, CONN_END_PEER, CONN_END_STALLED, CONN_END_ERROR };
enum conn_state { CONN_FREE, CONN_OPEN, CONN_FLUSHING, CONN_LINGERING, CONN_DEAD };

struct conn_ops {
    /* Takes all of at..len (and may spoil it). len 0: the peer has sent its last byte. */
    void (*on_bytes)(struct conn *c, char *at, size_t len);
    /* The deadline given to conn_arm has come. */
    void (*on_timer)(struct conn *c);
    /* No write progress for stall_ms: close it your way; the default is conn_close. What it then
       flushes has close_wait_ms to make some. */
    void (*on_stalled)(struct conn *c);
    /* Last call; the conn is freed afterwards. */
    void (*on_closed)(struct conn *c);
};

struct conn {
    /* read by protocols */
    struct net *net;
    const struct conn_ops *ops;
    void *user;
    uint32_t slot, gen;
    /* private to conn.c, late.c and heavy.c */
    struct tls *tls; /* owns; null: plain */
    int fd;
    uint8_t state, end;
    bool in_off, paused, out_on, out_asked, eof, in_bulk, parked;
    bool is_new;            /* nothing was read from it yet as what it is, or no whole request */
    uint16_t load, load_at; /* how much it had to say lately, and when that was */
    uint16_t turn, streak;  /* when it was ready last, and for how many turns on end */
    struct outq out;
    struct timer timer;
    struct list link;         /* in net.free, net.dirty, net.bulk or net.dead */
    int64_t due_ms;           /* the protocol's deadline, 0: none */
    int64_t last_progress_ms; /* when blocked: last time the kernel took bytes */
};

struct net {
    struct loop *loop;
    const struct net_limits *limits;
    char *read_buffer;
    struct scratch scratch;
    struct vec blocks; /* slabs of conns; slot number -> block, place */
    struct list free, dead;
    struct list dirty, bulk; /* have something to write; bulk: only copies of what many get */
    uint32_t bulk_budget; /* sockets of bulk written in one turn, adapted to what else there is */
    bool to_many;         /* set by whoever pushes many copies, while doing so */
    uint32_t ready, ready_before; /* events of this turn so far, and of the one before */
    uint32_t large_reads;         /* of this turn so far: those that had more than a little */
    uint32_t open;                /* conns not free */
    struct tls_net *tls;          /* owns; null: nothing here speaks TLS */
};

void net_init(struct net *n, struct loop *loop, const struct net_limits *limits);
void net_limit(struct net *n, const struct net_limits *limits); /* others, from now on */
void net_fini(struct net *n); /* every conn must have been buried */

/* The loop's READ, WRITE, LATE and BURY for conns. The tag of a conn's descriptor is its gen and
   slot. False: it comes late, being new or having had much to say lately; then net_on_late. */
bool net_on_ready(struct net *n, uint64_t tag, uint32_t events);
bool net_on_late(struct net *n, uint64_t tag, uint32_t events);
void net_on_park(struct net *n, uint64_t tag); /* what is no conn's is none of its business */
bool net_write(struct net *n);
void net_bury(struct net *n);

/* Every conn that is not closed, those that flush or linger too, in no order. Closing inside visit
   is fine. net_next: one by one, from a cursor that begins at 0; null: that was the last. */
void net_each(struct net *n, void (*visit)(struct conn *c, void *context), void *context);
struct conn *net_next(struct net *n, uint32_t *cursor);

/* Takes fd. ERR_IO or ERR_FULL: the kernel would not watch it; fd is then closed. */
MUST_USE enum err conn_open(struct net *n, int fd, const struct conn_ops *ops, void *user,
                            struct conn **out);

struct conn_id conn_name(const struct conn *c);
uint64_t conn_tag(const struct conn *c);                  /* in the poll */
uint32_t conn_watched(const struct conn *c);              /* events the poll is asked for */
struct conn *conn_find(struct net *n, struct conn_id id); /* null: gone */
bool conn_is_open(const struct conn *c);

void conn_prefetch(const struct conn *c); /* it will be pushed to or written soon */

/* The kernel refuses bytes and has for a second, or more than the soft limit waits. */
bool conn_is_behind(const struct conn *c);

/* The peer is not read from until it has taken more: it may speak unheard. */
bool conn_is_paused(const struct conn *c);

/* The kernel has every byte that was pushed. */
bool conn_is_flushed(const struct conn *c);

size_t conn_waiting(const struct conn *c); /* bytes pushed that the kernel does not have yet */

/* Shares f. ERR_FULL: over the queue limit, nothing queued; ERR_GONE: not open. */
MUST_USE enum err conn_push(struct conn *c, struct frame *f);

/* The same whatever waits: for what the peer asked for, by a protocol that lets it ask for no more
   while it is behind. Nothing happens when it is not open. */
void conn_push_asked(struct conn *c, struct frame *f);

/* Drops all that was not begun, and queues f as the last. */
void conn_push_last(struct conn *c, struct frame *f);

/* on_timer at due_ms (0: never). One deadline a conn; the newest counts. */
void conn_arm(struct conn *c, int64_t due_ms);
int64_t conn_due(const struct conn *c);             /* that deadline, if it has not come yet */
void conn_read(struct conn *c, bool on);            /* reading off or on, at the protocol's wish */
void conn_finish(struct conn *c);                   /* flush, FIN, linger, close */
void conn_close(struct conn *c, enum conn_end why); /* now; what is queued is dropped */

/* Both for a conn whose queue is empty, and without on_closed. To become: another protocol's from
   now on, reading on, no deadline, an end of input seen already is seen again. To release: the
   descriptor is given away, the conn is buried; its TLS was taken before (conn_tls.h). */
void conn_become(struct conn *c, const struct conn_ops *ops, void *user);
int conn_release(struct conn *c);
