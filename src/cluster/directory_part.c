#include "cluster/directory_part.h"

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

enum {
    WINDOW = 4096,
    MASTERS_MAX = 1024,
    MARK_BEATS = 4,
    STILL_MS = 1000, /* of a Redis Cluster: no master has changed for so long */
};

static void list_if_ready(struct directory *d);
static void pump(struct directory *d);

/* ---- marks ---- */

int64_t directory_mark_ms(const struct directory *d)
{
    return MARK_BEATS * d->members->set.beat_ms;
}

bool directory_mark_key(const struct directory *d, uint32_t master, const char *id, struct buf *out)
{
    const char *tag = redis_tag_of(d->redis, master);

    if (!tag)
        return false;
    buf_printf(out, "%s:whole:{%s}:%s", d->set.prefix, tag, id);
    return true;
}

static void mark_value(const struct directory *d, const struct part *p, char out[40])
{
    snprintf(out, 40, "%016" PRIx64 " %016" PRIx64, d->set.life, p->epoch);
}

/* Stands in the mark's place until all is written: if it does not any more when the mark is set,
   what was written before may be lost as well. */
static void place_value(const struct part *p, char out[40])
{
    snprintf(out, 40, "-%016" PRIx64, p->epoch);
}

/* The part an op was given for, unless it counts no more. */
static struct part *part_of(const struct op *op)
{
    struct directory *d = op->d;

    if (op->master >= d->part_count || d->parts[op->master].round != op->round)
        return NULL;
    return &d->parts[op->master];
}

static struct op *part_op(struct directory *d, uint32_t master)
{
    struct op *op = directory_op(d, 0);

    op->master = master;
    op->round = d->parts[master].round;
    return op;
}

/* So long at most, if it is set or renewed now. */
static void mark_stands(const struct directory *d, struct part *p)
{
    p->stands_ms = d->loop->now_ms + directory_mark_ms(d);
}

static void on_taken_back(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct part *p = &op->d->parts[op->master];

    directory_op_free(op);
    if (reply && reply->type == REDIS_REPLY_INTEGER && p->state < PART_MARKING)
        p->stands_ms = 0;
}

static void take_mark_back(struct directory *d, uint32_t master)
{
    struct bytes argv[] = {BYTES("DEL"), {0}};

    d->key.len = 0;
    if (!directory_mark_key(d, master, d->set.id, &d->key))
        return;
    argv[1] = buf_bytes(&d->key);
    redis_command_on(d->redis, master, argv, 2, on_taken_back, part_op(d, master));
}

static void needs(struct directory *d, uint32_t master, int64_t due_ms)
{
    struct part *p = &d->parts[master];

    p->state = PART_NEEDS;
    p->round++;
    p->pending = 0;
    p->listed = false;
    p->due_ms = due_ms;
}

void directory_part_failed(struct directory *d, uint32_t master)
{
    if (master >= d->part_count || d->parts[master].state == PART_NEEDS)
        return;
    if (d->parts[master].state >= PART_MARKING)
        take_mark_back(d, master);
    needs(d, master, d->loop->now_ms + DIRECTORY_RETRY_MS);
    list_if_ready(d);
}

static bool is_ok(const struct redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STATUS;
}

/* over: only where something stands, and what that was is told. */
static void set_mark(struct directory *d, uint32_t master, const char *value, bool over,
                     redis_done *done)
{
    char ms[24];
    struct bytes argv[] = {BYTES("SET"), {0},         bytes_text(value), BYTES("PX"),
                           {0},          BYTES("XX"), BYTES("GET")};

    d->key.len = 0;
    if (!directory_mark_key(d, master, d->set.id, &d->key)) {
        needs(d, master, d->loop->now_ms + DIRECTORY_RETRY_MS);
        return;
    }
    snprintf(ms, sizeof(ms), "%lld", (long long)directory_mark_ms(d));
    argv[1] = buf_bytes(&d->key);
    argv[4] = bytes_text(ms);
    redis_command_on(d->redis, master, argv, over ? 7 : 5, done, part_op(d, master));
}

static void on_probed(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct part *p = part_of(op);
    uint32_t master = op->master;

    directory_op_free(op);
    if (!p)
        return;
    if (!is_ok(reply)) {
        needs(d, master, d->loop->now_ms + DIRECTORY_RETRY_MS);
        return;
    }
    p->state = PART_READY;
    list_if_ready(d);
}

