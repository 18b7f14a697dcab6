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
    AFTER_FAILURE_MS = 1000,
    PAUSE_MS = 10,          /* after each slice, so that a sweep is not all Redis does; */
    BUSY_MS = 20,           /* if somebody waits for it, after those of so long, */
    UNDER_WAY = 3000,       /* and the next one is asked for before all of one is answered */
    LONGEST_MS = 3600000,   /* then a pass is given up: its cursor never ends */
    KEYS_OF_A_SLICE = 8192, /* asked for are 1,000; Redis may give some more */
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

    if (record_is_left(value, &id))
        return OWNER_LEFT;
    if (record_owner_read(value, &id, &life))
        return OWNER_JUNK;
    if (life == d->set.life && bytes_equal(id, bytes_text(d->set.id)))
        return OWNER_US;
    *peer = membership_find(d->members, id, life);
    if (*peer)
        return OWNER_PEER;
    return has_ended(d, life_of(d, life)) ? OWNER_ENDED : OWNER_STRANGER;
}

/* ---- which masters may have entries of ours that are wrong ---- */

static bool is_suspect(const struct directory *d, uint32_t master)
{
    return master < d->part_count && d->parts[master].suspect;
}

static bool any_suspect(const struct directory *d)
{
    for (uint32_t i = 0; i < d->part_count; i++)
        if (d->parts[i].suspect)
            return true;
    return false;
}

void directory_suspect(struct directory *d, uint32_t master)
{
    if (master < d->part_count)
        d->parts[master].suspect = true;
}

/* "run_id:<40 hex digits>": of one process. Empty: it does not say. */
static struct bytes run_of(const struct redisReply *reply)
{
    struct bytes head, rest, run;

    if (!reply || !directory_is_string(reply) ||
        !bytes_cut(directory_text(reply), BYTES("run_id:"), &head, &rest) ||
        !bytes_cut(rest, BYTES("\r\n"), &run, &head) || run.len >= DIRECTORY_RUN_TEXT)
        return (struct bytes){0};
    return run;
}

/* Another process than the one we wrote to may know what was true before: it was started again from
   what it had saved, or took a master's place and had not heard the last of it. */
static void on_server(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct part *p = op->master < d->part_count ? &d->parts[op->master] : NULL;
    struct bytes run = run_of(reply);

    directory_op_free(op);
    if (!p)
        return;
    if (p->is_known && (!run.len || !bytes_equal(run, bytes_text(p->run)))) {
        p->suspect = true;
        directory_sweep_beat(d);
    }
    p->is_known = true;
    memcpy(p->run, run.at ? run.at : "", run.len);
    p->run[run.len] = '\0';
}

void directory_sweep_on_master(struct directory *d, uint32_t master)
{
    const struct bytes argv[] = {BYTES("INFO"), BYTES("server")};
    struct op *op = directory_op(d, 0);

    op->master = master;
    redis_command_on(d->redis, master, argv, 2, on_server, op);
}

/* ---- a pass over the masters ---- */

static void fail(struct directory *d)
{
    d->sweep.failed = true;
    if (d->sweep.own)
        directory_suspect(d, d->sweep.master);
}

static void end_pass(struct directory *d)
{
    struct sweep *s = &d->sweep;
    int64_t now = d->loop->now_ms;

    s->active = false;
    if (s->failed) {
        s->due_ms = now + AFTER_FAILURE_MS;
        s->again |= s->all;
        return;
    }
    if (s->all)
        s->due_ms = now + EVERY_MS;
    if (s->saw_stranger && s->due_ms > now + DIRECTORY_STRANGER_MS + 1000)
        s->due_ms = now + DIRECTORY_STRANGER_MS + 1000;
}

static void go_on(struct directory *d);

static void slice_reply(struct directory *d)
{
    d->sweep.outstanding--;
    go_on(d);
}

