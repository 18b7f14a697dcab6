#include "cluster/redis.h"

#include <hiredis/hiredis.h>
#include <string.h>
#include "base/mem.h"
#include "cluster/redis_channels.h"
#include "cluster/redis_finder.h"
#include "cluster/redis_parts.h"
#include "cluster/redis_slots.h"
#include "cluster/redis_tls.h"
#include "cluster/tls_client.h"

enum {
    LAST_ROUNDS = 16, /* of commands given in return for a null, while closing */
    TOLD_BYTES = 200, /* of what Redis says, in a line of the log */
};

/* ---- commands end ---- */

void redis_end(const struct redis_ask *ask, const struct redisReply *reply)
{
    if (ask->done)
        ask->done(ask->context, reply);
}

void redis_fail_later(struct redis *r, const struct redis_ask *ask)
{
    if (!ask->done)
        return;
    if (r->failed_len == r->failed_cap) {
        r->failed_cap = r->failed_cap ? r->failed_cap * 2 : 16;
        r->failed = mem_resize(r->failed, r->failed_cap * sizeof(*r->failed));
    }
    r->failed[r->failed_len++] = (struct redis_failed){ask->done, ask->context};
    redis_soon(r, 0);
}

/* Those given meanwhile wait for the next time: else one that is given again for ever would hold
   the thread. */
static void end_failed(struct redis *r)
{
    struct redis_failed *failed = r->failed;
    uint32_t len = r->failed_len;

    r->failed = NULL;
    r->failed_len = r->failed_cap = 0;
    for (uint32_t i = 0; i < len; i++)
        failed[i].done(failed[i].context, NULL);
    mem_free(failed);
}

/* ---- refusals ---- */

static bool begins(const struct redisReply *reply, struct bytes word)
{
    return bytes_starts(bytes_of(reply->str, reply->len), word) &&
           (reply->len == word.len || reply->str[word.len] == ' ');
}

enum redis_refusal redis_refusal_of(const struct redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return REDIS_NOT_REFUSED;
    if (begins(reply, BYTES("MOVED")))
        return REDIS_MOVED;
    if (begins(reply, BYTES("ASK")))
        return REDIS_ASK;
    if (begins(reply, BYTES("READONLY")))
        return REDIS_READONLY;
    if (begins(reply, BYTES("TRYAGAIN")) || begins(reply, BYTES("CLUSTERDOWN")) ||
        begins(reply, BYTES("LOADING")) || begins(reply, BYTES("MASTERDOWN")))
        return REDIS_LATER;
    return REDIS_NOT_REFUSED;
}

