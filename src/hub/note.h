/*
 * note - every word one thread can say to another.
 *
 * Owner:   the writer until it is handed over, then the reader, which frees it after acting on it.
 * Thread:  made and staged on the writer's shard; handed over in POST; read in INBOX.
 * Order:   notes from one shard to another arrive in the order they were staged.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "flow/inbox.h"

struct arrival;
struct members;
struct notification;

enum note_kind {
    NOTE_ADOPT,       /* front door -> home shard: a socket, who it is, unread bytes        */
    NOTE_DELIVER,     /* any -> shard: notification; match and send                         */
    NOTE_ACKED,       /* any -> home shard: notification for one client, outcome wanted     */
    NOTE_ACKNOWLEDGE, /* cluster -> home shard: a client of ours said so on another node    */
    NOTE_OUTCOME,     /* home shard -> asker: acknowledged or refused                       */
    NOTE_FIND,        /* any -> the filter's home: choose one receiver (findAny)            */
    NOTE_COUNT,       /* filter's home -> shard: how many match?                            */
    NOTE_COUNTED,     /* shard -> filter's home                                             */
    NOTE_PICK,        /* filter's home -> shard: deliver to the rank-th match               */
    NOTE_FORWARD,     /* any -> cluster: notification for other nodes                       */
    NOTE_REGISTER,    /* home shard -> cluster: a client is here; its arrival waits         */
    NOTE_UNREGISTER,  /* home shard -> cluster: it has left                                 */
    NOTE_ELSEWHERE,   /* cluster -> home shard: a client of ours is on another node, or not */
    NOTE_MEMBERS,     /* cluster -> all: which nodes there are                              */
    NOTE_EVICT,       /* cluster -> all: this node is deaf; send some clients elsewhere     */
    NOTE_RELOAD,      /* main -> all: there are new settings; counted when done             */
    NOTE_ALIVE,       /* main -> all: do you turn? Counted when done                        */
    NOTE_SHED,        /* any -> shard: the memory budget is used up; close who holds most   */
    NOTE_DRAIN,       /* main -> all: end politely                                          */
    NOTE_KINDS,
};

enum outcome {
    OUTCOME_ACKNOWLEDGED,
    OUTCOME_REFUSED,     /* too many are open at the receiver */
    OUTCOME_UNREACHABLE, /* another node cannot be asked now */
    OUTCOME_TAKEN, /* of one that is not acknowledged: the other nodes have it, behind all before */
};

/* findAny: how often a receiver is looked for, when those that were chosen have just left. */
enum { FIND_ATTEMPTS = 3 };

/* What FIND is to do when all shards have counted. */
enum find_mode {
    FIND_TURN, /* choose by the filter's turn */
    FIND_RANK, /* another node's turn chose: the name-th here */
};

struct note {
    struct inbox_link link; /* first */
    enum note_kind kind;
    uint32_t from; /* shard number of the writer; the cluster thread: how many shards there are;
                      main writes its reader's own */
    union {
        struct arrival *arrival;           /* ADOPT, REGISTER: owns */
        struct notification *notification; /* DELIVER, ACKED, ACKNOWLEDGE, FIND, COUNT, PICK,
                                              FORWARD: a count */
        struct members *members;           /* MEMBERS: a count */
    };
    uint64_t name;   /* ACKED, OUTCOME: the ask; COUNT, COUNTED: the search; FIND: counts of
                        the other nodes (ready << 32 | all), or the rank; REGISTER, UNREGISTER,
                        ELSEWHERE: identity hash */
    uint32_t a, b;   /* COUNTED: ready, all; PICK: rank, attempts left; FIND: attempts left, mode;
                        OUTCOME: enum outcome, the asker's shard; FORWARD: kind, attempts left;
                        ELSEWHERE: is it? EVICT: how many; UNREGISTER: notes heard (hub/shard.h) */
    uint32_t peer;   /* OUTCOME to the cluster thread: whose ask it is */
    bool ready_only; /* PICK: rank counts only clients that keep up */
};