static void on_removed(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;

    if (!reply)
        fail(d);
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

/* Ours, and the client is not. A write that is under way has the last word. */
static bool is_stray(const struct directory *d, uint64_t hash)
{
    return d->sweep.own && !directory_is_here(d, hash) &&
           !map_find(&d->writes, hash, directory_same, NULL);
}

static void look_at_entry(struct directory *d, uint64_t hash, struct bytes value)
{
    struct peer *peer = NULL;

    switch (directory_owner_of(d, value, &peer)) {
    case OWNER_US:
        if (is_stray(d, hash))
            directory_remove(d, hash);
        break;
    case OWNER_ENDED:
        if (d->sweep.all || membership_is_first(d->members))
            remove_entry(d, hash, value);
        break;
    case OWNER_STRANGER:
        d->sweep.saw_stranger = true;
        break;
    case OWNER_PEER: /* that one looks itself */
    case OWNER_LEFT: /* runs out */
    case OWNER_JUNK:
        break;
    }
}

static void on_entry(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    uint64_t hash = op->hash;

    directory_op_free(op);
    if (!reply)
        fail(d);
    else if (directory_is_string(reply))
        look_at_entry(d, hash, directory_text(reply));
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

/* What was asked about the last one may still be answered, and fail. */
static void end_master(struct sweep *s)
{
    s->next = s->master + 1;
    s->begun = false;
}

static void on_scanned(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct sweep *s = &d->sweep;

    directory_op_free(op);
    s->scanning = false;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !is_cursor(reply->element[0]) || reply->element[1]->type != REDIS_REPLY_ARRAY) {
        fail(d);
        end_master(s);
    } else {
        memcpy(s->cursor, reply->element[0]->str, reply->element[0]->len);
        s->cursor[reply->element[0]->len] = '\0';
        look_at(d, reply->element[1]);
        if (strcmp(s->cursor, "0") == 0)
            end_master(s);
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
    d->sweep.scanning = true;
    d->sweep.outstanding++;
    redis_command_on(d->redis, d->sweep.master, argv, 6, on_scanned, directory_op(d, 0));
    buf_fini(&pattern);
}

/* The next master with something to look at. False: there is none. */
static bool begin_master(struct directory *d)
{
    struct sweep *s = &d->sweep;

    while (s->next < redis_masters(d->redis)) {
        s->master = s->next++;
        s->own = is_suspect(d, s->master);
        if (!s->own && !s->all)
            continue;
        if (s->own)
            d->parts[s->master].suspect = false;
        s->begun = true;
        memcpy(s->cursor, "0", 2);
        return true;
    }
    return false;
}

/* all: every master; else those with a suspicion only. */
static void start_pass(struct directory *d, bool all)
{
    struct sweep *s = &d->sweep;

    s->active = true;
    s->all = all;
    s->urgent = s->again || any_suspect(d);
    s->again = s->failed = s->saw_stranger = s->begun = false;
    s->begun_ms = d->loop->now_ms;
    s->next = 0;
    wheel_start(&d->loop->wheel, &s->timer, d->loop->now_ms);
}

static void next_slice(struct directory *d)
{
    struct sweep *s = &d->sweep;

    if (s->begun && d->loop->now_ms - s->begun_ms > LONGEST_MS) {
        fail(d);
        s->begun = false;
        s->next = redis_masters(d->redis);
    }
    if (!s->begun && s->outstanding) /* of this master; then the next one */
        return;
    if (!s->urgent && !s->outstanding && (s->again || any_suspect(d)))
        start_pass(d, true);
    else if (s->begun || begin_master(d))
        scan(d);
    else
        end_pass(d);
}

static void go_on(struct directory *d)
{
    struct sweep *s = &d->sweep;

    if (d->withdrawn || s->scanning || s->outstanding >= (s->urgent ? UNDER_WAY : 1) ||
        timer_is_armed(&s->timer))
        return;
    if (d->loop->now_ms >= s->rest_ms)
        wheel_start(&d->loop->wheel, &s->timer, d->loop->now_ms + PAUSE_MS);
    else
        next_slice(d);
}

static void on_due(struct timer *t)
{
    struct directory *d = container_of(t, struct directory, sweep.timer);

    if (d->withdrawn)
        return;
    d->sweep.rest_ms = d->loop->now_ms + (d->sweep.urgent ? BUSY_MS : 0);
    next_slice(d);
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

void directory_sweep_beat(struct directory *d)
{
    struct sweep *s = &d->sweep;
    bool is_due = s->due_ms <= d->loop->now_ms;

    if (d->withdrawn || s->active || (s->failed && !is_due))
        return;
    if (s->again || (is_due && membership_is_first(d->members)))
        start_pass(d, true);
    else if (any_suspect(d))
        start_pass(d, false);
    else if (is_due)
        s->due_ms = d->loop->now_ms + EVERY_MS;
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
    while ((link = list_first(&d->lives_oldest_first))) {
        list_remove(link);
        mem_free(container_of(link, struct life, link));
    }
    map_fini(&d->lives);
}