/* Takes the mark back, which a full Redis allows, and puts something into its place that is none,
   which it does not. */
static void probe(struct directory *d, uint32_t master)
{
    struct part *p = &d->parts[master];
    char value[40];

    p->state = PART_PROBING;
    rand_fill(&d->rand, &p->epoch, sizeof(p->epoch));
    place_value(p, value);
    take_mark_back(d, master);
    set_mark(d, master, value, false, on_probed);
}

static void lost(struct directory *d, uint32_t master)
{
    log_warn("directory lost", LOG_NUM("master", master));
    needs(d, master, d->loop->now_ms);
    probe(d, master);
    list_if_ready(d);
}

static bool is_text(const struct redisReply *reply, const char *text)
{
    return directory_is_string(reply) && bytes_equal(directory_text(reply), bytes_text(text));
}

static void on_marked(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct part *p = part_of(op);
    uint32_t master = op->master;
    char value[40];

    directory_op_free(op);
    if (!p)
        return;
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        directory_part_failed(d, master);
        return;
    }
    place_value(p, value);
    if (!is_text(reply, value)) {
        take_mark_back(d, master);
        lost(d, master);
        return;
    }
    p->state = PART_WHOLE;
    p->was_whole = true;
    mark_stands(d, p);
    log_info("directory whole", LOG_NUM("master", master));
}

static void mark_if_complete(struct directory *d, uint32_t master)
{
    struct part *p = &d->parts[master];
    char value[40];

    if (p->state != PART_LISTING || !p->listed || p->pending)
        return;
    p->state = PART_MARKING;
    mark_stands(d, p);
    mark_value(d, p, value);
    set_mark(d, master, value, true, on_marked);
}

static void on_renewed(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct part *p = part_of(op);
    uint32_t master = op->master;
    char mark[40], place[40];

    directory_op_free(op);
    if (!p || !reply)
        return; /* not renewed, it runs out, and that is found out */
    mark_value(d, p, mark);
    place_value(p, place);
    if (p->state == PART_WHOLE && is_text(reply, mark))
        mark_stands(d, p);
    else if (!is_text(reply, mark) && (p->state == PART_WHOLE || !is_text(reply, place)))
        lost(d, master);
}

/* GETEX: a full Redis lets it through. */
static void renew(struct directory *d, uint32_t master)
{
    char ms[24];
    struct bytes argv[] = {BYTES("GETEX"), {0}, BYTES("PX"), {0}};

    d->key.len = 0;
    if (!directory_mark_key(d, master, d->set.id, &d->key))
        return;
    snprintf(ms, sizeof(ms), "%lld", (long long)directory_mark_ms(d));
    if (d->parts[master].state >= PART_MARKING)
        mark_stands(d, &d->parts[master]);
    argv[1] = buf_bytes(&d->key);
    argv[3] = bytes_text(ms);
    redis_command_on(d->redis, master, argv, 4, on_renewed, part_op(d, master));
}

/* ---- writing again ---- */

/* Starts a list for all parts that are ready, unless one is being made. */
static void list_if_ready(struct directory *d)
{
    bool any = false;

    if (d->listing || d->withdrawn)
        return;
    for (uint32_t i = 0; i < d->part_count; i++)
        if (d->parts[i].state == PART_READY) {
            d->parts[i].state = PART_LISTING;
            any = true;
        }
    if (!any)
        return;
    d->listing = true;
    d->events.on_list(d->events.context);
}

static void queue_push(struct directory *d, struct again a)
{
    if (d->queue_head + d->queue_len == d->queue_cap && d->queue_head > d->queue_cap / 2) {
        memmove(d->queue, d->queue + d->queue_head, d->queue_len * sizeof(a));
        d->queue_head = 0;
    }
    if (d->queue_head + d->queue_len == d->queue_cap) {
        d->queue_cap = d->queue_cap ? d->queue_cap * 2 : 64;
        d->queue = mem_resize(d->queue, d->queue_cap * sizeof(a));
    }
    d->queue[d->queue_head + d->queue_len++] = a;
}

