/*
 * ws_deflate - compression of one WebSocket, where it was agreed (wire/deflate.h).
 *
 *   a message to many --> no context: compressed once, kept as the frame's twin, shared by all
 *                     \-> context kept: compressed for this socket alone
 *
 * Owner:   the ws_conn, through its reader.      Thread: the conn's; twins are seen by all.
 * Bound:   deflate_settings.memory_bytes, agreed in the handshake; a memory budget that is used up
 *          lets messages leave uncompressed.
 */
#pragma once
#include "base/err.h"
#include "wire/deflate.h"

struct frame;
struct scratch;
struct ws_conn;
struct ws_deflate;

/* Hangs it on a fresh ws_conn. */
void ws_deflate_begin(struct ws_conn *w, const struct deflate_terms *terms);

struct ws_deflate *ws_deflate_of(const struct ws_conn *w); /* null: not agreed */
void ws_deflate_free(struct ws_deflate *d);                /* null is fine */

/* conn_push of f, or of what it becomes. Never inlined: a plain socket does not pay for it. */
MUST_USE enum err ws_deflate_push(struct ws_conn *w, struct frame *f) __attribute__((noinline));

/* conn_push_asked of the same; w is open. */
void ws_deflate_push_asked(struct ws_conn *w, struct frame *f) __attribute__((noinline));

/* Frees what all sockets of a net compress with: at its end, or because the settings are new. */
void ws_deflate_forget(struct scratch *s);
