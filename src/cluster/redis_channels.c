#include "cluster/redis_channels.h"

#include <hiredis/hiredis.h>
#include "base/mem.h"
#include "cluster/redis_finder.h"
#include "cluster/redis_parts.h"
#include "cluster/redis_slots.h"

enum { AGAIN_MS = 100, AGAIN_MOVED_MS = 20, AGAIN_REFUSED_MS = 1000, LOOK_MS = 100 };

struct redis_channel {
    struct bytes name; /* owned */
    uint16_t slot;
    struct redis_node *node; /* where it is subscribed, or about to be; null: nowhere */
    bool sent, confirmed;
    int64_t sent_ms, again_ms; /* not sent before that */
};

static struct redis_channel *find(const struct redis *r, struct bytes name)
{
    for (uint32_t i = 0; i < r->channels.len; i++) {
        struct redis_channel *c = r->channels.at[i];

        if (bytes_equal(c->name, name))
            return c;
    }
    return NULL;
}

void redis_channels_add(struct redis *r, struct bytes name)
{
    struct redis_channel *c;

    if (find(r, name))
        return;
    c = mem_new(struct redis_channel);
    c->name = bytes_of(mem_copy(name), name.len);
    c->slot = redis_slot(name);
    vec_push(&r->channels, c);
    r->look = true;
    redis_soon(r, 0);
}

void redis_channels_free(struct redis *r)
{
    for (uint32_t i = 0; i < r->channels.len; i++) {
        struct redis_channel *c = r->channels.at[i];
        char *name;

        memcpy(&name, &c->name.at, sizeof(name)); /* ours: the view only lacks the right to write */
        mem_free(name);
        mem_free(c);
    }
    vec_fini(&r->channels);
}

bool redis_channels_all(const struct redis *r)
{
    for (uint32_t i = 0; i < r->channels.len; i++) {
        const struct redis_channel *c = r->channels.at[i];

        if (!c->confirmed)
            return false;
    }
    return true;
}

/* ---- what the links tell ---- */

static void unsubscribed(struct redis *r, struct redis_channel *c, int64_t again_in_ms)
{
    c->sent = c->confirmed = false;
    c->again_ms = r->world.loop->now_ms + again_in_ms;
    r->look = true;
    redis_soon(r, again_in_ms);
}

void redis_channels_on_ready(struct redis *r)
{
    r->look = true;
}

void redis_channels_on_lost(struct redis *r, const struct redis_node *n)
{
    for (uint32_t i = 0; i < r->channels.len; i++) {
        struct redis_channel *c = r->channels.at[i];

        if (c->node == n)
            unsubscribed(r, c, 0);
    }
}

void redis_channels_leave(struct redis *r, const struct redis_node *n)
{
    for (uint32_t i = 0; n && i < r->channels.len; i++) {
        struct redis_channel *c = r->channels.at[i];

        if (c->node != n)
            continue;
        c->node = NULL;
        unsubscribed(r, c, 0);
    }
}

/* Not said which: any that is not confirmed yet. */
static void on_error(struct redis *r, struct redis_node *n, const struct redisReply *reply)
{
    static struct log_limit limit;
    enum redis_refusal refusal = redis_refusal_of(reply);
    int64_t again_ms = AGAIN_MS;
    struct redis_address to;
    uint16_t slot;

    if (refusal == REDIS_MOVED)
        again_ms = AGAIN_MOVED_MS;
    if (refusal == REDIS_NOT_REFUSED) {
        again_ms = AGAIN_REFUSED_MS;
        redis_say_refused(r, "SSUBSCRIBE", &limit, reply);
    }
    if (refusal == REDIS_MOVED && r->slots && redis_refusal_read(reply, &n->at, &slot, &to))
        redis_slots_moved(r, slot, &to);
    for (uint32_t i = 0; i < r->channels.len; i++) {
        struct redis_channel *c = r->channels.at[i];

        if (c->node == n && c->sent && !c->confirmed)
            unsubscribed(r, c, again_ms);
    }
    redis_finder_hurry(r);
}

static bool is_text(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING;
}

