#include "app/wire.h"

#include "api/api_shard.h"
#include "api/ws_server.h"
#include "app/drain.h"
#include "app/reload.h"
#include "app/supervisor.h"
#include "hub/ask.h"
#include "hub/delivery.h"
#include "hub/fanout.h"
#include "hub/shed.h"

static bool on_ready(void *shard, uint64_t tag, uint32_t events)
{
    struct shard *s = shard;

    return !api_owns(tag) && net_on_ready(&s->net, tag, events);
}

static bool on_late(void *shard, uint64_t tag, uint32_t events)
{
    struct shard *s = shard;

    if (api_owns(tag))
        return api_accept(s, tag);
    return net_on_late(&s->net, tag, events);
}

static void on_park(void *shard, uint64_t tag)
{
    struct shard *s = shard;

    if (!api_owns(tag))
        net_on_park(&s->net, tag);
}

void wire(struct hub *h)
{
    h->on_note[NOTE_ADOPT] = ws_server_on_adopt;
    h->on_note[NOTE_DELIVER] = fanout_on_deliver;
    h->on_note[NOTE_ACKED] = delivery_on_acked;
    h->on_note[NOTE_ACKNOWLEDGE] = delivery_on_acknowledge;
    h->on_note[NOTE_OUTCOME] = ask_on_outcome;
    h->on_note[NOTE_FIND] = fanout_on_find;
    h->on_note[NOTE_COUNT] = fanout_on_count;
    h->on_note[NOTE_COUNTED] = fanout_on_counted;
    h->on_note[NOTE_PICK] = fanout_on_pick;
    h->on_note[NOTE_ELSEWHERE] = bus_on_elsewhere;
    h->on_note[NOTE_EVICT] = ws_server_on_evict;
    h->on_note[NOTE_MEMBERS] = bus_on_members;
    h->on_note[NOTE_RELOAD] = reload_on_note;
    h->on_note[NOTE_ALIVE] = supervisor_on_note;
    h->on_note[NOTE_SHED] = shed_on_note;
    h->on_note[NOTE_DRAIN] = drain_on_note;
    h->on_ready = on_ready;
    h->on_late = on_late;
    h->on_park = on_park;
    h->discard = arrival_free;
}
