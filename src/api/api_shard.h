/*
 * api_shard - what the front doors need on one shard: listeners, parser, scratch memory, answers.
 *
 * Owner:   api_open hangs it on shard->api, api_close takes it off.      Thread: the shard's;
 * api_open and api_close also from main while the thread does not run. Scratch: json, arena, and
 * the bufs serve one request or command at a time; nothing in them survives the handler.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "hub/shard.h"
#include "net/http_conn.h"
#include "net/listen.h"
#include "net/turn_away.h"
#include "net/ws_conn.h"
#include "wire/body.h"
#include "wire/json.h"

/* Scratch of a larger request or command is given back when it has been served. */
enum { API_KEPT_BYTES = 65536 };
struct tls_context;

struct api {
    struct shard *shard;
    struct json *json;
    struct tokens *tokens;
    struct arena arena;
    struct buf out, fields; /* an answer under construction: body, header lines */
    struct buf token;       /* what goes into it */
    struct problem why;     /* of reader */
    struct body_reader reader;
    struct http_limits rest_limits, door_limits;
    struct http_handler rest, door;
    struct ws_settings ws;
    struct ws_ops client, visitor; /* kinds of WebSockets */
    struct listener rest_listener, ws_listener;
    struct tls_context *tls; /* a count; null: nothing here speaks TLS */
    struct frame *pong;
    char *external_url; /* owns; the others borrow from it or from the settings */
    const char *internal_url, *browser_url;
    size_t json_depth; /* of json */
    uint16_t ws_port;
    struct turned_away turned_away;
};

/* Takes both listening sockets and begins to accept. ERR_*: as listener_open, or ERR_FULL when
   libcrypto got no memory or the port cannot be learned; both are closed. */
MUST_USE enum err api_open(struct shard *s, int rest_fd, int ws_fd);

/* Every connection of the shard must have been buried. */
void api_close(struct shard *s);

/* Is it a listener of ours? Then it accepts, when everybody else has been heard. */
bool api_owns(uint64_t tag);
bool api_accept(struct shard *s, uint64_t tag); /* true: there may be more */

/* From now on connections are accepted with this certificate, on the listeners that speak TLS by
   the settings; a count is taken. net_use_tls first. Again, from the shard's thread: a new one. */
void api_use_tls(struct shard *s, struct tls_context *c);

/* What a listener accepted begins with TLS, if the listener does; limit_ms: for the handshake. */
void api_secure(const struct listener *l, struct conn *c, int64_t limit_ms);

/* Takes over the newest settings: what was copied from the old ones, and views into them. */
void api_reload(struct shard *s);

/* No more accepts, after those who wait already. */
void api_close_doors(struct shard *s);

/* An HTTP connection ends with its next answer, or when that is not asked for in time. */
void api_end_http(struct http_conn *h);

/* Closes a WebSocket 1001, behind what is queued for it, or instead of that when `now`. */
void api_end_ws(struct ws_conn *w, bool now);

/* A client that has not acknowledged everything yet: its Close would make that vain. */
bool api_ws_is_busy(struct shard *s, struct ws_conn *w);

static inline struct api *api_of(const struct shard *s)
{
    return s->api;
}

/* What a large text needed is not kept by the parser and the arena for smaller ones. */
static inline void api_rest(struct api *api, size_t text)
{
    if (text > API_KEPT_BYTES) {
        json_rest(api->json);
        arena_reset(&api->arena);
    }
}

static inline struct shard *shard_of_conn(const struct conn *c)
{
    return container_of(c->net, struct shard, net);
}
