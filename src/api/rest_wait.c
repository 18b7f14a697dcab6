#include "api/rest.h"

#include "api/http_server.h"
#include "base/mem.h"
#include "hub/ask.h"
#include "hub/shard.h"

/* user holds the ask's name, which may find nobody any more. */
void rest_wait(struct http_conn *h, struct ask *a)
{
    uint64_t *name = mem_alloc(sizeof(*name));

    *name = a->name;
    h->user = name;
    a->conn = conn_name(h->conn);
}

struct http_conn *rest_waited(const struct ask *a)
{
    struct conn *c = conn_find(&a->shard->net, a->conn);
    struct http_conn *h = c ? http_of(c) : NULL;

    if (h) {
        mem_free(h->user);
        h->user = NULL;
    }
    return h;
}

void rest_forget(struct http_conn *h)
{
    const uint64_t *name = h->user;
    struct ask *a = name ? ask_find(h->handler->context, *name) : NULL;

    if (a)
        ask_drop(a);
    mem_free(h->user);
    h->user = NULL;
}
