#include "hub/delivery.h"

#include "base/mem.h"
#include "base/meter.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "flow/frame.h"
#include "flow/thread.h"
#include "hub/ask.h"
#include "hub/notification.h"
#include "hub/presence.h"
#include "hub/session.h"
#include "hub/shard.h"

struct delivery {
    struct timer timer;
    struct shard *shard;
    struct client *client; /* lives while deliveries of it are open */
    uint64_t hash;         /* of id */
    uint64_t ask;
    uint32_t asker, peer;
    char id[48];
};

void delivery_make_id(struct shard *s, char out[48])
{
    uuid7_write(out, clock_wall_ms(), &s->rand);
    memcpy(out + UUID_TEXT, "-0", 3);
}

static bool same(const void *item, const void *key)
{
    const struct delivery *d = item;
    const struct bytes *id = key;

    return bytes_equal(bytes_text(d->id), *id);
}

static struct delivery *find(const struct shard *s, struct bytes id)
{
    return map_find(&s->deliveries, hash_bytes(&s->hub->key, id), same, &id);
}

static void forget(struct delivery *d)
{
    struct shard *s = d->shard;
    struct client *c = d->client;
    int64_t before = mem_balance();

    wheel_stop(&d->timer);
    map_remove(&s->deliveries, d->hash, d);
    meter_add(METER_DELIVERIES_OPEN, -1);
    mem_free(d);
    mem_book(METER_MEM_PENDING, before);
    c->deliveries--;
    if (c->deliveries || c->session_count)
        return;
    before = mem_balance();
    index_remove(&s->index, c);
    mem_book(METER_MEM_CONNECTIONS, before);
}

void delivery_forget_all(struct shard *s)
{
    size_t cursor = 0;
    struct delivery *d;
    int64_t before;

    /* Removal shifts what is behind it: start again after each. */
    while (cursor = 0, (d = map_each(&s->deliveries, &cursor)))
        forget(d);
    before = mem_balance();
    map_fini(&s->deliveries);
    mem_book(METER_MEM_PENDING, before);
}

static void on_due(struct timer *t)
{
    forget(container_of(t, struct delivery, timer));
}

/* peer: the asker's node; 0: ours. */
static void tell(struct shard *s, uint32_t peer, uint32_t asker, uint64_t ask, enum outcome outcome)
{
    struct note *n = note_new(s, NOTE_OUTCOME);

    n->name = ask;
    n->a = outcome;
    if (peer) {
        n->peer = peer;
        n->b = asker;
        shard_post(s, s->hub->count, n, sizeof(*n));
    } else if (asker == s->number) {
        ask_on_outcome(s, n);
        mem_free(n);
    } else {
        shard_post(s, asker, n, sizeof(*n));
    }
}

static void open_delivery(struct shard *s, struct client *c, const struct notification *n)
{
    int64_t before = mem_balance();
    struct delivery *d = mem_new(struct delivery);
    struct bytes id = bytes_text(n->message_id);

    d->shard = s;
    d->client = c;
    d->ask = n->ask;
    d->asker = n->asker;
    d->peer = n->peer;
    memcpy(d->id, n->message_id, sizeof(d->id));
    d->hash = hash_bytes(&s->hub->key, id);
    timer_init(&d->timer, on_due);
    wheel_start(&s->loop.wheel, &d->timer, shard_now(s) + n->wait_ms);
    map_add(&s->deliveries, d->hash, d);
    mem_book(METER_MEM_PENDING, before);
    c->deliveries++;
    meter_add(METER_DELIVERIES_OPEN, 1);
}

/* The client is not here. */
static void deliver_elsewhere(struct shard *s, struct notification *n)
{
    if (!bus_is_on(&s->hub->bus)) {
        meter_add(METER_DROPPED_NO_MATCH, 1);
    } else if (bus_is_closed(&s->hub->bus)) {
        meter_add(METER_REFUSED_CLUSTER, 1);
        tell(s, n->peer, n->asker, n->ask, OUTCOME_UNREACHABLE);
    } else {
        bus_forward(s, n, FORWARD_ACKED, 0);
    }
}

