/*
 * arrival - a socket on its way to its client's home shard: the handshake is checked, not yet
 * answered.
 *
 * Owner:   the NOTE_ADOPT that carries it.      Thread: one at a time.
 */
#pragma once
#include "base/buf.h"
#include "wire/identity.h"
#include "wire/upgrade.h"

struct tls;

struct arrival {
    int fd;
    struct tls *tls;     /* owns; null: plain */
    bool is_registered;  /* in a cluster: the other nodes can find the client here */
    uint64_t hash;       /* of who */
    struct identity who; /* views into text */
    struct upgrade upgrade;
    struct buf unread; /* bytes behind the request */
    char text[];
};
