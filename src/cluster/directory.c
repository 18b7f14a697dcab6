#include "cluster/directory.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include "base/log.h"
#include "base/mem.h"
#include "cluster/directory_state.h"
#include "cluster/directory_sweep.h"
#include "cluster/membership.h"
#include "cluster/redis.h"
#include "flow/loop.h"

/* For a while the entry says that it was ours: the others remember that, and whoever writes it next
   tells them. A full Redis may not even take that. Given whole each time: sent again by its text
   after a NOSCRIPT, it would overtake a later put. */
static const char REMOVE[] = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end\n"
                             "local r=redis.pcall('SET',KEYS[1],ARGV[2],'PX',ARGV[3])\n"
                             "if r.err then redis.call('DEL',KEYS[1]) end\n"
                             "return 1\n";

/* A write that failed. */
struct settle {
    uint64_t hash;
    bool put;
};

/* ---- shared ---- */

bool directory_same(const void *item, const void *key)
{
    (void)item;
    (void)key;
    return true;
}

struct op *directory_op(struct directory *d, uint64_t hash)
{
    struct op *op = mem_new(struct op);

    op->d = d;
    op->hash = hash;
    list_push_back(&d->ops, &op->link);
    return op;
}

void directory_op_free(struct op *op)
{
    list_remove(&op->link);
    mem_free(op);
}

struct bytes directory_client_key(struct directory *d, uint64_t hash)
{
    d->key.len = 0;
    buf_printf(&d->key, "%s:client:%016" PRIx64, d->set.prefix, hash);
    return buf_bytes(&d->key);
}

uint32_t directory_master_of(struct directory *d, uint64_t hash)
{
    return redis_master_of(d->redis, directory_client_key(d, hash));
}

struct bytes directory_text(const struct redisReply *r)
{
    return bytes_of(r->str, r->len);
}

bool directory_is_string(const struct redisReply *r)
{
    return r->type == REDIS_REPLY_STRING;
}

struct op *directory_write_op(struct directory *d, uint64_t hash, bool put)
{
    struct op *before = map_find(&d->writes, hash, directory_same, NULL);
    struct op *op = directory_op(d, hash);

    if (before) {
        before->superseded = true;
        map_remove(&d->writes, hash, before);
    }
    op->put = put;
    op->master = directory_master_of(d, hash);
    map_add(&d->writes, hash, op);
    return op;
}

void directory_write_done(struct op *op)
{
    if (!op->superseded)
        map_remove(&op->d->writes, op->hash, op);
    directory_op_free(op);
}

/* ---- what failed ---- */

void directory_settled(struct directory *d, uint64_t hash)
{
    struct settle *s = map_find(&d->settle, hash, directory_same, NULL);

    if (!s)
        return;
    map_remove(&d->settle, hash, s);
    mem_free(s);
}

void directory_settle(struct directory *d, uint64_t hash, bool put)
{
    struct settle *s = map_find(&d->settle, hash, directory_same, NULL);

    if (s) {
        s->put = put;
        return;
    }
    if (d->settle.len >= DIRECTORY_SETTLE_MAX) {
        if (!put) /* a put that is not wanted any more is written again by a list */
            directory_suspect(d, directory_master_of(d, hash));
        return;
    }
    s = mem_new(struct settle);
    *s = (struct settle){hash, put};
    map_add(&d->settle, hash, s);
}

void directory_settle_wanted(struct directory *d)
{
    size_t cursor = 0;
    struct settle *s;

    while ((s = map_each(&d->settle, &cursor)))
        if (s->put)
            directory_queue(d, s->hash, true);
}

bool directory_is_wanted(const struct directory *d, uint64_t hash)
{
    const struct settle *s = map_find(&d->settle, hash, directory_same, NULL);

    return s && s->put;
}

bool directory_is_here(const struct directory *d, uint64_t hash)
{
    return !d->events.is_here || d->events.is_here(d->events.context, hash);
}

static void send_remove(struct directory *d, uint64_t hash);

/* Removes once more what could not be. Puts are written by the next list. */
static void remove_again(struct directory *d)
{
    uint64_t hashes[2048];
    size_t cursor = 0, n = 0;
    struct settle *s;

    while (n < sizeof(hashes) / sizeof(hashes[0]) && (s = map_each(&d->settle, &cursor)))
        if (!s->put && !map_find(&d->writes, s->hash, directory_same, NULL))
            hashes[n++] = s->hash;
    for (size_t i = 0; i < n; i++)
        send_remove(d, hashes[i]);
}

/* ---- put and remove ---- */

/* What stood there before: was it another node's, of whatever life? */
static bool was_others(const struct directory *d, struct bytes value)
{
    struct bytes id;
    uint64_t life;

    (void)record_is_left(value, &value);
    return record_owner_read(value, &id, &life) == ERR_OK &&
           !bytes_equal(id, bytes_text(d->set.id));
}