static bool queue_pop(struct directory *d, struct again *a)
{
    if (!d->queue_len) {
        mem_free(d->queue); /* a list comes seldom */
        d->queue = NULL;
        d->queue_head = d->queue_cap = 0;
        return false;
    }
    *a = d->queue[d->queue_head++];
    d->queue_len--;
    return true;
}

void directory_queue(struct directory *d, uint64_t hash, bool wanted)
{
    uint32_t master = directory_master_of(d, hash);

    if (master >= d->part_count || d->parts[master].state != PART_LISTING)
        return;
    d->parts[master].pending++;
    queue_push(d, (struct again){hash, master, d->parts[master].round, wanted});
}

void directory_put_again(struct directory *d, uint64_t hash)
{
    if (!d->listing)
        return;
    directory_queue(d, hash, false);
    pump(d);
}

void directory_listed(struct directory *d)
{
    if (!d->listing)
        return;
    directory_settle_wanted(d);
    d->listing = false;
    for (uint32_t i = 0; i < d->part_count; i++) {
        d->parts[i].listed = d->parts[i].state == PART_LISTING;
        mark_if_complete(d, i);
    }
    pump(d);
    list_if_ready(d);
}

static void settled(struct directory *d, const struct again *a)
{
    struct part *p = a->master < d->part_count ? &d->parts[a->master] : NULL;

    if (!p || p->round != a->round)
        return;
    p->pending--;
    mark_if_complete(d, a->master);
}

static void look_later(struct directory *d, const struct again *a)
{
    struct again *kept = mem_alloc(sizeof(*kept));

    *kept = *a;
    vec_push(&d->later, kept);
}

static void on_replaced(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct again a = {op->hash, op->master, op->round, op->wanted};
    bool superseded = op->superseded, alive = part_of(op) != NULL;

    directory_write_done(op);
    d->under_way--;
    if (!reply || reply->type != REDIS_REPLY_INTEGER) {
        if (alive)
            directory_part_failed(d, a.master);
    } else if (reply->integer == 1 || superseded) {
        if (!superseded)
            directory_settled(d, a.hash);
        settled(d, &a);
    } else if (alive) {
        queue_push(d, a); /* somebody was quicker: look again */
    }
    pump(d);
}

static void replace(struct directory *d, const struct again *a, struct bytes old)
{
    struct op *op = directory_write_op(d, a->hash, true);

    op->master = a->master;
    op->round = a->round;
    op->wanted = a->wanted;
    d->under_way++;
    directory_replace(op, old, buf_bytes(&d->owner), on_replaced);
}

/* A living node's. Who came while it could not be written came later; else that node is asked. */
static void contest(struct directory *d, const struct again *a, struct peer *peer)
{
    if (directory_is_wanted(d, a->hash)) {
        directory_put(d, a->hash, NULL, NULL, 0);
        settled(d, a);
        return;
    }
    d->events.on_contest(d->events.context, a->hash, peer);
    look_later(d, a);
}

/* Somebody's entry stands where ours should. */
static void look_at_other(struct directory *d, const struct again *a, struct bytes value)
{
    struct peer *peer = NULL;

    switch (directory_owner_of(d, value, &peer)) {
    case OWNER_LEFT:
    case OWNER_ENDED:
    case OWNER_JUNK:
        replace(d, a, value);
        break;
    case OWNER_STRANGER:
        look_later(d, a);
        break;
    case OWNER_PEER:
        contest(d, a, peer);
        break;
    case OWNER_US:
        directory_settled(d, a->hash);
        settled(d, a);
        break;
    }
}

static void on_put_again(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct again a = {op->hash, op->master, op->round, op->wanted};
    bool superseded = op->superseded, alive = part_of(op) != NULL;

    directory_write_done(op);
    d->under_way--;
    if (reply && reply->type == REDIS_REPLY_NIL) {
        if (!superseded)
            directory_settled(d, a.hash);
        settled(d, &a);
    } else if (reply && directory_is_string(reply)) {
        if (superseded)
            settled(d, &a); /* that one counts for itself */
        else if (alive)
            look_at_other(d, &a, directory_text(reply));
    } else if (alive) {
        directory_part_failed(d, a.master);
    }
    pump(d);
}

/* Does it still count, and is there still such a client? A write that is under way has the last
 * word.
 */
static bool counts(const struct directory *d, const struct again *a)
{
    return a->master < d->part_count && d->parts[a->master].round == a->round;
}

