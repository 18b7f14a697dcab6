#include "cluster/directory_cache.h"

#include "base/mem.h"

struct entry {
    struct list link;
    uint64_t hash;
    int64_t due_ms;
    uint32_t peer;
};

void directory_cache_init(struct directory_cache *c, int64_t keep_ms, uint32_t most)
{
    map_init(&c->map);
    list_init(&c->oldest_first);
    c->keep_ms = most ? keep_ms : 0;
    c->most = most;
}

static bool same(const void *item, const void *key)
{
    (void)item;
    (void)key;
    return true; /* the hash is the key */
}

static void forget(struct directory_cache *c, struct entry *e)
{
    map_remove(&c->map, e->hash, e);
    list_remove(&e->link);
    mem_free(e);
}

static struct entry *first(const struct directory_cache *c)
{
    struct list *link = list_first(&c->oldest_first);

    return link ? container_of(link, struct entry, link) : NULL;
}

void directory_cache_fini(struct directory_cache *c)
{
    struct entry *e;

    while ((e = first(c)))
        forget(c, e);
    map_fini(&c->map);
}

void directory_cache_put(struct directory_cache *c, uint64_t hash, uint32_t peer, int64_t now_ms)
{
    struct entry *e;

    if (c->keep_ms <= 0)
        return;
    e = map_find(&c->map, hash, same, NULL);
    if (e) {
        list_remove(&e->link);
    } else {
        /* two of the oldest for one new: what has run out goes, too */
        for (int i = 0; i < 2 && (e = first(c)); i++)
            if (c->map.len >= c->most || e->due_ms <= now_ms)
                forget(c, e);
        e = mem_new(struct entry);
        e->hash = hash;
        map_add(&c->map, hash, e);
    }
    e->peer = peer;
    e->due_ms = now_ms + c->keep_ms;
    list_push_back(&c->oldest_first, &e->link);
}

uint32_t directory_cache_find(struct directory_cache *c, uint64_t hash, int64_t now_ms)
{
    struct entry *e = map_find(&c->map, hash, same, NULL);

    if (!e)
        return 0;
    if (e->due_ms > now_ms)
        return e->peer;
    forget(c, e);
    return 0;
}

void directory_cache_forget(struct directory_cache *c, uint64_t hash)
{
    struct entry *e = map_find(&c->map, hash, same, NULL);

    if (e)
        forget(c, e);
}

void directory_cache_forget_peer(struct directory_cache *c, uint32_t peer)
{
    struct list *link = c->oldest_first.next;

    while (link != &c->oldest_first) {
        struct entry *e = container_of(link, struct entry, link);

        link = link->next;
        if (e->peer == peer)
            forget(c, e);
    }
}