static void on_put(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    uint64_t hash = op->hash, token = op->token;
    directory_put_done *done = op->done;
    void *asker = op->context;
    uint32_t master = op->master;
    bool superseded = op->superseded;
    bool written = reply && (reply->type == REDIS_REPLY_NIL || directory_is_string(reply));
    bool moved = written && directory_is_string(reply) && was_others(d, directory_text(reply));

    directory_write_done(op);
    if (written && !superseded)
        directory_settled(d, hash);
    if (!written) {
        directory_part_failed(d, master); /* before anybody lets the client in */
        if (!superseded)
            directory_settle(d, hash, true);
    }
    if (moved && d->events.on_moved)
        d->events.on_moved(d->events.context, hash);
    if (done)
        done(asker, hash, token,
             !written ? DIRECTORY_UNWRITTEN
             : moved  ? DIRECTORY_MOVED
                      : DIRECTORY_WRITTEN);
}

void directory_put(struct directory *d, uint64_t hash, directory_put_done *done, void *context,
                   uint64_t token)
{
    struct op *op = directory_write_op(d, hash, true);
    const struct bytes argv[] = {BYTES("SET"), buf_bytes(&d->key), buf_bytes(&d->owner),
                                 BYTES("GET")};

    op->done = done;
    op->context = context;
    op->token = token;
    directory_settled(d, hash);
    directory_forget(d, hash);
    redis_command(d->redis, argv, 4, 1, on_put, op);
}

static void on_removed(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    bool superseded = op->superseded;
    uint64_t hash = op->hash;

    directory_write_done(op);
    if (superseded)
        return;
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        directory_settled(d, hash);
    else
        directory_settle(d, hash, false);
}

static void send_remove(struct directory *d, uint64_t hash)
{
    struct op *op = directory_write_op(d, hash, false);
    char ms[24];
    const struct bytes argv[] = {
        BYTES("EVAL"),
        BYTES(REMOVE),
        BYTES("1"),
        buf_bytes(&d->key),
        buf_bytes(&d->owner),
        buf_bytes(&d->left),
        bytes_of(ms, (size_t)snprintf(ms, sizeof(ms), "%" PRId64, d->set.left_ms))};

    redis_command(d->redis, argv, 7, 3, on_removed, op);
}

void directory_remove(struct directory *d, uint64_t hash)
{
    directory_settled(d, hash);
    send_remove(d, hash);
}

void directory_give_up(struct directory *d, uint64_t hash)
{
    if (directory_is_wanted(d, hash))
        directory_settled(d, hash);
}

/* ---- cache ---- */

bool directory_cached(struct directory *d, uint64_t hash, struct peer **peer)
{
    uint32_t number = directory_cache_find(&d->cache, hash, d->loop->now_ms);
    struct peer *p = number ? membership_numbered(d->members, number) : NULL;

    if (number && !p)
        directory_cache_forget(&d->cache, hash);
    if (p)
        *peer = p;
    return p != NULL;
}

void directory_forget(struct directory *d, uint64_t hash)
{
    directory_cache_forget(&d->cache, hash);
    directory_look_forget(d, hash);
}

void directory_forget_peer(struct directory *d, const struct peer *p)
{
    directory_cache_forget_peer(&d->cache, p->number);
}

/* ---- life ---- */

static void write_owner(struct directory *d)
{
    d->owner.len = 0;
    record_owner_write(&d->owner, d->set.id, d->set.life);
    d->left.len = 0;
    record_left_write(&d->left, d->set.id, d->set.life);
}

struct directory *directory_open(struct loop *loop, struct redis *redis,
                                 const struct membership *members,
                                 const struct directory_settings *set,
                                 const struct directory_events *events)
{
    struct directory *d = mem_new(struct directory);

    d->loop = loop;
    d->redis = redis;
    d->members = members;
    d->set = *set;
    d->events = *events;
    rand_init(&d->rand);
    list_init(&d->ops);
    map_init(&d->writes);
    map_init(&d->settle);
    directory_cache_init(&d->cache, set->cache_ms, set->cache_entries);
    write_owner(d);
    directory_parts_init(d);
    directory_look_init(d);
    directory_sweep_init(d);
    return d;
}

void directory_close(struct directory *d)
{
    struct list *link;
    struct settle *s;
    size_t cursor = 0;

    if (!d)
        return;
    directory_sweep_fini(d);
    directory_look_fini(d);
    directory_parts_fini(d);
    while ((link = list_first(&d->ops)))
        directory_op_free(container_of(link, struct op, link));
    while ((s = map_each(&d->settle, &cursor)))
        mem_free(s);
    map_fini(&d->settle);
    map_fini(&d->writes);
    directory_cache_fini(&d->cache);
    buf_fini(&d->owner);
    buf_fini(&d->left);
    buf_fini(&d->key);
    mem_free(d);
}

void directory_begin(struct directory *d, uint64_t life)
{
    directory_life_ended(d, d->set.life);
    d->set.life = life;
    write_owner(d);
    for (uint32_t i = 0; i < d->part_count; i++) {
        d->parts[i].was_whole = false;
        directory_on_master(d, i);
    }
}

void directory_beat(struct directory *d)
{
    if (d->withdrawn)
        return;
    directory_parts_beat(d);
    remove_again(d);
    directory_sweep_beat(d);
}
