#include "cluster/directory_sweep.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include "base/log.h"
#include "base/mem.h"
#include "cluster/directory_state.h"
#include "cluster/membership.h"
#include "cluster/redis.h"
#include "flow/loop.h"

enum {
    FIRST_MS = 15000,
    EVERY_MS = 300000,
    AFTER_FAILURE_MS = 5000,
    PAUSE_MS = 10,          /* between two slices, so that a sweep is not all Redis does */
    LONGEST_MS = 3600000,   /* then a pass is given up: its cursor never ends */
    KEYS_OF_A_SLICE = 8192, /* asked for are 1,000; Redis may give some more */
    STRAYS_MAX = 65536,
};

/* Only if it is still what it was. */
static const char REMOVE[] = "if redis.call('GET',KEYS[1])==ARGV[1] then\n"
                             " return redis.call('DEL',KEYS[1])\n"
                             "end\n"
                             "return 0\n";

/* ---- which lives have ended ---- */

struct life {
    struct list link;
    uint64_t life;
    int64_t since_ms;
    bool ended;
};

static struct life *life_of(struct directory *d, uint64_t number)
{
    struct life *l = map_find(&d->lives, number, directory_same, NULL);

    if (l)
        return l;
    if (d->lives.len >= DIRECTORY_LIVES_MAX) {
        l = container_of(list_first(&d->lives_oldest_first), struct life, link);
        map_remove(&d->lives, l->life, l);
        list_remove(&l->link);
        mem_free(l);
    }
    l = mem_new(struct life);
    l->life = number;
    l->since_ms = d->loop->now_ms;
    map_add(&d->lives, number, l);
    list_push_back(&d->lives_oldest_first, &l->link);
    return l;
}

void directory_life_ended(struct directory *d, uint64_t life)
{
    life_of(d, life)->ended = true;
}

/* Whoever lives would have been listed by now. */
static bool has_ended(const struct directory *d, const struct life *l)
{
    const struct membership *m = d->members;

    return l->ended || (!m->refused && d->loop->now_ms - l->since_ms >= DIRECTORY_STRANGER_MS &&
                        m->answered_ms - l->since_ms >= DIRECTORY_STRANGER_MS / 2);
}

enum owner directory_owner_of(struct directory *d, struct bytes value, struct peer **peer)
{
    struct bytes id;
    uint64_t life;

    if (record_owner_read(value, &id, &life))
        return OWNER_JUNK;
    if (life == d->set.life && bytes_equal(id, bytes_text(d->set.id)))
        return OWNER_US;
    *peer = membership_find(d->members, id, life);
    if (*peer)
        return OWNER_PEER;
    return has_ended(d, life_of(d, life)) ? OWNER_ENDED : OWNER_STRANGER;
}

/* ---- a pass over all masters ---- */

static void end_pass(struct directory *d)
{
    struct sweep *s = &d->sweep;
    int64_t now = d->loop->now_ms;

    s->active = false;
    s->due_ms = now + EVERY_MS;
    if (s->saw_stranger)
        s->due_ms = now + DIRECTORY_STRANGER_MS + 1000;
    if (s->failed) {
        s->due_ms = now + AFTER_FAILURE_MS;
        s->again = true;
        s->own |= s->collecting;
    } else if (s->collecting) {
        s->own |= s->stray_count == STRAYS_MAX; /* the rest another time */
        s->strays_due_ms = now + DIRECTORY_STRANGER_MS;
    }
}

static void slice_reply(struct directory *d)
{
    if (--d->sweep.outstanding == 0)
        wheel_start(&d->loop->wheel, &d->sweep.timer, d->loop->now_ms + PAUSE_MS);
}

static void on_removed(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;

    d->sweep.failed |= !reply;
    directory_op_free(op);
    slice_reply(d);
}

static void remove_entry(struct directory *d, uint64_t hash, struct bytes value)
{
    const struct bytes argv[] = {BYTES("EVAL"), BYTES(REMOVE), BYTES("1"),
                                 directory_client_key(d, hash), value};

    d->sweep.outstanding++;
    redis_command(d->redis, argv, 5, 3, on_removed, directory_op(d, hash));
}

static void add_stray(struct directory *d, uint64_t hash)
{
    struct sweep *s = &d->sweep;

    if (!s->collecting || s->stray_count == STRAYS_MAX || directory_is_here(d, hash))
        return;
    if (!s->strays)
        s->strays = mem_alloc(STRAYS_MAX * sizeof(*s->strays));
    s->strays[s->stray_count++] = hash;
}

static void on_entry(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct peer *peer = NULL;

    d->sweep.failed |= !reply;
    if (reply && directory_is_string(reply)) {
        enum owner owner = directory_owner_of(d, directory_text(reply), &peer);

        if (owner == OWNER_ENDED)
            remove_entry(d, op->hash, directory_text(reply));
        else if (owner == OWNER_US)
            add_stray(d, op->hash);
        d->sweep.saw_stranger |= owner == OWNER_STRANGER;
    }
    directory_op_free(op);
    slice_reply(d);
}

/* The hash at the end of a client's key. */
static bool read_key(const struct directory *d, struct bytes key, uint64_t *hash)
{
    struct bytes prefix = bytes_text(d->set.prefix), rest;

    if (!bytes_starts(key, prefix))
        return false;
    rest = bytes_of(key.at + prefix.len, key.len - prefix.len);
    if (!bytes_starts(rest, BYTES(":client:")))
        return false;
    rest = bytes_of(rest.at + 8, rest.len - 8);
    if (bytes_equal(rest, BYTES("0000000000000000"))) {
        *hash = 0;
        return true;
    }
    return record_life_read(rest, hash) == ERR_OK;
}

