/*
 * ws_site - a WebSocket that gives every message back, and a peer behind its handshake.
 *
 * The kernel holds about a page one way, so that what a test does not read waits in the queue.
 */
#pragma once
#include "net/ws_conn.h"
#include "unit/net/peer.h"
#include "wire/upgrade.h"

/* What every handshake here agrees on: nothing more than the connection. */
static const struct upgrade site_upgrade = {.accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="};

static inline size_t site_upgrade_text(void)
{
    char answer[UPGRADE_TEXT_MAX];

    return upgrade_write(answer, &site_upgrade);
}

/* A WebSocket that gives every message back, and a peer behind its handshake. */
struct site {
    struct world w;
    struct ws_settings settings;
    struct ws_ops ops;
    struct rand rand;
    struct ws_conn ws;
    int peer;
    struct buf heard;
    int closed;
};

static inline void site_push_asked(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload)
{
    struct frame *f = ws_frame(FRAME_ANSWER, opcode, payload, (struct bytes){NULL, 0});

    ws_push_asked(w, f);
    frame_unref(f);
}

static inline void site_on_closed(struct ws_conn *w)
{
    struct site *s = (struct site *)(void *)((char *)w - offsetof(struct site, ws));

    s->closed++;
}

/* The queue has room for `queue_bytes`, the kernel for about a page. */
static inline void site_open(struct site *s, size_t queue_bytes)
{
    int ours;

    *s = (struct site){.settings = {.limits = {.message_bytes = 1000000, .empty_fragments = 4}}};
    s->ops = (struct ws_ops){&s->settings, site_push_asked, site_on_closed};
    world_open(&s->w);
    s->w.limits.queue_bytes = s->w.limits.soft_queue_bytes = queue_bytes;
    rand_init(&s->rand);
    world_pair(&ours, &s->peer, 4096);
    assert_int_equal(ws_open(&s->ws, &s->w.net, ours, &site_upgrade, &s->ops, &s->rand), ERR_OK);
    peer_read(&s->w, s->peer, &s->heard, site_upgrade_text());
    assert_int_equal(s->heard.len, site_upgrade_text());
    s->heard.len = 0;
}

static inline void site_close(struct site *s)
{
    close(s->peer);
    world_close(&s->w);
    assert_int_equal(s->closed, 1);
    buf_fini(&s->heard);
}

/* A frame as a client sends it, its mask all zeros. */
static inline void add_frame(struct buf *out, enum ws_opcode opcode, struct bytes payload)
{
    char head[WS_HEADER_MAX];
    size_t len = ws_write_header(head, opcode, payload.len);

    head[1] = (char)(0x80 | head[1]);
    buf_add(out, bytes_of(head, len));
    buf_add(out, bytes_of("\0\0\0\0", 4));
    buf_add(out, payload);
}

/* The same as a server sends it. */
static inline void add_answer(struct buf *out, enum ws_opcode opcode, struct bytes payload)
{
    char head[WS_HEADER_MAX];

    buf_add(out, bytes_of(head, ws_write_header(head, opcode, payload.len)));
    buf_add(out, payload);
}

static inline void add_letters(struct buf *out, char letter, size_t len)
{
    memset(buf_reserve(out, len), letter, len);
    out->len += len;
}
