#include "hub/ask.h"

#include "base/mem.h"
#include "base/meter.h"
#include "hub/shard.h"

static uint64_t hash_of(uint64_t name)
{
    return hash_mix(name, 0);
}

static bool same(const void *item, const void *key)
{
    const struct ask *a = item;
    const uint64_t *name = key;

    return a->name == *name;
}

void ask_drop(struct ask *a)
{
    int64_t before = mem_balance();

    wheel_stop(&a->timer);
    map_remove(&a->shard->asks, hash_of(a->name), a);
    mem_free(a);
    mem_book(METER_MEM_PENDING, before);
}

void ask_drop_all(struct shard *s)
{
    int64_t before = mem_balance();
    size_t cursor = 0;
    struct ask *a;

    while ((a = map_each(&s->asks, &cursor))) {
        wheel_stop(&a->timer);
        mem_free(a);
    }
    map_fini(&s->asks);
    mem_book(METER_MEM_PENDING, before);
}

static void end(struct ask *a, enum ask_end how)
{
    a->on_end(a, how);
    ask_drop(a);
}

static void on_due(struct timer *t)
{
    end(container_of(t, struct ask, timer), ASK_EXPIRED);
}

struct ask *ask_new(struct shard *s, struct bytes reply_id, const struct identity *from,
                    int64_t wait_ms, void (*on_end)(struct ask *, enum ask_end))
{
    static const struct identity nobody;
    const struct identity *who = from ? from : &nobody;
    int64_t before = mem_balance();
    struct ask *a = mem_zero(sizeof(*a) + reply_id.len + 1 + identity_bytes(who));
    char *room = a->reply_id + reply_id.len + 1;

    a->name = ++s->last_name;
    a->shard = s;
    a->on_end = on_end;
    if (reply_id.len)
        memcpy(a->reply_id, reply_id.at, reply_id.len);
    a->from = identity_copy(who, &room);
    timer_init(&a->timer, on_due);
    wheel_start(&s->loop.wheel, &a->timer, shard_now(s) + wait_ms);
    map_add(&s->asks, hash_of(a->name), a);
    mem_book(METER_MEM_PENDING, before);
    return a;
}

struct ask *ask_find(struct shard *s, uint64_t name)
{
    return map_find(&s->asks, hash_of(name), same, &name);
}

void ask_on_outcome(struct shard *s, struct note *n)
{
    static const enum ask_end ends[] = {
        [OUTCOME_ACKNOWLEDGED] = ASK_ACKNOWLEDGED,
        [OUTCOME_REFUSED] = ASK_REFUSED,
        [OUTCOME_UNREACHABLE] = ASK_UNREACHABLE,
        [OUTCOME_TAKEN] = ASK_TAKEN,
    };
    struct ask *a = ask_find(s, n->name);

    if (!a) {
        if (n->a != OUTCOME_TAKEN)
            meter_add(METER_OUTCOMES_UNCLAIMED, 1);
        return;
    }
    if (n->a == OUTCOME_ACKNOWLEDGED)
        meter_add(METER_ACKNOWLEDGED, 1);
    end(a, ends[n->a]);
}