static void look_at(struct directory *d, const struct redisReply *keys)
{
    for (size_t i = 0; i < keys->elements && i < KEYS_OF_A_SLICE; i++) {
        uint64_t hash;

        if (directory_is_string(keys->element[i]) &&
            read_key(d, directory_text(keys->element[i]), &hash)) {
            const struct bytes argv[] = {BYTES("GET"), directory_client_key(d, hash)};

            d->sweep.outstanding++;
            redis_command(d->redis, argv, 2, 1, on_entry, directory_op(d, hash));
        }
    }
}

static bool is_cursor(const struct redisReply *r)
{
    if (!directory_is_string(r) || r->len == 0 || r->len >= sizeof(((struct sweep *)0)->cursor))
        return false;
    for (size_t i = 0; i < r->len; i++)
        if (r->str[i] < '0' || r->str[i] > '9')
            return false;
    return true;
}

static void next_master(struct sweep *s)
{
    s->master++;
    memcpy(s->cursor, "0", 2);
}

static void on_scanned(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct sweep *s = &d->sweep;

    directory_op_free(op);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !is_cursor(reply->element[0]) || reply->element[1]->type != REDIS_REPLY_ARRAY) {
        s->failed = true;
        next_master(s);
    } else {
        memcpy(s->cursor, reply->element[0]->str, reply->element[0]->len);
        s->cursor[reply->element[0]->len] = '\0';
        look_at(d, reply->element[1]);
        if (strcmp(s->cursor, "0") == 0)
            next_master(s);
    }
    slice_reply(d);
}

static void scan(struct directory *d)
{
    struct bytes argv[] = {BYTES("SCAN"),  bytes_text(d->sweep.cursor),
                           BYTES("MATCH"), {0},
                           BYTES("COUNT"), BYTES("1000")};
    struct buf pattern = {0};

    for (const char *c = d->set.prefix; *c; c++) {
        if (strchr("*?[]\\^", *c))
            buf_add_char(&pattern, '\\');
        buf_add_char(&pattern, *c);
    }
    buf_add(&pattern, BYTES(":client:*"));
    argv[3] = buf_bytes(&pattern);
    d->sweep.outstanding++;
    redis_command_on(d->redis, d->sweep.master, argv, 6, on_scanned, directory_op(d, 0));
    buf_fini(&pattern);
}

static void on_due(struct timer *t)
{
    struct directory *d = container_of(t, struct directory, sweep.timer);
    struct sweep *s = &d->sweep;

    if (d->withdrawn)
        return;
    if (d->loop->now_ms - s->begun_ms > LONGEST_MS)
        s->failed = true;
    else if (s->master < redis_masters(d->redis)) {
        scan(d);
        return;
    }
    end_pass(d);
}

static void start_pass(struct directory *d)
{
    struct sweep *s = &d->sweep;

    s->active = true;
    s->again = s->failed = s->saw_stranger = false;
    s->begun_ms = d->loop->now_ms;
    s->master = 0;
    memcpy(s->cursor, "0", 2);
    s->collecting = s->own;
    s->own = false;
    if (s->collecting) {
        s->stray_count = 0;
        s->strays_due_ms = 0;
    }
    wheel_start(&d->loop->wheel, &s->timer, d->loop->now_ms);
}

void directory_sweep(struct directory *d, const char *id, uint64_t life)
{
    (void)id;
    if (!membership_has_ended(d->members, life))
        return; /* let go because we live anew: it is back in a moment */
    directory_life_ended(d, life);
    if (!membership_is_first(d->members))
        return;
    d->sweep.again = true;
    if (!d->sweep.active) {
        d->sweep.due_ms = 0;
        directory_sweep_beat(d);
    }
}

bool directory_is_sweeping(const struct directory *d)
{
    return d->sweep.active || d->sweep.again;
}

static void remove_strays(struct directory *d)
{
    struct sweep *s = &d->sweep;

    for (size_t i = 0; i < s->stray_count; i++)
        if (!directory_is_here(d, s->strays[i]) &&
            !map_find(&d->writes, s->strays[i], directory_same, NULL))
            directory_remove(d, s->strays[i]);
    mem_free(s->strays);
    s->strays = NULL;
    s->stray_count = 0;
    s->strays_due_ms = 0;
}

void directory_sweep_beat(struct directory *d)
{
    struct sweep *s = &d->sweep;
    int64_t now = d->loop->now_ms;

    if (d->withdrawn || s->active)
        return;
    if (s->strays_due_ms) {
        if (s->strays_due_ms <= now)
            remove_strays(d);
    } else if (s->own && !s->again) {
        s->again = true;
    }
    if (s->due_ms > now && !(s->again && !s->failed))
        return;
    if (s->again || membership_is_first(d->members))
        start_pass(d);
    else
        s->due_ms = now + EVERY_MS;
}

void directory_sweep_init(struct directory *d)
{
    map_init(&d->lives);
    list_init(&d->lives_oldest_first);
    timer_init(&d->sweep.timer, on_due);
    d->sweep.due_ms = d->loop->now_ms + FIRST_MS;
}

void directory_sweep_fini(struct directory *d)
{
    struct list *link;

    wheel_stop(&d->sweep.timer);
    mem_free(d->sweep.strays);
    while ((link = list_first(&d->lives_oldest_first))) {
        list_remove(link);
        mem_free(container_of(link, struct life, link));
    }
    map_fini(&d->lives);
}
