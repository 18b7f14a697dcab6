/*
 * post - every message of a run: who must get it, who may, who did.
 *
 * Owner:   one run.      Thread: one.      Bound: POST_MAX messages.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

enum { POST_MAX = 1024, POST_PEOPLE = 8 };

/* Bits are people: identities of the model. */
struct message {
    uint32_t sender;       /* connection it came by, in order of appearance */
    uint8_t match;         /* whom it is meant for */
    uint8_t may, must;     /* of these: who was connected, who took everything at once */
    uint8_t got;           /* and who got it */
    uint16_t filler;       /* bytes behind its number */
    uint16_t copies, most; /* received; allowed for each person */
    bool find_any, acked;
    bool spoken;       /* the server has it */
    bool acknowledged; /* by its receiver, whatever the sender was told */
    bool in_time;      /* so early that the sender must be told */
    bool told;
    int64_t sent_ms;
};

extern struct message post[POST_MAX];
extern int post_count;

void post_open(uint64_t nonce);

/* A new one, or null when there is no room. Its number is its place. */
struct message *post_new(uint32_t sender, uint8_t match, unsigned filler);
int post_number(const struct message *m);

/* Its text; nobody who does not know the nonce says one by chance. */
void post_text(const struct message *m, struct buf *out);

/* The server is about to act on it: so many are connected, so many take everything. */
void post_speak(struct message *m, uint8_t connected, uint8_t steady);

/* The message text is, whole and unchanged; null: none of ours. */
struct message *post_find(struct bytes text);

/* One person got it: a stray or a double ends the run. */
void post_received(struct message *m, int person);

/* One acknowledged message too many for that person: any of those under way may be refused. */
void post_doubt(uint8_t person);

/* All is quiet: whoever had to get one got it. Looks at each message once. */
void post_judge(void);
