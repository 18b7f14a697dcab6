#include "cluster/redis_asks.h"

#include "base/mem.h"

void redis_asks_push(struct redis_asks *q, const struct redis_ask *ask)
{
    if (q->len == q->cap) {
        uint32_t cap = q->cap ? q->cap * 2 : 64;
        struct redis_ask *at = mem_alloc(cap * sizeof(*at));

        for (uint32_t i = 0; i < q->len; i++)
            at[i] = q->at[(q->head + i) & (q->cap - 1)];
        mem_free(q->at);
        *q = (struct redis_asks){at, 0, q->len, cap};
    }
    q->at[(q->head + q->len++) & (q->cap - 1)] = *ask;
}

struct redis_ask redis_asks_pop(struct redis_asks *q)
{
    struct redis_ask ask = q->at[q->head];

    q->head = (q->head + 1) & (q->cap - 1);
    q->len--;
    return ask;
}
