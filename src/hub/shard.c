#include "hub/shard.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "flow/thread.h"
#include "hub/ask.h"
#include "hub/delivery.h"
#include "hub/fanout.h"
#include "hub/notification.h"

struct shard *hub_home(struct hub *h, uint64_t identity_hash)
{
    return h->shards[identity_hash % h->count];
}

int64_t hub_step_bytes(const struct hub *h, enum hub_step step)
{
    const uint32_t *of = h->settings->memory_percent;
    uint32_t percent = of[HUB_NO_READERS];

    if (step < HUB_NO_READERS && of[HUB_NO_SENDS] < percent)
        percent = of[HUB_NO_SENDS];
    if (step < HUB_NO_SENDS && of[HUB_NO_CONNECTIONS] < percent)
        percent = of[HUB_NO_CONNECTIONS];
    return h->settings->memory_bytes / 100 * percent;
}

bool hub_is_at(const struct hub *h, enum hub_step step)
{
    return (step < HUB_NO_READERS && mem_is_short()) || mem_held() > hub_step_bytes(h, step);
}

/* ---- notes ---- */

struct note *note_from(uint32_t from, enum note_kind kind)
{
    struct note *n = mem_new(struct note);

    n->kind = kind;
    n->from = from;
    return n;
}

struct note *note_new(const struct shard *s, enum note_kind kind)
{
    return note_from(s->number, kind);
}

static bool has_notification(enum note_kind kind)
{
    return kind == NOTE_DELIVER || kind == NOTE_ACKED || kind == NOTE_ACKNOWLEDGE ||
           kind == NOTE_FIND || kind == NOTE_COUNT || kind == NOTE_PICK || kind == NOTE_FORWARD;
}

void note_free(struct hub *h, struct note *n)
{
    if (has_notification(n->kind))
        notification_unref(n->notification);
    else if ((n->kind == NOTE_ADOPT || n->kind == NOTE_REGISTER) && n->arrival)
        h->discard(n->arrival);
    else if (n->kind == NOTE_MEMBERS)
        members_unref(n->members);
    mem_free(n);
}

void outbox_add(struct outbox *o, struct note *n, size_t weight)
{
    n->link.next = NULL;
    if (o->last)
        o->last->next = &n->link;
    else
        o->first = &n->link;
    o->last = &n->link;
    o->weight += weight;
}

void outbox_hand_over(struct hub *h, struct outbox *all)
{
    uint32_t i;

    for (i = 0; i <= h->count; i++) {
        struct outbox *o = &all[i];

        if (!o->first)
            continue;
        inbox_post(i < h->count ? &h->shards[i]->inbox : h->bus.inbox, o->first, o->last,
                   o->weight);
        *o = (struct outbox){0};
    }
}

void shard_post(struct shard *s, uint32_t to, struct note *n, size_t weight)
{
    outbox_add(&s->staged[to], n, weight);
}

void shard_hears(struct shard *s, const struct note *n)
{
    s->hearing += n->from == s->hub->count;
}

void shard_has_heard(struct shard *s)
{
    atomic_store_explicit(&s->heard, s->hearing, memory_order_release);
}

bool shard_knows(const struct shard *s, uint32_t number)
{
    return (int32_t)(atomic_load_explicit(&s->heard, memory_order_acquire) - number) >= 0;
}

void hub_tell(struct hub *h, enum note_kind kind)
{
    uint32_t i;

    for (i = 0; i < h->count; i++) {
        struct note *n = note_new(h->shards[i], kind);

        inbox_post(&h->shards[i]->inbox, &n->link, &n->link, sizeof(*n));
    }
}

/* ---- the turn's hooks ---- */

static void on_notes(void *owner, struct inbox_link *first)
{
    struct shard *s = owner;

    while (first) {
        struct note *n = container_of(first, struct note, link);

        first = first->next;
        CHECK(s->hub->on_note[n->kind]);
        s->hub->on_note[n->kind](s, n);
        note_free(s->hub, n);
    }
}

static void on_post(void *owner)
{
    struct shard *s = owner;

    shed_look(s);
    outbox_hand_over(s->hub, s->staged);
}

static bool on_write(void *owner)
{
    struct shard *s = owner;

    return net_write(&s->net);
}

static void on_bury(void *owner)
{
    struct shard *s = owner;

    net_bury(&s->net);
    if (s->hub->bus.inbox) /* the cluster hears of who left now: the next turn may be far away */
        outbox_hand_over(s->hub, s->staged);
    mem_mend(s->loop.now_ms);
}

