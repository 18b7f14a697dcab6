/*
 * steps - what scenarios are made of: names, callers, clients, and small talks with them.
 *
 * As those of peer.h they answer whether it went as it should.      Thread: one.
 */
#pragma once
#include <stdbool.h>
#include "base/bytes.h"

struct peer;

enum { NAME = 64 };

/* A step that failed ends the feature. */
#define STEP(step)                                                                                 \
    do {                                                                                           \
        if (!(step))                                                                               \
            return false;                                                                          \
    } while (0)

#define CLIENT                                                                                     \
    "{\"workSpaceId\":\"ws\",\"accountId\":\"%s%d\",\"deviceId\":\"d\",\"applicationId\":\"app\"}"

/* "account1/d" */
const char *named(char name[NAME], const char *account, int attempt);
bool join(struct peer **out, int door, const char *account, int attempt);

struct peer *call_rest(int door);
bool get(struct peer *p, const char *path, int status);

/* "<message id>@@text": the receiver acknowledges it. */
bool acknowledge(struct peer *p, const char *text);

/* The path of the first WebSocket URL in an answer, which must name one of these doors. */
struct bytes token_in(struct bytes body, int first_door);
