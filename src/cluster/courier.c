#include "cluster/courier.h"

#include <hiredis/hiredis.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "cluster/arrivals.h"
#include "cluster/beats.h"
#include "cluster/node.h"
#include "cluster/take.h"

static struct bytes channel_of(struct cluster *c, const char *id)
{
    c->channel.len = 0;
    buf_printf(&c->channel, "%s:node:%s", c->set->prefix, id);
    return buf_bytes(&c->channel);
}

/* A batch on its way to one peer. */
struct published {
    struct list link;
    struct cluster *cluster;
    uint32_t peer;
    uint64_t first, end; /* numbers of its first item, and behind its last one */
};

/* Redis says how many heard it. */
static void on_published(void *context, const struct redisReply *reply)
{
    struct published *b = context;
    struct peer *p = membership_numbered(&b->cluster->members, b->peer);
    bool nobody = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;

    if (p) {
        stream_answered(&p->stream, b->end, !nobody && b->end > b->first);
        if (!nobody)
            p->unheard_ms = 0;
        else if (!p->unheard_ms)
            p->unheard_ms = cluster_now(b->cluster);
    }
    list_remove(&b->link);
    mem_free(b);
}

void courier_doubt(struct cluster *c, struct peer *p)
{
    struct list *link;

    for (link = c->published.next; link != &c->published; link = link->next) {
        const struct published *b = container_of(link, struct published, link);

        if (b->peer == p->number)
            stream_doubt(&p->stream, b->first, b->end);
    }
}