static bool is_pressed(void *owner)
{
    const struct shard *s = owner;
    uint32_t i;

    for (i = 0; i < s->hub->count; i++)
        if (i != s->number &&
            inbox_weight(&s->hub->shards[i]->inbox) > s->hub->settings->inbox_bytes)
            return true;
    return s->hub->bus.inbox && inbox_weight(s->hub->bus.inbox) > s->hub->settings->inbox_bytes;
}

/* ---- life ---- */

static enum err shard_open(struct shard *s)
{
    struct loop_hooks hooks = {.owner = s,
                               .on_notes = on_notes,
                               .on_ready = s->hub->on_ready,
                               .on_post = on_post,
                               .on_write = on_write,
                               .on_late = s->hub->on_late,
                               .on_park = s->hub->on_park,
                               .on_bury = on_bury,
                               .is_pressed = is_pressed};
    enum err e = inbox_open(&s->inbox);

    if (e)
        return e;
    e = loop_open(&s->loop, &s->inbox, &hooks);
    if (e) {
        inbox_close(&s->inbox);
        return e;
    }
    net_init(&s->net, &s->loop, &s->hub->settings->net);
    index_init(&s->index, &s->hub->key);
    repeats_init(&s->repeats);
    shed_init(&s->shed);
    rand_init(&s->rand);
    map_init(&s->asks);
    map_init(&s->deliveries);
    map_init(&s->searches);
    map_init(&s->turns);
    list_init(&s->turns_oldest);
    s->staged = mem_zero((s->hub->settings->shards + 1) * sizeof(*s->staged));
    return ERR_OK;
}

static void free_chain(struct hub *h, struct inbox_link *first)
{
    while (first) {
        struct note *n = container_of(first, struct note, link);

        first = first->next;
        note_free(h, n);
    }
}

static void index_close(struct shard *s)
{
    int64_t before = mem_balance();

    index_fini(&s->index);
    mem_book(METER_MEM_CONNECTIONS, before);
}

static void shard_close(struct shard *s)
{
    shed_fini(&s->shed);
    net_fini(&s->net);
    ask_drop_all(s);
    delivery_forget_all(s);
    fanout_forget_all(s);
    repeats_fini(&s->repeats);
    index_close(s);
    vec_fini(&s->matches);
    presence_close(&s->presence);
    members_unref(s->members);
    loop_close(&s->loop);
    inbox_close(&s->inbox);
    mem_free(s->staged);
    mem_free(s);
}

enum err hub_open(struct hub *h, const struct settings *settings)
{
    struct rand seed;
    enum err e = ERR_OK;

    rand_init(&seed);
    rand_fill(&seed, &h->key, sizeof(h->key));
    h->settings = settings;
    mem_limit(settings->memory_bytes);
    h->sockets.limit = settings->sockets;
    h->http_conns.limit = settings->http_conns;
    h->handshakes.limit = settings->handshakes;
    h->started_wall_ms = clock_wall_ms();
    h->started_mono_ms = clock_mono_ms();
    h->shards = mem_zero(settings->shards * sizeof(struct shard *));
    while (!e && h->count < settings->shards) {
        struct shard *s = mem_new(struct shard);

        s->number = h->count;
        s->hub = h;
        e = shard_open(s);
        if (e)
            mem_free(s);
        else
            h->shards[h->count++] = s;
    }
    if (e)
        hub_close(h);
    return e;
}

void hub_join(struct hub *h, struct inbox *cluster, const struct hash_key *key)
{
    uint32_t i;

    h->key = *key;
    h->bus.inbox = cluster;
    h->bus.values = mem_new(struct value_counts);
    atomic_store(&h->bus.away, true);
    for (i = 0; i < h->count; i++) {
        /* A little more than its share, because chance shares. */
        presence_open(&h->shards[i]->presence,
                      h->settings->sockets / h->count + h->settings->sockets / 8 + 64);
        h->shards[i]->index.counts = h->bus.values;
    }
}

void hub_close(struct hub *h)
{
    uint32_t i, j;

    for (i = 0; i < h->count; i++) {
        free_chain(h, inbox_take(&h->shards[i]->inbox));
        for (j = 0; j <= h->count; j++)
            free_chain(h, h->shards[i]->staged[j].first);
    }
    for (i = 0; i < h->count; i++)
        shard_close(h->shards[i]);
    mem_free(h->shards);
    mem_free(h->bus.values);
    h->bus.values = NULL;
    h->shards = NULL;
    h->count = 0;
}

void shard_turn(struct shard *s, int64_t max_wait_ms)
{
    thread_settle(s);
    loop_turn(&s->loop, max_wait_ms);
}

void shard_run(void *shard)
{
    struct shard *s = shard;

    meter_open();
    thread_settle(s);
    loop_run(&s->loop);
    meter_close();
}
