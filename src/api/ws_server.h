/*
 * ws_server - the WebSocket listener: handshakes checked, refused by an HTTP answer or handed to
 * the client's home shard, and what happens to a client's socket there.
 *
 *   accept -> upgrade? -> Origin -> path -> sign-in: answered here (sign_in.h)
 *                                        \-> token -> gate sockets -> at home: 101
 *                                                                   \-> NOTE_ADOPT -> home: 101
 *
 * A place in the gate `handshakes` lasts from accept until then, or until a sign-in has closed.
 * A place in the gate `sockets` travels with the arrival and is left when the socket has closed.
 * Owner:   its state is in struct api.      Thread: the shard's.
 */
#pragma once
#include <stdbool.h>
#include "net/http_conn.h"
#include "net/listen.h"
#include "net/ws_conn.h"
#include "wire/upgrade.h"

struct api;
struct arrival;
struct note;
struct shard;

/* A handshake on its way through the checks. */
struct handshake {
    struct shard *shard;
    struct http_conn *conn;
    const struct http1_request *head;
    struct bytes path; /* percent-decoded once; in the arena */
    struct bytes last; /* its last segment */
    struct upgrade upgrade;
};

void ws_server_init(struct api *api);
void ws_server_on_accept(struct listener *l, int fd);

/* NOTE_EVICT */
void ws_server_on_evict(struct shard *s, struct note *n);

/* NOTE_ADOPT; takes the arrival. */
void ws_server_on_adopt(struct shard *s, struct note *n);

/* Of one that found no home: closes its socket. Null is fine. */
void arrival_free(struct arrival *a);

/* Answers instead of upgrading; the connection ends with it. */
void ws_server_refuse(struct handshake *k, int status, const char *why);

/* The same, because the system gave no memory: counted as such. */
void ws_server_refuse_short(struct handshake *k);

/* A connection of the door is one no longer: on its way home, or closed. */
void ws_server_left(struct shard *s);
