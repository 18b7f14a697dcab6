#include "hub/repeats.h"

#include "base/mem.h"
#include "flow/frame.h"
#include "hub/shard.h"

void repeats_init(struct repeats *r)
{
    map_init(&r->map);
    list_init(&r->oldest_first);
}

static void forget(struct repeats *r, struct repeat *e)
{
    int64_t before;

    frame_unref(e->answer); /* a part of its own */
    before = mem_balance();
    map_remove(&r->map, e->key, e);
    list_remove(&e->link);
    mem_free(e);
    mem_book(METER_MEM_PENDING, before);
}

void repeats_fini(struct repeats *r)
{
    struct list *link;
    int64_t before;

    while ((link = list_first(&r->oldest_first)))
        forget(r, container_of(link, struct repeat, link));
    before = mem_balance();
    map_fini(&r->map);
    mem_book(METER_MEM_PENDING, before);
}

uint64_t repeat_key(struct shard *s, uint64_t client_hash, struct bytes text)
{
    return hash_mix(client_hash, hash_bytes(&s->hub->key, text));
}

/* The key is a keyed 64-bit hash: equal keys are taken for equal commands. */
static bool same(const void *item, const void *key)
{
    (void)item;
    (void)key;
    return true;
}

static void forget_old(struct shard *s, size_t at_most)
{
    struct repeats *r = &s->repeats;
    struct list *link;

    while ((link = list_first(&r->oldest_first))) {
        struct repeat *e = container_of(link, struct repeat, link);

        if (r->map.len <= at_most && shard_now(s) - e->at_ms < s->hub->settings->repeat_keep_ms)
            return;
        forget(r, e);
    }
}

struct repeat *repeats_find(struct shard *s, uint64_t key)
{
    forget_old(s, s->hub->settings->repeat_entries);
    return map_find(&s->repeats.map, key, same, NULL);
}

void repeats_renew(struct shard *s, struct repeat *e)
{
    e->at_ms = shard_now(s);
    list_remove(&e->link);
    list_push_back(&s->repeats.oldest_first, &e->link);
}

struct repeat *repeats_add(struct shard *s, uint64_t key, enum repeat_state state)
{
    struct repeat *e;
    int64_t before;

    forget_old(s, s->hub->settings->repeat_entries - 1);
    before = mem_balance();
    e = mem_new(struct repeat);
    e->key = key;
    e->at_ms = shard_now(s);
    e->state = state;
    list_push_back(&s->repeats.oldest_first, &e->link);
    map_add(&s->repeats.map, key, e);
    mem_book(METER_MEM_PENDING, before);
    return e;
}