static bool is_due(const struct directory *d, const struct again *a)
{
    if (map_find(&d->writes, a->hash, directory_same, NULL))
        return false;
    return a->wanted ? directory_is_wanted(d, a->hash) : directory_is_here(d, a->hash);
}

static void send_again(struct directory *d, const struct again *a)
{
    struct op *op = directory_write_op(d, a->hash, true);
    const struct bytes argv[] = {BYTES("SET"), buf_bytes(&d->key), buf_bytes(&d->owner),
                                 BYTES("NX"), BYTES("GET")};

    op->master = a->master;
    op->round = a->round;
    op->wanted = a->wanted;
    d->under_way++;
    redis_command(d->redis, argv, 5, 1, on_put_again, op);
}

static void pump(struct directory *d)
{
    struct again a;

    while (d->under_way < WINDOW && queue_pop(d, &a)) {
        if (!counts(d, &a))
            continue;
        if (is_due(d, &a))
            send_again(d, &a);
        else
            settled(d, &a);
    }
}

/* ---- all parts ---- */

void directory_parts_init(struct directory *d)
{
    d->parts = NULL;
}

static void drop_part(struct part *p)
{
    vec_fini(&p->doubts);
}

void directory_parts_fini(struct directory *d)
{
    for (uint32_t i = 0; i < d->part_count; i++)
        drop_part(&d->parts[i]);
    mem_free(d->parts);
    mem_free(d->queue);
    for (uint32_t i = 0; i < d->later.len; i++)
        mem_free(d->later.at[i]);
    vec_fini(&d->later);
}

/* As many as there are masters now; parts never become fewer, those without a master just wait. */
static void fit(struct directory *d)
{
    uint32_t n = redis_masters(d->redis);

    if (n > MASTERS_MAX)
        n = MASTERS_MAX;
    if (n <= d->part_count)
        return;
    d->parts = mem_resize(d->parts, n * sizeof(*d->parts));
    while (d->part_count < n)
        d->parts[d->part_count++] = (struct part){0};
}

/* While slots move, masters change every moment, and each change makes what was listed for them
   worthless. The first list of a life does not wait: until then nobody finds us. */
static bool must_stand_still(const struct directory *d, uint32_t master)
{
    return redis_masters(d->redis) > 1 && d->parts[master].was_whole;
}

void directory_on_master(struct directory *d, uint32_t master)
{
    fit(d);
    if (d->withdrawn || master >= d->part_count)
        return;
    directory_sweep_on_master(d, master);
    if (must_stand_still(d, master)) {
        d->still_ms = d->loop->now_ms + STILL_MS;
        take_mark_back(d, master);
        needs(d, master, d->still_ms);
    } else {
        needs(d, master, d->loop->now_ms);
        probe(d, master);
    }
    list_if_ready(d);
}

void directory_parts_beat(struct directory *d)
{
    uint32_t masters, n = d->later.len;

    fit(d);
    masters = redis_masters(d->redis);
    for (uint32_t i = 0; i < d->part_count && i < masters; i++) {
        if (d->parts[i].state == PART_NEEDS && d->parts[i].due_ms <= d->loop->now_ms &&
            (!must_stand_still(d, i) || d->still_ms <= d->loop->now_ms))
            probe(d, i);
        else if (d->parts[i].state >= PART_READY)
            renew(d, i);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct again *a = d->later.at[i];

        queue_push(d, *a);
        mem_free(a);
    }
    d->later.len = 0;
    pump(d);
}

bool directory_is_whole(const struct directory *d)
{
    uint32_t masters = redis_masters(d->redis);

    for (uint32_t i = 0; i < masters; i++)
        if (i >= d->part_count || d->parts[i].state != PART_WHOLE)
            return false;
    return masters > 0;
}

bool directory_may_mislead(const struct directory *d)
{
    for (uint32_t i = 0; i < d->part_count; i++)
        if (d->parts[i].state < PART_MARKING && d->loop->now_ms < d->parts[i].stands_ms)
            return true;
    return false;
}

void directory_withdraw(struct directory *d)
{
    uint32_t masters = redis_masters(d->redis);

    d->withdrawn = true;
    for (uint32_t i = 0; i < d->part_count && i < masters; i++) {
        take_mark_back(d, i);
        needs(d, i, 0);
    }
}
