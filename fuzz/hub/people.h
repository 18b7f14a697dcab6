/*
 * people - the outside of the hub: WebSocket clients and HTTP callers with their habits, good and
 *          bad; whatever the server tells them is checked here.
 *
 * Words:   steady: connected, and takes and answers everything. Wild: it said what is no message of
 *          the model, so that no answer of it means anything.
 * Owner:   one run.      Thread: one.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "hub/post.h"

enum { PEERS = 14, CALLERS_FROM = 10, IDS = 8, ASKED = 64 };

/* What a caller waits for, in the order of the answers. */
enum asked { ASKED_ANYTHING, ASKED_SEND, ASKED_ACKED };

struct peer {
    enum { PEER_NONE, PEER_ARRIVING, PEER_CLIENT, PEER_CALLER } kind;
    int fd, who;
    uint32_t serial; /* of the connection */
    bool wild, stalled, deaf, leaving;
    struct buf tail;   /* what it has still to say */
    int first, drafts; /* messages that are said with it */
    enum asked tail_asks;
    struct question {
        enum asked what;
        int message;
    } asked[ASKED];
    int asked_len;
    struct acked_id {
        char id[48];
        int message;
    } ids[IDS]; /* got and not yet acknowledged, oldest first */
    int id_count;
    struct buf command; /* the last v2 command, to repeat */
    int command_message, command_count;
    int64_t command_ms;
    int last[1 << 10]; /* number of the last message, for each sender */
};

extern struct peer peers[PEERS];

void people_open(void);
void people_close(void);

/* Until all is quiet; then nothing may be missing. */
void people_settle(void);
void people_advance(int64_t ms);

struct identity person(int who);
bool peer_is_steady(const struct peer *p);

/* A client begins its handshake, a caller just connects. part: as in peer_say. */
void peer_arrive(struct peer *p, int who, uint32_t shard, unsigned part);
void peer_call(struct peer *p, uint32_t shard);

/* Says bytes, of which the messages from first on, drafts in number, are part. part > 0: not all
   at once, peer_finish says the rest. */
void peer_say(struct peer *p, struct bytes bytes, enum asked asks, int first, int drafts,
              unsigned part);
void peer_finish(struct peer *p);

/* The same as one masked text frame. */
void peer_say_frame(struct peer *p, int opcode, struct bytes payload, int first, int drafts,
                    unsigned part);

/* Bytes that mean nothing to the model. */
void peer_rave(struct peer *p, struct bytes bytes);

void peer_stall(struct peer *p, size_t room);
void peer_resume(struct peer *p);
void peer_turn_deaf(struct peer *p);
enum leave { LEAVE_RESET, LEAVE_END, LEAVE_CLOSE };
void peer_leave(struct peer *p, enum leave how);

/* Acknowledges one of ids; owner: that client got the id, and it is not another's. */
void peer_acknowledge(struct peer *p, const struct acked_id *id, bool owner);