/* "MOVED 3999 127.0.0.1:6381"; without a host it is the one that says so. */
bool redis_refusal_read(const struct redisReply *reply, const struct redis_address *from,
                        uint16_t *slot, struct redis_address *to)
{
    struct bytes head, rest, where;
    uint32_t n = 0;

    if (!bytes_cut(bytes_of(reply->str, reply->len), BYTES(" "), &head, &rest) ||
        !bytes_cut(rest, BYTES(" "), &head, &where) || head.len == 0 || head.len > 5)
        return false;
    for (size_t i = 0; i < head.len; i++) {
        if (head.at[i] < '0' || head.at[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(head.at[i] - '0');
    }
    if (n >= REDIS_SLOTS)
        return false;
    *slot = (uint16_t)n;
    if (where.len && where.at[0] == ':') {
        struct redis_address port_only;
        char text[16];

        if (where.len >= sizeof(text) - 1)
            return false;
        text[0] = 'x';
        memcpy(text + 1, where.at, where.len);
        if (!redis_address_parse(&port_only, bytes_of(text, where.len + 1)))
            return false;
        return redis_address_set(to, bytes_text(from->host), port_only.port);
    }
    return redis_address_parse(to, where);
}

void redis_say_refused(const struct redis *r, const char *command, struct log_limit *limit,
                       const struct redisReply *reply)
{
    int64_t held_back;

    if (log_may(limit, r->world.loop->now_ms, &held_back))
        log_warn("bus refused", LOG_STR("command", command),
                 LOG_VIEW("reason",
                          bytes_of(reply->str, reply->len < TOLD_BYTES ? reply->len : TOLD_BYTES)),
                 LOG_STR("hint", "the user needs +ssubscribe +sunsubscribe +spublish &pushca:* "
                                 "(or another prefix), Redis 7.0.2 or newer"),
                 LOG_NUM("held_back", held_back));
}

/* ---- what links tell ---- */

static struct redis *redis_of(struct redis_link *l, void *owner)
{
    struct redis_node *n = owner;

    return redis_link_kind(l) == REDIS_LINK_FINDER ? owner : n->redis;
}

static void on_ready(void *owner, struct redis_link *l)
{
    struct redis *r = redis_of(l, owner);
    struct redis_node *n = owner;

    r->look = true;
    switch (redis_link_kind(l)) {
    case REDIS_LINK_COMMANDS:
        n->changed = true;
        return;
    case REDIS_LINK_CHANNELS:
        return;
    case REDIS_LINK_FINDER:
        redis_finder_on_ready(r);
        return;
    case REDIS_LINK_KINDS:
        return;
    }
}

static void on_lost(void *owner, struct redis_link *l, const char *why)
{
    struct redis *r = redis_of(l, owner);

    (void)why;
    if (r->closing)
        return;
    r->look = true;
    redis_soon(r, 0);
    if (redis_link_kind(l) == REDIS_LINK_FINDER) {
        redis_finder_on_lost(r);
        return;
    }
    if (redis_link_kind(l) == REDIS_LINK_CHANNELS)
        redis_channels_on_lost(r, owner);
    redis_finder_hurry(r);
}

static void on_master_reply(struct redis_link *l, const struct redis_ask *ask,
                            const struct redisReply *reply)
{
    enum redis_refusal refusal = reply ? redis_refusal_of(reply) : REDIS_NOT_REFUSED;

    redis_end(ask, refusal == REDIS_NOT_REFUSED ? reply : NULL);
    if (refusal == REDIS_READONLY)
        redis_link_drop(l, "is no master any more");
}

static void look_at_published(const struct redis *r, const struct redisReply *reply)
{
    static struct log_limit limit;

    if (reply && reply->type == REDIS_REPLY_ERROR && redis_refusal_of(reply) == REDIS_NOT_REFUSED)
        redis_say_refused(r, "SPUBLISH", &limit, reply);
}

static void on_reply(void *owner, struct redis_link *l, const struct redis_ask *ask,
                     struct bytes command, const struct redisReply *reply)
{
    struct redis *r = redis_of(l, owner);

    switch ((enum redis_ask_kind)ask->kind) {
    case REDIS_ASK_NOTHING:
        return;
    case REDIS_ASK_FIND:
        redis_finder_on_reply(r, ask, reply);
        return;
    case REDIS_ASK_PUBLISH:
        look_at_published(r, reply);
        break;
    case REDIS_ASK_USER:
        break;
    }
    if (r->slots)
        redis_slots_on_reply(r, owner, ask, command, reply);
    else
        on_master_reply(l, ask, reply);
}

static void on_push(void *owner, struct redis_link *l, const struct redisReply *reply)
{
    redis_channels_on_push(redis_of(l, owner), owner, reply);
}

static const struct redis_link_events link_events = {on_ready, on_lost, on_reply, on_push};

/* ---- what follows, for others ---- */

static void tell_masters(struct redis *r)
{
    for (uint32_t i = 0; i < r->masters.len; i++) {
        struct redis_node *n = r->masters.at[i];

        if (!n->changed || !redis_link_is_ready(n->commands))
            continue;
        n->changed = false;
        r->events.on_master(r->events.context, i);
    }
}

/* Null: all is well. */
static const char *complaint(const struct redis *r)
{
    if (!r->masters.len)
        return "no master is known";
    for (uint32_t i = 0; i < r->masters.len; i++) {
        const struct redis_node *n = r->masters.at[i];

        if (!redis_link_is_ready(n->commands))
            return redis_link_why(n->commands);
    }
    return r->slots && !redis_slots_covered(r) ? "a part of the keys has no master" : NULL;
}

static void judge(struct redis *r)
{
    const char *why = complaint(r);
    bool subscribed = redis_channels_all(r);

    tell_masters(r);
    if (r->up != !why) {
        r->up = !why;
        r->events.on_up(r->events.context, r->up, why ? why : "");
    }
    if (r->channels.len && r->subscribed != subscribed) {
        r->subscribed = subscribed;
        r->events.on_subscribed(r->events.context, subscribed);
    }
}

static void write_dirty(struct redis *r)
{
    struct list *first;

    while ((first = list_first(&r->world.dirty)))
        redis_link_write_dirty(first);
}

void redis_write(struct redis *r)
{
    wheel_stop(&r->timer);
    if (r->resubscribe) {
        r->resubscribe = false;
        redis_channels_drop(r);
    }
    if (r->look) {
        r->look = false;
        redis_channels_look(r);
        judge(r);
    }
    if (r->slots)
        redis_slots_flush(r);
    write_dirty(r);
    if (r->failed_len)
        end_failed(r);
    write_dirty(r);
    if (r->look)
        redis_soon(r, 0);
}

static void on_soon(struct timer *t)
{
    (void)t; /* redis_write comes in this very turn */
}

void redis_soon(struct redis *r, int64_t in_ms)
{
    int64_t due_ms = r->world.loop->now_ms + in_ms;

    if (!timer_is_armed(&r->timer) || r->timer.due_ms > due_ms)
        wheel_start(&r->world.loop->wheel, &r->timer, due_ms);
}

void redis_on_ready(struct redis *r, uint64_t tag, uint32_t events)
{
    struct redis_link *l = redis_link_tagged(&r->world, tag);

    if (l)
        redis_link_on_ready(l, events);
}

/* ---- commands ---- */

static void give_to(struct redis *r, uint32_t master, const struct bytes *argv, int argc,
                    struct redis_ask *ask)
{
    const struct redis_node *n = master < r->masters.len ? r->masters.at[master] : NULL;

    ask->number = ++r->last_number;
    ask->slot = REDIS_NO_SLOT;
    if (!n || r->closing || redis_link_give(n->commands, argv, argc, ask))
        redis_fail_later(r, ask);
}

static void give(struct redis *r, const struct bytes *argv, int argc, int key,
                 struct redis_ask *ask)
{
    if (!r->slots || key < 0) {
        give_to(r, 0, argv, argc, ask);
        return;
    }
    ask->number = ++r->last_number;
    if (r->closing)
        redis_fail_later(r, ask);
    else
        redis_slots_command(r, argv, argc, key, ask);
}

void redis_command_on(struct redis *r, uint32_t master, const struct bytes *argv, int argc,
                      redis_done *done, void *context)
{
    give_to(r, master, argv, argc, &(struct redis_ask){.done = done, .context = context});
}

void redis_command(struct redis *r, const struct bytes *argv, int argc, int key, redis_done *done,
                   void *context)
{
    give(r, argv, argc, key, &(struct redis_ask){.done = done, .context = context});
}

void redis_publish(struct redis *r, struct bytes channel, struct bytes payload, redis_done *done,
                   void *context)
{
    give(r, (struct bytes[]){BYTES("SPUBLISH"), channel, payload}, 3, 1,
         &(struct redis_ask){.done = done, .context = context, .kind = REDIS_ASK_PUBLISH});
}

void redis_subscribe(struct redis *r, struct bytes channel)
{
    redis_channels_add(r, channel);
}

void redis_resubscribe(struct redis *r)
{
    r->resubscribe = true;
    redis_soon(r, 0);
}

/* ---- what is known ---- */

bool redis_is_up(const struct redis *r)
{
    return r->up;
}

uint32_t redis_masters(const struct redis *r)
{
    return r->masters.len;
}

const char *redis_tag_of(const struct redis *r, uint32_t master)
{
    const struct redis_node *n = master < r->masters.len ? r->masters.at[master] : NULL;

    return n ? n->tag : NULL;
}

uint32_t redis_master_of(const struct redis *r, struct bytes key)
{
    const struct redis_node *n = r->slots ? redis_slots_owner(r, redis_slot(key)) : NULL;

    return n && n->index != REDIS_NO_MASTER ? n->index : 0;
}

/* ---- its life ---- */

static enum redis_shape shape_of(const struct redis_settings *set)
{
    if (set->nodes && set->nodes[0])
        return REDIS_CLUSTER;
    return set->sentinel_master ? REDIS_SENTINEL : REDIS_SINGLE;
}

static enum err open_single(struct redis *r)
{
    struct redis_address at;

    if (!redis_address_set(&at, bytes_text(r->set->host), r->set->port)) {
        log_error("redis settings", LOG_STR("reason", "pushca.storage.redis.host or port is none"));
        return ERR_BAD;
    }
    redis_node_only(r, &at);
    return ERR_OK;
}

static enum err open_parts(struct redis *r)
{
    struct problem why;
    enum err e = redis_tls_open(r->set, &r->world.tls, &why);

    if (e) {
        log_error("redis settings", LOG_STR("reason", why.text));
        return e;
    }
    if (r->shape == REDIS_CLUSTER)
        redis_slots_open(r);
    return r->shape == REDIS_SINGLE ? open_single(r) : redis_finder_open(r);
}

enum err redis_open(struct redis **out, struct loop *loop, const struct redis_settings *set,
                    const struct redis_events *events)
{
    struct redis *r = mem_new(struct redis);
    enum err e;

    r->set = set;
    r->events = *events;
    r->shape = shape_of(set);
    r->world.loop = loop;
    r->world.set = set;
    r->world.events = &link_events;
    r->world.by_sentinel = r->shape == REDIS_SENTINEL;
    r->world.is_cluster = r->world.keeps = r->shape == REDIS_CLUSTER;
    r->world.input = mem_alloc(REDIS_INPUT_BYTES);
    rand_init(&r->world.rand);
    rand_fill(&r->world.rand, &r->key, sizeof(r->key));
    list_init(&r->world.links);
    list_init(&r->world.dirty);
    timer_init(&r->timer, on_soon);
    e = open_parts(r);
    if (e)
        redis_close(r, true);
    else
        *out = r;
    return e;
}

void redis_close(struct redis *r, bool quiet)
{
    if (!r)
        return;
    r->closing = true;
    redis_finder_close(r);
    while (r->nodes.len)
        redis_node_free(r, r->nodes.at[r->nodes.len - 1], quiet);
    if (r->slots)
        redis_slots_close(r, quiet);
    for (int i = 0; !quiet && r->failed_len && i < LAST_ROUNDS; i++)
        end_failed(r);
    wheel_stop(&r->timer);
    redis_channels_free(r);
    vec_fini(&r->nodes);
    vec_fini(&r->masters);
    mem_free(r->failed);
    tls_client_close(r->world.tls);
    explicit_bzero(&r->world.rand, sizeof(r->world.rand));
    mem_free(r->world.input);
    mem_free(r);
}
