/*
 * link - one connection of a simulated client, and the pump that moves the bytes of all of them.
 *
 * Owner:   the pump owns its links; a link's number is its place.      Thread: one.
 * Bound:   as many as descriptors; input that is not whole and output that the kernel did not take
 *          are kept in memory.
 * Errors:  a connection that ends before it was told to is counted in pump.broken.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link;
struct pump;

enum link_state { LINK_NONE, LINK_CONNECTING, LINK_GREETING, LINK_OPEN, LINK_CLOSED };

/* Takes what is whole of at..len and says how many bytes that was; 0: not enough yet. */
typedef size_t link_decode(struct link *l, char *at, size_t len);

/* What a link sends for one message, but for the message's own id and text. */
struct form {
    char *at;
    uint32_t len, text_at, id_at; /* id_at 0: it has none */
    unsigned char mask[4];
    uint32_t masked_from; /* where the masked part begins; 0: nothing is masked */
};

struct link {
    int fd;
    uint32_t number;
    uint8_t state;
    bool out_on;
    bool is_plain; /* not the target's protocol: open with its connection */
    struct pump *pump;
    link_decode *decode;
    void (*opened)(struct link *l); /* what comes after the upgrade */
    char *path;                     /* what the upgrade asks for */
    struct form form;
    /* incomplete input, of the wire and of a protocol inside of frames */
    char *rest, *stream;
    uint32_t rest_len, stream_len;
    char *late; /* output the kernel did not take */
    uint32_t late_len;
    /* Who it sends to and who sends to it. Each link has one sender at most, so the numbers of the
       messages to it count up one by one. */
    uint32_t to, from;
    uint32_t sent_to, expected, missing, got;
    uint32_t answered; /* answers to what it sent itself */
    uint32_t lane;     /* storm: which one it came by */
    uint32_t place;    /* which of the servers it is a client of */
};

struct pump {
    int epoll;
    struct link **links;
    uint32_t count, open, broken;
    const struct target *target;
    const struct options *options;
    void *owner;
    /* one message arrived, as the sender wrote it */
    void (*on_text)(struct link *l, char *at, size_t len);
    void (*on_open)(struct link *l); /* may be null */
    char *buffer;
    uint64_t empty_ns; /* spinning: spent in asking in vain */
};

void pump_init(struct pump *p, void *owner);

struct link *link_new(struct pump *p);

/* Begins to connect to 127.0.0.1:port, from an address that depends on the link's number. */
void link_connect(struct link *l, uint16_t port);

void link_send(struct link *l, const char *at, size_t len);
void link_close(struct link *l); /* at our wish: not counted as broken */
void link_opened(struct link *l);

/* Its socket stays open and is read no more. */
void link_mute(struct link *l);

/* Waits at most wait_ns (0: not at all) for one round of events and handles at most max of them.
   How many there were. */
int pump_turn(struct pump *p, uint64_t wait_ns, int max);