/* What stands in c->batch. */
static void publish(struct cluster *c, const char *to, redis_done *done, void *context)
{
    redis_publish(c->redis, channel_of(c, to), buf_bytes(&c->batch), done, context);
    meter_add(METER_CLUSTER_BATCHES, 1);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How much may be under way to one peer. */
static size_t flight(const struct cluster *c)
{
    return least(FLIGHT_BYTES / (c->members.peers.len + 1), FLIGHT_MOST);
}

/* How much more, now. What was sent again in vain may still wait in Redis, each time: until one of
   the peer's confirmations comes through, a batch is enough to find out. */
static size_t room(const struct cluster *c, const struct peer *p)
{
    size_t most = p->resends ? least(flight(c), BATCH_BYTES) : flight(c);

    return most > p->stream.sent_bytes ? least(most - p->stream.sent_bytes, BATCH_BYTES) : 0;
}

/* A batch with what it says for the stream, and behind it as many items as fit: one at least, if
   any may be sent. */
static void publish_to(struct cluster *c, struct peer *p, uint8_t flags)
{
    size_t most = room(c, p);
    struct batch b = {.flags = flags,
                      .from = bytes_text(c->id),
                      .from_life = c->hub->bus.life,
                      .to_life = p->life};
    struct published *sent = mem_new(struct published);
    uint64_t first;
    uint32_t count = 0;

    stream_head(&p->stream, &b);
    first = b.first;
    b.flags |= flags;
    b.now_ms = (uint64_t)cluster_now(c);
    c->batch.len = 0;
    batch_write(&c->batch, &b);
    if (most)
        count = stream_take(&p->stream, most, &c->batch, &first, cluster_now(c));
    *sent =
        (struct published){.cluster = c, .peer = p->number, .first = first, .end = first + count};
    list_push_back(&c->published, &sent->link);
    stream_published(&p->stream);
    publish(c, p->id, on_published, sent);
    stream_acked(&p->stream, cluster_now(c));
    p->taken_bytes = 0;
}

/* How much waits for the shard for which most does. */
static size_t heaviest_inbox(const struct cluster *c)
{
    size_t most = 0;
    uint32_t i;

    for (i = 0; i < c->hub->count; i++) {
        size_t weight = inbox_weight(&c->hub->shards[i]->inbox);

        most = weight > most ? weight : most;
    }
    return most;
}

void courier_confirm(struct cluster *c, struct peer *p)
{
    stream_hold(&p->stream, false);
    publish_to(c, p, 0);
}

enum { CLOCK_EVERY_MS = 10000 }; /* clocks drift: the quickest batch is of the last 10 to 20 s */

static bool is_owed(const struct cluster *c, const struct peer *p)
{
    const struct stream *s = &p->stream;

    return s->misses || (s->owes_ack && !s->holds &&
                         (p->taken_bytes >= least(CONFIRM_BYTES, flight(c) / 2) ||
                          cluster_now(c) - s->owes_since_ms >= ACK_AFTER_MS));
}

/* A batch that is not full waits until Redis has answered the one before: the busier all are, the
   more messages share one; and when nothing is under way none waits. */
static bool is_worth_a_batch(const struct stream *s)
{
    return !s->unanswered || stream_unsent_bytes(s) >= BATCH_BYTES;
}

static void write_one(struct cluster *c, struct peer *p)
{
    while (stream_has_unsent(&p->stream) && room(c, p) && is_worth_a_batch(&p->stream))
        publish_to(c, p, 0);
    if (is_owed(c, p))
        publish_to(c, p, 0);
}

static void measure(struct cluster *c)
{
    int64_t bytes = 0;
    size_t waiting = c->queue.bytes + c->parked_bytes + c->rounds_bytes;
    bool full = waiting > c->set->waiting_bytes;
    uint32_t i;

    for (i = 0; i < c->members.peers.len; i++) {
        const struct peer *p = c->members.peers.at[i];

        bytes += (int64_t)p->stream.bytes;
        full = full || stream_is_full(&p->stream);
    }
    meter_add(METER_CLUSTER_UNCONFIRMED, bytes - c->unconfirmed);
    meter_add(METER_CLUSTER_WAITING, (int64_t)waiting - c->queued);
    c->unconfirmed = bytes;
    c->queued = (int64_t)waiting;
    atomic_store(&c->hub->bus.full, full);
}

void courier_write(struct cluster *c)
{
    bool pressed = heaviest_inbox(c) > c->inbox_bytes && !c->ending;
    uint32_t i;

    for (i = 0; i < c->members.peers.len && redis_is_up(c->redis); i++) {
        struct peer *p = c->members.peers.at[i];

        stream_hold(&p->stream, pressed && !p->leaving);
        write_one(c, p);
    }
    measure(c);
}

void courier_tick(struct cluster *c)
{
    uint32_t i;

    if (c->beat.away_ms) /* then it would only fill what does not flow */
        return;
    for (i = 0; i < c->members.peers.len; i++) {
        struct peer *p = c->members.peers.at[i];

        if (stream_waits_ms(&p->stream, cluster_now(c)) >= RESEND_AFTER_MS << p->resends) {
            meter_add(METER_CLUSTER_RESENT, p->stream.sent);
            stream_rewind(&p->stream);
            if (p->resends < RESEND_TWICE_MOST)
                p->resends++;
        }
    }
}

void courier_beat(struct cluster *c, bool to_all)
{
    struct batch own = {.flags = BATCH_BEAT,
                        .from = bytes_text(c->id),
                        .from_life = c->hub->bus.life,
                        .to_life = c->hub->bus.life};
    uint32_t i;

    c->batch.len = 0;
    batch_write(&c->batch, &own);
    publish(c, c->id, NULL, NULL);
    for (i = 0; to_all && i < c->members.peers.len; i++)
        publish_to(c, c->members.peers.at[i], BATCH_BEAT);
}

void courier_forget_all(struct cluster *c)
{
    struct list *link;

    while ((link = list_first(&c->published))) {
        list_remove(link);
        mem_free(container_of(link, struct published, link));
    }
}

bool courier_is_done(const struct cluster *c)
{
    uint32_t i;

    for (i = 0; i < c->members.peers.len; i++) {
        const struct peer *p = c->members.peers.at[i];

        if (p->stream.count)
            return false;
    }
    return c->queue.count == 0;
}

/* ---- in ---- */

static void read_items(struct cluster *c, struct peer *p, const struct batch *b)
{
    struct bytes rest = b->items, item;
    uint64_t number = b->first;
    uint32_t life = p->number;

    while (rest.len && batch_next(&rest, &item) == ERR_OK) {
        enum stream_verdict verdict = stream_accept(&p->stream, number++, cluster_now(c));

        if (verdict == STREAM_GAP)
            return;
        if (verdict == STREAM_OLD)
            continue;
        meter_add(METER_CLUSTER_TAKEN, 1);
        p->taken_bytes += item.len;
        if (p->skip) {
            p->skip--;
            continue;
        }
        take(c, p, item);
        p = membership_numbered(&c->members, life); /* it may have said BYE */
        if (!p)
            return;
    }
}

/* By how much our clock is ahead of theirs: by what the quickest batch of late says. Read anew: by
   a turn's own time a batch might have come before it was sent. */
static void look_at_clock(struct peer *p, const struct batch *b)
{
    int64_t now = clock_mono_ms(), ahead = (int64_t)((uint64_t)now - b->now_ms), least, late;

    if (!p->heard_ms) {
        p->ahead_ms[0] = p->ahead_ms[1] = ahead;
        p->ahead_since_ms = now;
    } else if (now - p->ahead_since_ms >= CLOCK_EVERY_MS) {
        p->ahead_ms[1] = p->ahead_ms[0];
        p->ahead_ms[0] = ahead;
        p->ahead_since_ms = now;
    } else if (ahead < p->ahead_ms[0]) {
        p->ahead_ms[0] = ahead;
    }
    least = p->ahead_ms[0] < p->ahead_ms[1] ? p->ahead_ms[0] : p->ahead_ms[1];
    p->batch_ms = (int64_t)b->now_ms;
    late = (int64_t)((uint64_t)ahead - (uint64_t)least);
    p->clock_ms = late < 0 || late > LATE_MOST_MS ? ahead : least; /* a clock that makes no sense */
}

static void read_batch(struct cluster *c, struct peer *p, const struct batch *b)
{
    uint32_t sent = p->stream.sent;
    uint64_t first = p->stream.first;

    look_at_clock(p, b);
    p->heard_ms = cluster_now(c);
    if (stream_read(&p->stream, b, cluster_now(c)))
        return;
    if (p->stream.first > first) {
        p->resends = 0;
        arrivals_on_confirmed(c);
    } else if (p->stream.sent < sent) {
        meter_add(METER_CLUSTER_RESENT, sent);
    }
    if (!c->gone && heaviest_inbox(c) <= c->inbox_bytes + FLOOD_BYTES)
        read_items(c, p, b);
}

void courier_on_message(void *cluster, struct bytes channel, struct bytes payload)
{
    struct cluster *c = cluster;
    struct batch b;
    struct peer *p;

    (void)channel;
    if (batch_read(payload, &b))
        return;
    if (b.from_life == b.to_life && b.from_life != c->hub->bus.life &&
        b.from_life != c->former_life && bytes_equal(b.from, bytes_text(c->id)))
        cluster_say_twin(c);
    if (b.to_life != c->hub->bus.life)
        return;
    if (b.from_life == c->hub->bus.life && bytes_equal(b.from, bytes_text(c->id))) {
        beats_on_echo(c);
        return;
    }
    p = membership_find(&c->members, b.from, b.from_life);
    if (p)
        read_batch(c, p, &b);
    else
        membership_beat(&c->members); /* somebody new */
}
