/*
 * target - what the generator talks to: how its clients connect, send and hear.
 *
 * Owner:  constants.      Thread: one.
 * Way:    prepare, then link_connect; greet sends the first bytes, the link's decode takes what
 *         comes. When the link is open its form holds a whole message to the link it sends to.
 */
#pragma once
#include <stdbool.h>
#include "load/link.h"
#include "load/options.h"

/* As `to`: to every subscriber. As `from`: subscribed to what is sent to all. */
#define LINK_TO_ALL UINT32_MAX
/* Neither sends nor is sent to. */
#define LINK_ALONE (UINT32_MAX - 1)

struct target {
    const char *name;
    void (*prepare)(struct link *l);
    void (*greet)(struct link *l);
    void (*on_frame)(struct link *l, int opcode, char *at, size_t len);
    const char *publish_path; /* of a POST to all; null: a link with LINK_TO_ALL sends it */
};

extern const struct target target_raw, target_pushca, target_nchan, target_nats, target_mosquitto;

const struct target *target_of(const char *name); /* null: none of that name */

/* A server's frames, one by one, to the target's on_frame; pings are answered. */
link_decode frames_decode;

/* Asks for an upgrade of `path`, and calls opened after the 101. */
void websocket_greet(struct link *l, const char *path, const char *protocol,
                     void (*opened)(struct link *l));

/* Passes what is in a text frame on as a message. */
void text_on_frame(struct link *l, int opcode, char *at, size_t len);

/* For protocols that are streams inside of frames: collects at..len, calls take as http_read. */
void stream_add(struct link *l, const char *at, size_t len, link_decode *take);

/* pushca: who link number n is, as JSON members; returns at. */
char *pushca_identity(char *at, size_t size, uint32_t number, const char *application);
/* The body of a POST that sends text to one (or, LINK_TO_ALL, to all subscribers). */
size_t pushca_post_body(char *at, size_t size, uint32_t to, const char *text, size_t len);
size_t pushca_acked_body(char *at, size_t size, uint32_t to, const char *text, size_t len);
/* Says for the link that it has the message of that id: "<id>@@text" came. Returns where the text
   begins, null when this is no such message. */
char *pushca_acknowledge(struct link *l, char *at, size_t len);
/* The body that asks for a connection, and what its answer says about the link's path. */
size_t pushca_open_body(char *at, size_t size, const struct link *l);
struct http_answer;
void pushca_take_path(struct link *l, const struct http_answer *answer);
