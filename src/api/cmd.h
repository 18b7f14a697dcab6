/*
 * cmd - one command being carried out, and the ways to answer it.
 *
 * Rule:    a command gets at most one answer; v1 knows no answers but TOKEN and PONG; PING and
 *          ACKNOWLEDGE never get an error.
 * Thread:  the client's home shard.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"
#include "hub/ask.h"
#include "wire/command.h"

struct api;
struct frame;
struct repeat;
struct session;
struct shard;

#define CMD_UNREACHABLE BYTES("another node of the cluster is needed and cannot be reached now")

struct cmd {
    struct shard *shard;
    struct api *api;
    struct session *from;
    struct bytes text;   /* the whole command; once carried out, none of a large one */
    struct command said; /* its name then neither */
    uint64_t repeat;     /* key in repeats; 0 in v1 */
};

/* "<id>@@RESPONSE", with "@@<json>" unless json is empty. The caller's count. */
struct frame *cmd_response(struct cmd *c, struct bytes json);

/* The same with {"error":why}. why must not lie in the shard's `out`. */
struct frame *cmd_error(struct cmd *c, struct bytes why);

void cmd_push(struct cmd *c, struct frame *f); /* takes the count */

/* Done, nothing to say but so: remembered, answered bare. Silent in v1. */
void cmd_done(struct cmd *c);

/* Remembered so, to be answered bare: when that ask has ended, or at once without one. */
void cmd_remember(struct cmd *c, uint64_t ask);

/* Whoever says c asks; and f, whose count is taken, goes to the socket that asked, or to another
   one of that client, on whatever node (cmd_ask.c). */
struct ask *cmd_ask(const struct cmd *c, struct bytes reply_id, int64_t wait_ms,
                    void (*on_end)(struct ask *, enum ask_end));
struct ask *cmd_ask_again(const struct cmd *c, uint64_t ask); /* null: it has ended */
void cmd_tell(const struct ask *a, struct frame *f);

/* Not done: counted, answered with an error, not remembered. Silent in v1. */
void cmd_failed(struct cmd *c, struct bytes why);

/* Not done, and not its fault: another node is needed and cannot be reached. */
void cmd_unreachable(struct cmd *c);

/* Over the memory budget? Then it has been refused. */
bool cmd_is_refused(struct cmd *c);

/* Order key of a sender: the same for all its sockets, never 0. */
uint64_t cmd_order_key(const struct cmd *c);

void cmd_send(struct cmd *c); /* cmd_send.c */
void cmd_send_in_order(struct cmd *c);
void cmd_envelopes(struct cmd *c); /* cmd_envelopes.c */
void cmd_ack(struct cmd *c);       /* cmd_ack.c */
void cmd_token(struct cmd *c);     /* cmd_token.c */
void cmd_acked(struct cmd *c);     /* cmd_acked.c */

/* Said again: while its ask r->ask is open it is sent again, later the acknowledge is repeated. */
void cmd_acked_again(struct cmd *c, struct repeat *r);