static bool is_word(const struct redisReply *reply, struct bytes word)
{
    return is_text(reply) && bytes_equal(bytes_of(reply->str, reply->len), word);
}

void redis_channels_on_push(struct redis *r, struct redis_node *n, const struct redisReply *reply)
{
    struct redis_channel *c;

    if (reply->type == REDIS_REPLY_ERROR) {
        on_error(r, n, reply);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || !is_text(reply->element[1]))
        return;
    c = find(r, bytes_of(reply->element[1]->str, reply->element[1]->len));
    if (!c)
        return;
    if (is_word(reply->element[0], BYTES("smessage")) && is_text(reply->element[2])) {
        r->events.on_message(r->events.context, c->name,
                             bytes_of(reply->element[2]->str, reply->element[2]->len));
    } else if (c->node != n || !c->sent) {
        return;
    } else if (is_word(reply->element[0], BYTES("ssubscribe"))) {
        c->confirmed = r->look = true;
    } else if (is_word(reply->element[0], BYTES("sunsubscribe"))) { /* its slot went elsewhere */
        unsubscribed(r, c, 0);
        redis_finder_hurry(r);
    }
}

/* ---- subscribing ---- */

static struct redis_node *home_of(const struct redis *r, const struct redis_channel *c)
{
    if (r->slots)
        return redis_slots_owner(r, c->slot);
    return r->masters.len ? r->masters.at[0] : NULL;
}

static void say(struct redis_link *l, const char *verb, struct bytes name)
{
    struct redis_ask ask = {.kind = REDIS_ASK_NOTHING, .slot = REDIS_NO_SLOT};

    /* What is refused is told by on_lost, or is asked for again. */
    if (redis_link_give(l, (struct bytes[]){bytes_text(verb), name}, 2, &ask))
        redis_link_drop(l, "too much output");
}

static void move(struct redis *r, struct redis_channel *c, struct redis_node *to)
{
    if (c->node == to)
        return;
    if (c->node && c->sent && c->node->channels && redis_link_is_ready(c->node->channels))
        say(c->node->channels, "SUNSUBSCRIBE", c->name);
    c->node = to;
    c->sent = c->confirmed = false;
    c->again_ms = r->world.loop->now_ms;
    if (to && !to->channels)
        to->channels = redis_link_new(&r->world, REDIS_LINK_CHANNELS, &to->at, to);
}

static void look(struct redis *r, struct redis_channel *c)
{
    int64_t now_ms = r->world.loop->now_ms;
    struct redis_link *l;

    move(r, c, home_of(r, c));
    l = c->node ? c->node->channels : NULL;
    if (!l || !redis_link_is_ready(l))
        return;
    if (!c->sent && now_ms >= c->again_ms) {
        c->sent = true;
        c->sent_ms = now_ms;
        say(l, "SSUBSCRIBE", c->name);
    } else if (c->sent && !c->confirmed && now_ms - c->sent_ms > r->set->answer_ms) {
        redis_link_drop(l, "a subscription is not confirmed in time");
    }
}

static bool is_used(const struct redis *r, const struct redis_node *n)
{
    for (uint32_t i = 0; i < r->channels.len; i++) {
        const struct redis_channel *c = r->channels.at[i];

        if (c->node == n)
            return true;
    }
    return false;
}

void redis_channels_look(struct redis *r)
{
    for (uint32_t i = 0; i < r->channels.len; i++)
        look(r, r->channels.at[i]);
    for (uint32_t i = 0; i < r->nodes.len; i++) {
        struct redis_node *n = r->nodes.at[i];

        if (!n->channels || is_used(r, n))
            continue;
        redis_link_free(n->channels, true);
        n->channels = NULL;
    }
    if (!redis_channels_all(r)) {
        r->look = true;
        redis_soon(r, LOOK_MS);
    }
}

void redis_channels_drop(struct redis *r)
{
    for (uint32_t i = 0; i < r->nodes.len; i++) {
        struct redis_node *n = r->nodes.at[i];

        if (n->channels)
            redis_link_drop(n->channels, "subscribing anew was asked for");
    }
}
