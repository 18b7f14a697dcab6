#include "hub/bus.h"

#include <string.h>
#include "base/mem.h"
#include "hub/notification.h"
#include "hub/presence.h"
#include "hub/session.h"
#include "hub/shard.h"

/* ---- members ---- */

static const char *copy_text(const char *from, char **room)
{
    char *to = *room;
    size_t size = strlen(from) + 1;

    memcpy(to, from, size);
    *room += size;
    return to;
}

struct members *members_new(const struct member *at, uint32_t count)
{
    size_t text = 0;
    struct members *m;
    uint32_t i;
    char *room;

    for (i = 0; i < count; i++)
        text += strlen(at[i].id) + strlen(at[i].external_url) + strlen(at[i].internal_url) +
                strlen(at[i].browser_url) + 4;
    m = mem_zero(sizeof(*m) + count * sizeof(*m->at) + text);
    atomic_init(&m->refs, 1);
    m->count = count;
    m->at = (struct member *)(void *)(m + 1);
    room = (char *)(m->at + count);
    for (i = 0; i < count; i++)
        m->at[i] = (struct member){.id = copy_text(at[i].id, &room),
                                   .external_url = copy_text(at[i].external_url, &room),
                                   .internal_url = copy_text(at[i].internal_url, &room),
                                   .browser_url = copy_text(at[i].browser_url, &room),
                                   .takes_clients = at[i].takes_clients};
    return m;
}

struct members *members_ref(struct members *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void members_unref(struct members *m)
{
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        mem_free(m);
}

const struct member *members_find(const struct members *m, struct bytes id)
{
    uint32_t i;

    for (i = 0; m && i < m->count; i++)
        if (m->at[i].takes_clients && bytes_equal(bytes_text(m->at[i].id), id))
            return &m->at[i];
    return NULL;
}

void bus_on_members(struct shard *s, struct note *n)
{
    members_unref(s->members);
    s->members = n->members;
    n->members = NULL;
}

/* ---- what shards say ---- */

static void post(struct shard *s, struct note *n, size_t weight)
{
    shard_post(s, s->hub->count, n, weight);
}

void bus_forward(struct shard *s, struct notification *n, enum forward_kind kind, uint32_t attempts)
{
    struct note *note = note_new(s, NOTE_FORWARD);

    note->notification = notification_ref(n);
    note->a = kind;
    note->b = attempts;
    post(s, note, kind == FORWARD_ACKNOWLEDGE ? notification_bytes(n) : n->frame->len);
}

void bus_register(struct shard *s, uint64_t hash, struct arrival *a)
{
    struct note *n = note_new(s, NOTE_REGISTER);

    n->arrival = a;
    n->name = hash;
    post(s, n, sizeof(*n));
}

void bus_unregister(struct shard *s, uint64_t hash)
{
    struct note *n = note_new(s, NOTE_UNREGISTER);

    n->name = hash;
    n->a = s->hearing;
    post(s, n, sizeof(*n));
}

/* ---- what they hear ---- */

static void set_elsewhere(struct shard *s, struct client *c, bool elsewhere)
{
    if (c->elsewhere == elsewhere)
        return;
    c->elsewhere = elsewhere;
    if (elsewhere) {
        presence_remove(&s->presence, c->hash);
    } else {
        c->since_ms = s->loop.now_ms;
        presence_add(&s->presence, c->hash);
    }
}

void bus_on_elsewhere(struct shard *s, struct note *n)
{
    struct client *c = index_find_hash(&s->index, n->name);

    shard_hears(s, n);
    if (c && c->session_count)
        set_elsewhere(s, c, n->a != 0);
    else
        bus_unregister(s, n->name); /* whoever says so believes that it is here */
    shard_has_heard(s);
}
