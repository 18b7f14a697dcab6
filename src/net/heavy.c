#include "net/heavy.h"

#include "base/meter.h"
#include "net/http_conn.h"
#include "net/ws_conn.h"

void heavy_init(struct heavy *h)
{
    h->next_slot = 0;
    h->len = 0;
}

/* What waits counts once the kernel has refused some of it: before that it is merely on its way. */
static size_t weight_of(struct conn *c)
{
    struct http_conn *h = http_of(c);
    struct ws_conn *w = ws_of(c);
    size_t bytes = c->out_on ? c->out.bytes : 0;

    if (h)
        return bytes + h->in.cap + h->body.cap;
    return w ? bytes + ws_reader_held(&w->reader) : bytes;
}

static void keep(struct heavy *h, const struct conn *c, size_t bytes)
{
    uint32_t i;

    if (bytes < HEAVY_LEAST_BYTES)
        return;
    if (h->len == HEAVY_MOST) {
        if (bytes <= h->of[0].bytes)
            return;
        memmove(h->of, h->of + 1, (HEAVY_MOST - 1) * sizeof(h->of[0]));
        h->len--;
    }
    for (i = h->len++; i > 0 && h->of[i - 1].bytes > bytes; i--)
        h->of[i] = h->of[i - 1];
    h->of[i].id = conn_name(c);
    h->of[i].bytes = bytes;
}

bool heavy_look(struct heavy *h, struct net *n, uint32_t slots)
{
    uint32_t all = n->blocks.len * NET_BLOCK_CONNS;

    for (; slots > 0 && h->next_slot < all; slots--, h->next_slot++) {
        struct conn *block = n->blocks.at[h->next_slot / NET_BLOCK_CONNS];
        struct conn *c = &block[h->next_slot % NET_BLOCK_CONNS];

        if (c->state != CONN_FREE && c->state != CONN_DEAD)
            keep(h, c, weight_of(c));
    }
    return h->next_slot >= all;
}

/* A message that was begun goes out whole before the Close: a long one is not waited for. */
static void end(struct conn *c)
{
    struct ws_conn *w = ws_of(c);

    if (w && ws_is_open(w)) {
        ws_shed(w);
        if (c->out.bytes <= NET_KEPT_ANYWAY)
            return;
    } else if (conn_is_open(c)) {
        meter_add(METER_REFUSED_MEMORY, 1);
    }
    conn_close(c, CONN_END_STALLED);
}

size_t heavy_close(struct heavy *h, struct net *n)
{
    while (h->len > 0) {
        struct conn *c = conn_find(n, h->of[--h->len].id);

        if (!c)
            continue;
        end(c);
        return h->of[h->len].bytes;
    }
    return 0;
}