static void deliver(struct shard *s, struct notification *n)
{
    const struct identity *to = &n->filter.like;
    struct client *c = index_find(&s->index, to, identity_hash(&s->hub->key, to));

    if (!c || !client_is_here(c)) {
        deliver_elsewhere(s, n);
        return;
    }
    if (!find(s, bytes_text(n->message_id))) {
        if (c->deliveries >= s->hub->settings->deliveries) {
            tell(s, n->peer, n->asker, n->ask, OUTCOME_REFUSED);
            return;
        }
        open_delivery(s, c, n);
    }
    /* Nobody took it: the asker's deadline says so in time. */
    (void)!client_push(c, n->frame, n->order_key);
}

void delivery_on_acked(struct shard *s, struct note *n)
{
    DCHECK(thread_at_home(s));
    deliver(s, n->notification);
}

void delivery_send(struct ask *a, const struct identity *to, struct bytes text, uint64_t order_key,
                   int64_t wait_ms)
{
    struct shard *s = a->shard;
    uint64_t hash = identity_hash(&s->hub->key, to);
    struct shard *home = hub_home(s->hub, hash);
    struct filter f = {.like = *to};
    char head[sizeof(a->message_id) + 2];
    size_t id = strlen(a->message_id);
    struct frame *frame;
    struct notification *n;

    memcpy(head, a->message_id, id);
    head[id] = '@';
    head[id + 1] = '@';
    frame = ws_frame(FRAME_ACKED, WS_TEXT, bytes_of(head, id + 2), text);
    n = notification_new(&f, frame);
    frame_unref(frame);
    n->order_key = order_key;
    n->ask = a->name;
    n->asker = s->number;
    n->wait_ms = wait_ms;
    memcpy(n->message_id, a->message_id, sizeof(n->message_id));
    if (home == s) {
        deliver(s, n);
        notification_unref(n);
    } else if (bus_is_on(&s->hub->bus) && !presence_has(&home->presence, hash)) {
        deliver_elsewhere(s, n);
        notification_unref(n);
    } else {
        struct note *note = note_new(s, NOTE_ACKED);

        note->notification = n;
        shard_post(s, home->number, note, n->frame->len);
    }
}

static void acknowledged(struct delivery *d)
{
    struct shard *s = d->shard;
    uint64_t ask = d->ask;
    uint32_t asker = d->asker, peer = d->peer;

    forget(d);
    tell(s, peer, asker, ask, OUTCOME_ACKNOWLEDGED);
}

/* Like one of delivery_make_id, of whatever node? */
static bool is_internal(struct bytes id)
{
    return id.len == UUID_TEXT + 2 && id.at[UUID_TEXT] == '-' && id.at[UUID_TEXT + 1] == '0';
}

/* Has, or had, this client a socket on another node that what is open may have come to? */
static bool may_know_others(const struct shard *s, const struct client *c)
{
    const struct settings *set = s->hub->settings;
    int64_t keep_ms =
        set->ack_keep_ms > set->ack_timeout_ms ? set->ack_keep_ms : set->ack_timeout_ms;

    return bus_has_peers(&s->hub->bus) &&
           (c->elsewhere || shard_now(s) - c->since_ms < keep_ms + set->cluster.cache_ms);
}

/* False: there is nobody to ask, or they cannot be asked. */
static bool ask_others(struct shard *s, const struct client *c, struct bytes message_id)
{
    struct notification *n;
    struct frame *none;

    if (!may_know_others(s, c) || !is_internal(message_id) || bus_is_closed(&s->hub->bus))
        return false;
    none = ws_frame(FRAME_PLAIN, WS_TEXT, (struct bytes){0}, (struct bytes){0});
    n = notification_new(&(struct filter){0}, none);
    frame_unref(none);
    n->filter_hash = c->hash;
    memcpy(n->message_id, message_id.at, message_id.len);
    bus_forward(s, n, FORWARD_ACKNOWLEDGE, 0);
    notification_unref(n);
    return true;
}

void delivery_acknowledge(struct shard *s, struct client *c, struct bytes message_id)
{
    struct delivery *d = find(s, message_id);

    DCHECK(thread_at_home(s));
    if (d && d->client == c)
        acknowledged(d);
    else
        meter_add(!d && ask_others(s, c, message_id) ? METER_ACKS_PASSED_ON : METER_ACKS_UNKNOWN,
                  1);
}

/* Each node is asked, and most do not have it. */
void delivery_on_acknowledge(struct shard *s, struct note *n)
{
    struct delivery *d = find(s, bytes_text(n->notification->message_id));

    if (d && d->client->hash == n->notification->filter_hash)
        acknowledged(d);
}
