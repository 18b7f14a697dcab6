/*
 * http_server - the REST listener: connections in, requests to their routes, errors as JSON.
 *
 *   accept -> gate http_conns -> whole request -> path -> method -> Accept, Content-Type -> handler
 *
 * Owner:   its state is in struct api.      Thread: the shard's.
 */
#pragma once
#include <stdbool.h>
#include "api/forwarded.h"
#include "base/bytes.h"
#include "net/http_conn.h"
#include "net/listen.h"
#include "wire/json.h"

struct api;
struct shard;

struct request {
    struct shard *shard;
    struct http_conn *conn;
    const struct http1_request *head;
    struct bytes path;      /* percent-decoded once; in the arena */
    struct bytes rest;      /* of it, behind the prefix of a prefix route */
    struct json_value body; /* of routes that take JSON */
};

enum route_takes {
    TAKES_PATH,   /* exactly this path */
    TAKES_PREFIX, /* this and at least one byte more */
};

struct route {
    const char *path;
    enum route_takes takes;
    enum http1_method method; /* GET stands for HEAD too; POST brings a JSON body */
    const char *type;         /* of its answers; null: whatever, Accept is not looked at */
    void (*handle)(struct request *q);
};

/* routes.c; in the order they are tried, a null path ends them. */
extern const struct route routes[];

/* By which address the asker knows this server: its absolute target, its Host, or what a trusted
 * proxy tells. */
struct own_address http_own_address(struct request *q);

void http_server_init(struct api *api);
void http_server_on_accept(struct listener *l, int fd);
