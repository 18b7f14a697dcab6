/*
 * http - an HTTP/1.1 client: one that waits for the answer, and one that lives on a pump.
 *
 * Standard: RFC 9112, as far as answers with a Content-Length need it.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "load/link.h"

enum { HTTP_BODY_MAX = 4096 };

/* The whole request: POST, JSON. Returns its length. */
size_t http_post(char *at, size_t size, const char *path, const char *body, size_t body_len);

/* For a link whose decode this is; the pump's owner hears of each answer through on_answer. */
struct http_answer {
    int status;
    const char *body;
    size_t len;
};

/* Bytes of the whole answer at the front of at..len; 0: there is no whole one. */
size_t http_read(char *at, size_t len, struct http_answer *out);

/* Connects, posts, and waits, over the same connection as the last time if that is open: -1 begins.
   Dies without an answer. */
struct http_answer http_call(int *fd, uint16_t port, const char *path, const char *body);
