/*
 * http1_syntax - which bytes may stand where in HTTP/1.1, and what http1.c leaves to its sister
 *                files. For http1*.c alone.
 *
 * Standard: RFC 9110, sections 5.5 and 5.6.2; RFC 3986, section 3.2.2.      Thread: any.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "wire/http1.h"

enum http1_class {
    HTTP1_TOKEN = 1,  /* method, field name, list member */
    HTTP1_VALUE = 2,  /* field value: no control character but the tab */
    HTTP1_TARGET = 4, /* request target: printable ASCII without space and '#' */
    HTTP1_HOST = 8,   /* registered name or IPv4 address */
};

extern const uint8_t http1_classes[256];

static inline bool http1_is(char c, enum http1_class class)
{
    return (http1_classes[(unsigned char)c] & class) != 0;
}

/* Every byte of b; true of an empty view. */
bool http1_all(struct bytes b, enum http1_class class);

/* 0 to 15, or -1. */
int http1_hex(char c);

/* Fills bad; false, so that a reader can return it. */
static inline bool http1_refuse(struct http1_bad *bad, int status, const char *why)
{
    *bad = (struct http1_bad){status, why};
    return false;
}

/* Fills path and query from target and method. */
bool http1_read_target(struct http1_request *r, struct http1_bad *bad);

/* uri-host [ ":" port ]; the host may be empty. */
bool http1_is_host(struct bytes b);

/* Fills what Host, Content-Length, Transfer-Encoding, Connection and Expect say. */
bool http1_read_meaning(struct http1_request *r, struct http1_bad *bad);
