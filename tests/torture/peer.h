/*
 * peer - the clients of the torture: HTTP callers and WebSocket clients on real sockets.
 *
 * Every step answers whether it went as it should; the first that did not leaves its words in
 * peers_why. Steps let the server run, and time pass, until they are through or a bound is reached.
 *
 * Thread:  one.      State: one set of peers a process.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"

enum { PEERS = 24, PEER_BYTES = 1 << 19 };

struct peer {
    int fd;             /* -1: not in use */
    struct ssl_st *ssl; /* owns; null: plain */
    uint16_t port;
    bool stays; /* not closed by peers_reset */
    bool upgraded, deaf;
    bool ended;   /* the server closed it, or reset it */
    bool leaving; /* expected to end */
    bool told;    /* refused by a proper answer: 503, 429 or close 1013 */
    int close_code;
    size_t len, at, attended; /* got; looked at by steps; by those who answer pings */
    char *in;
};

extern char peers_why[512];

/* A promise that was not kept: what was accepted did not come, or came twice. No fault excuses it.
 */
extern char peers_broken[512];

/* Steps wait so long, of the server's time. */
void peers_be_patient(int64_t ms);

/* Which peers end before their time is judged by whoever knows about the fault. */
struct peer *peer_at(int i);
bool peer_was_refused(const struct peer *p); /* over a limit, for now */
void peers_reset(void);
void peers_close(void);

bool pass(int64_t ms);

/* From now on who calls speaks TLS. */
void peers_secure(void);

/* A connection, of the REST port or the WebSocket port of a shard. small: a small window. */
struct peer *peer_call(uint16_t port, bool small);
bool peer_send(struct peer *p, struct bytes text);
bool peer_sendf(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The next HTTP answer has that status; its body, if asked for. */
bool peer_answer(struct peer *p, int status, struct bytes *body);
bool peer_answer_head(struct peer *p, int status); /* of HEAD: no body follows */

/* Answer and end. */
bool peer_post(struct peer *p, const char *path, struct bytes body);
bool peer_postf(struct peer *p, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* WebSocket. who: "account/device", in one workspace and application. */
bool peer_join(struct peer **out, int shard, const char *who, bool small);
bool peer_join_deflating(struct peer **out, int shard, const char *who);
bool peer_upgrade(struct peer *p, struct bytes path);
bool peer_frame(struct peer *p, int first_byte, bool masked, struct bytes payload);
bool peer_say(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool peer_hear(struct peer *p, struct bytes *text);
bool peer_hears(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool peer_ends(struct peer *p, int close_code); /* 0: without a Close */

/* The same as peer_hears of something that was accepted. peer_missed: and it was not heard: a
   broken promise, unless the connection is gone; false. */
bool peer_gets(struct peer *p, const char *text);
bool peer_missed(struct peer *p, const char *text);
bool peer_heard_once(struct peer *p, const char *text); /* and nothing else since */

bool peer_has_text(const struct peer *p); /* that was not looked at */
bool peer_wrong(const char *why);         /* a step of others; false */

/* No message has come that nobody waited for, but to those who stay. */
bool peers_have_heard_all(void);
