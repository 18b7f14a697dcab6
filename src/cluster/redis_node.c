#include "cluster/redis_parts.h"

#include "base/mem.h"
#include "cluster/redis_channels.h"

struct redis_node *redis_node_find(const struct redis *r, const struct redis_address *at)
{
    for (uint32_t i = 0; i < r->nodes.len; i++) {
        struct redis_node *n = r->nodes.at[i];

        if (redis_address_equal(&n->at, at))
            return n;
    }
    return NULL;
}

struct redis_node *redis_node_named(struct redis *r, const struct redis_address *at)
{
    struct redis_node *n = redis_node_find(r, at);

    if (!n && r->nodes.len < REDIS_NODES) {
        n = mem_new(struct redis_node);
        n->redis = r;
        n->at = *at;
        n->index = REDIS_NO_MASTER;
        n->commands = redis_link_new(&r->world, REDIS_LINK_COMMANDS, at, n);
        vec_push(&r->nodes, n);
    }
    if (n)
        n->named_ms = r->world.loop->now_ms;
    return n;
}

static void forget(struct vec *v, const struct redis_node *n)
{
    for (uint32_t i = 0; i < v->len; i++)
        if (v->at[i] == n) {
            (void)vec_swap_remove(v, i);
            return;
        }
}

void redis_node_free(struct redis *r, struct redis_node *n, bool quiet)
{
    forget(&r->nodes, n);
    forget(&r->masters, n);
    redis_link_free(n->channels, quiet);
    redis_link_free(n->commands, quiet);
    mem_free(n);
}

void redis_node_only(struct redis *r, const struct redis_address *at)
{
    struct redis_node *old = r->masters.len ? r->masters.at[0] : NULL, *n;

    if (old && redis_address_equal(&old->at, at))
        return;
    n = redis_node_named(r, at);
    if (old)
        forget(&r->masters, old);
    vec_push(&r->masters, n);
    n->index = 0;
    n->tag[0] = '0';
    r->look = true;
    redis_channels_leave(r, old);
    if (old)
        redis_node_free(r, old, false);
}
