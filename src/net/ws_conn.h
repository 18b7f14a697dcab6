/*
 * ws_conn - one WebSocket over a conn: messages, pings, close handshake.
 *
 *   OPEN --ws_close--> CLOSING (our Close is queued; only the peer's Close counts now)
 *     \--peer's Close, answered--\--its Close, EOF or close_wait_ms--> conn_finish
 *
 * Standard: RFC 6455, sections 5.5, 7. Pings find dead peers; any byte from the peer counts as
 * life. Owner:    embedded in the protocol's session, which frees it in on_closed.   Thread: the
 * conn's.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/rand.h"
#include "flow/frame.h"
#include "net/conn.h"
#include "wire/upgrade.h"
#include "wire/ws.h"

struct ws_conn;

/* What a peer may say now and then, and what costs too much when it says nothing else. */
enum ws_nuisance {
    WS_PINGS,        /* pings and pongs, and what the protocol above has in their place */
    WS_BAD_COMMANDS, /* what the protocol above could not make sense of */
    WS_NUISANCES,
};

struct ws_settings {
    struct ws_limits limits;
    int64_t ping_interval_ms, pong_wait_ms; /* interval 0: no pings */
    int64_t memory_bytes; /* of the process; over it long incomplete messages end in 1013. 0: any */
    struct deflate_settings deflate;
    uint16_t nuisances[WS_NUISANCES]; /* of a kind in one second; over it close 1008. 0: any */
};

/* A kind of WebSocket. */
struct ws_ops {
    const struct ws_settings *settings;
    void (*on_message)(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload);
    /* The session may free itself; w is not used afterwards. */
    void (*on_closed)(struct ws_conn *w);
};

struct ws_conn {
    struct conn *conn;
    const struct ws_ops *ops;
    /* private to ws_conn.c */
    struct ws_reader reader;
    bool closing, awaiting_pong;              /* a pong, or any other sign of life */
    uint16_t second, nuisances[WS_NUISANCES]; /* how many came in that second */
};

/* Takes fd, answers 101 with what was agreed. rand spreads the first ping.
   ERR_*: as conn_open; fd is then closed. */
MUST_USE enum err ws_open(struct ws_conn *w, struct net *n, int fd, const struct upgrade *u,
                          const struct ws_ops *ops, struct rand *rand);

/* The same for a conn that spoke another protocol until now, which is done with it. */
void ws_take(struct ws_conn *w, struct conn *c, const struct upgrade *u, const struct ws_ops *ops,
             struct rand *rand);

/* Feeds bytes that arrived with the handshake. May end in on_message, ws_close. */
void ws_feed(struct ws_conn *w, char *at, size_t len);

/* A frame holding one whole message: header, first, second. The caller's count. */
struct frame *ws_frame(enum frame_class class, enum ws_opcode opcode, struct bytes first,
                       struct bytes second);

/* What it holds of the message, behind the header. */
struct bytes ws_frame_text(const struct frame *f);

/* Compressed where that was agreed and is worth it.
   ERR_FULL: the peer is over its queue limit and was closed 1013; ERR_GONE: not open. */
MUST_USE enum err ws_push(struct ws_conn *w, struct frame *f);

/* The same whatever waits, for answers: whoever takes none is not read from, so at most the answers
   to what one read brought are over the limit. Nothing happens when it is not open. */
void ws_push_asked(struct ws_conn *w, struct frame *f);

bool ws_is_open(const struct ws_conn *w);

/* Asked for a sign of life, and nothing has come since. */
static inline bool ws_is_in_doubt(const struct ws_conn *w)
{
    return w->awaiting_pong;
}

/* Starts the close handshake; what was not begun is dropped when `now`, else flushed first. */
void ws_close(struct ws_conn *w, uint16_t code, struct bytes reason, bool now);

/* Counts one more of them. False: over its limit, and closed 1008. */
MUST_USE bool ws_tolerate(struct ws_conn *w, enum ws_nuisance kind);

/* Of an open one that holds more than others while memory is short: closed 1013, and what it holds
   is given back, but for a message that was begun. */
void ws_shed(struct ws_conn *w);

/* Inside on_message: its payload is not looked at any more, so what it takes is given back now. */
static inline void ws_forget_message(struct ws_conn *w)
{
    ws_reader_forget_taken(&w->reader);
}

/* The ws_conn behind a conn, or null when it speaks something else. */
struct ws_conn *ws_of(struct conn *c);
