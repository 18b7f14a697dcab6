/*
 * fake - a kernel in memory for the sim tests: sockets, readiness, time and randomness, all at the
 *        script's command. fake_poll.c, fake_sock.c, fake_clock.c and fake_rand.c stand in for the
 *        files of the same names at link time; everything above them is the product's own.
 *
 * Thread:  one.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/vec.h"

struct fake_socket {
    bool used, listening;
    struct buf to_server;   /* sent by the peer, not yet read */
    struct buf from_server; /* written by the server, not yet looked at */
    size_t room;            /* bytes the kernel still takes for the peer */
    bool peer_end;          /* the peer sent FIN */
    bool peer_reset;
    bool server_end, server_closed;
    struct vec backlog; /* of a listener: sockets waiting to be accepted, oldest first */
    int fd;
    /* readiness */
    int poll; /* which poll watches it; -1: none */
    uint32_t events;
    uint64_t tag;
};

enum { FAKE_FIRST_FD = 1000, FAKE_SOCKETS = 16384 };

struct fake_socket *fake_socket(int fd);
int fake_open(void);

/* A peer connects to a listener; the fd names both ends. */
int fake_connect(int listener);

/* The server closed it and the peer has seen all: the fd is used again. */
void fake_forget(int fd);

/* How often the server asked the kernel for something. */
struct fake_calls {
    uint64_t waits, watches, wakes, accepts, reads, writes, closes;
};

extern struct fake_calls fake_calls;

/* The poll that watches it, if any, does not any more. */
void fake_unwatch(int fd);

/* Counts reads, writes, accepts and events handed out: no change in a round means quiet. */
uint64_t fake_activity(void);
void fake_stir(void);

/* Frees every socket; false if the server left one open. */
bool fake_all_closed(void);

void fake_clock_advance(int64_t ms);
void fake_clock_reset(void); /* where every run begins */
void fake_rand_seed(uint64_t seed);
