#include "cluster/redis_slots.h"

#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "cluster/redis_channels.h"
#include "cluster/redis_encode.h"
#include "cluster/redis_finder.h"
#include "cluster/redis_parts.h"

enum {
    LATER_MS = 50,
    REDIRECTS = 5,    /* so many at once, then after LATER_MS each */
    GUEST_MS = 10000, /* a node without slots is kept so long after it was named */
    TAGS = 1000000,
};

/* A command on its way to be tried again. */
struct waiting {
    struct list link;
    struct redis_ask ask;
    int64_t due_ms;
    struct bytes command; /* points at text */
    char text[];
};

struct slot {
    struct redis_node *owner;    /* null: not known */
    struct redis_node *under_on; /* where under_way are */
    uint32_t under_way, waits;
    uint32_t held; /* in this flush: a former one waits on */
};

struct redis_slots {
    struct slot at[REDIS_SLOTS];
    struct list waiting; /* by number */
    size_t waiting_bytes;
    uint32_t flush; /* its number */
    bool covered;
};

/* ---- waiting ---- */

static void unlink_waiting(struct redis_slots *s, struct waiting *w)
{
    list_remove(&w->link);
    s->waiting_bytes -= w->command.len;
    s->at[w->ask.slot].waits--;
}

/* In its place: behind all that were given before it. */
static void link_waiting(struct redis_slots *s, struct waiting *w)
{
    struct list *i = s->waiting.prev;

    while (i != &s->waiting && container_of(i, struct waiting, link)->ask.number > w->ask.number)
        i = i->prev;
    list_push_front(i, &w->link);
    s->waiting_bytes += w->command.len;
    s->at[w->ask.slot].waits++;
}

/* False: it may not wait; it has to end with null. */
static bool let_wait(struct redis *r, const struct redis_ask *ask, struct bytes command,
                     int64_t in_ms)
{
    struct redis_slots *s = r->slots;
    struct waiting *w;

    if (r->closing || r->world.loop->now_ms >= ask->until_ms ||
        s->waiting_bytes + command.len > REDIS_WAITING_BYTES)
        return false;
    w = mem_alloc(sizeof(*w) + command.len);
    w->ask = *ask;
    w->ask.counted = false;
    w->due_ms = r->world.loop->now_ms + in_ms;
    memcpy(w->text, command.at, command.len);
    w->command = bytes_of(w->text, command.len);
    link_waiting(s, w);
    redis_soon(r, in_ms);
    return true;
}

/* A later command with this key was carried out: a former one that still waits must not be. */
static void end_overtaken(struct redis *r, const struct redis_ask *by)
{
    struct redis_slots *s = r->slots;
    struct list *i, *next;

    if (by->slot == REDIS_NO_SLOT || !s->at[by->slot].waits)
        return;
    for (i = s->waiting.next; i != &s->waiting; i = next) {
        struct waiting *w = container_of(i, struct waiting, link);

        next = i->next;
        if (w->ask.number > by->number)
            return;
        if (w->ask.slot != by->slot || w->ask.key != by->key)
            continue;
        unlink_waiting(s, w);
        redis_fail_later(r, &w->ask);
        mem_free(w);
    }
}

/* ---- sending ---- */

static void count(struct redis_slots *s, struct redis_node *n, const struct redis_ask *ask)
{
    struct slot *slot = &s->at[ask->slot];

    slot->under_way++;
    slot->under_on = n;
}

static bool must_wait(const struct slot *slot)
{
    return slot->waits || (slot->under_way && slot->under_on != slot->owner);
}

void redis_slots_command(struct redis *r, const struct bytes *argv, int argc, int key,
                         const struct redis_ask *given)
{
    struct redis_slots *s = r->slots;
    struct redis_ask ask = *given;
    struct slot *slot;

    ask.slot = redis_slot(argv[key]);
    ask.key = hash_bytes(&r->key, argv[key]);
    ask.until_ms = r->world.loop->now_ms + r->set->answer_ms;
    slot = &s->at[ask.slot];
    if (must_wait(slot)) {
        struct buf command = {0};

        redis_encode(&command, argv, argc);
        if (!let_wait(r, &ask, buf_bytes(&command), 0))
            redis_fail_later(r, &ask);
        buf_fini(&command);
        return;
    }
    ask.counted = true;
    if (!slot->owner || redis_link_give(slot->owner->commands, argv, argc, &ask))
        redis_fail_later(r, &ask);
    else
        count(s, slot->owner, &ask);
}

/* True: it has left the list. */
static bool try_waiting(struct redis *r, struct waiting *w)
{
    struct redis_slots *s = r->slots;
    struct slot *slot = &s->at[w->ask.slot];
    int64_t now_ms = r->world.loop->now_ms;
    bool held = slot->held == s->flush || now_ms < w->due_ms ||
                (slot->under_way && slot->under_on != slot->owner);

    if (now_ms >= w->ask.until_ms) {
        unlink_waiting(s, w);
        redis_fail_later(r, &w->ask);
        return true;
    }
    w->ask.counted = true;
    if (held || !slot->owner || redis_link_give_made(slot->owner->commands, w->command, &w->ask)) {
        slot->held = s->flush;
        return false;
    }
    count(s, slot->owner, &w->ask);
    unlink_waiting(s, w);
    return true;
}

void redis_slots_flush(struct redis *r)
{
    struct redis_slots *s = r->slots;
    struct list *i, *next;

    s->flush++;
    for (i = s->waiting.next; i != &s->waiting; i = next) {
        struct waiting *w = container_of(i, struct waiting, link);

        next = i->next;
        if (try_waiting(r, w))
            mem_free(w);
    }
    if (!list_is_empty(&s->waiting))
        redis_soon(r, 10);
}

/* ---- replies ---- */

struct redis_node *redis_slots_owner(const struct redis *r, uint16_t slot)
{
    return r->slots->at[slot].owner;
}

void redis_slots_moved(struct redis *r, uint16_t slot, const struct redis_address *to)
{
    struct redis_node *n = redis_node_named(r, to);

    if (n)
        r->slots->at[slot].owner = n;
    r->look = true;
}

/* The key is on its way to another node, and this one command has to follow it. A server that names
   itself says nothing; and the command stands in the very output it would be written to. */
static bool follow_ask(struct redis *r, const struct redis_node *from,
                       const struct redis_address *to, struct redis_ask *ask, struct bytes command)
{
    static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
    struct redis_node *n = redis_node_named(r, to);
    struct redis_ask nothing = {.kind = REDIS_ASK_NOTHING, .slot = REDIS_NO_SLOT};

    if (n == from)
        return let_wait(r, ask, command, LATER_MS);
    ask->counted = false;
    return n && !redis_link_give_made(n->commands, BYTES(asking), &nothing) &&
           !redis_link_give_made(n->commands, command, ask);
}

/* False: it ends with null. */
static bool follow(struct redis *r, const struct redis_node *n, struct redis_ask *ask,
                   struct bytes command, const struct redisReply *reply)
{
    enum redis_refusal refusal = redis_refusal_of(reply);
    struct redis_address to;
    uint16_t slot;

    if (ask->slot != REDIS_NO_SLOT && (refusal == REDIS_MOVED || refusal == REDIS_ASK))
        redis_finder_on_moved(r);
    else
        redis_finder_hurry(r);
    if (ask->slot == REDIS_NO_SLOT || r->world.loop->now_ms >= ask->until_ms)
        return false;
    if (refusal == REDIS_LATER || refusal == REDIS_READONLY)
        return let_wait(r, ask, command, LATER_MS);
    if (!redis_refusal_read(reply, &n->at, &slot, &to))
        return false;
    if (ask->tries < UINT8_MAX)
        ask->tries++;
    if (refusal == REDIS_ASK && ask->tries <= REDIRECTS)
        return follow_ask(r, n, &to, ask, command);
    if (refusal == REDIS_MOVED)
        redis_slots_moved(r, slot, &to);
    return let_wait(r, ask, command, ask->tries <= REDIRECTS ? 0 : LATER_MS);
}

void redis_slots_on_reply(struct redis *r, struct redis_node *n, const struct redis_ask *ask,
                          struct bytes command, const struct redisReply *reply)
{
    struct redis_ask again = *ask;

    if (ask->counted)
        r->slots->at[ask->slot].under_way--;
    if (reply && redis_refusal_of(reply) == REDIS_NOT_REFUSED) {
        end_overtaken(r, ask);
        redis_end(ask, reply);
    } else if (!reply || !follow(r, n, &again, command, reply)) {
        redis_end(ask, NULL);
    }
}

/* ---- the map ---- */

bool redis_slots_covered(const struct redis *r)
{
    return r->slots->covered;
}

/* Counts and prints anew; what has changed is told. */
static void survey(struct redis *r)
{
    struct redis_slots *s = r->slots;

    for (uint32_t i = 0; i < r->nodes.len; i++) {
        struct redis_node *n = r->nodes.at[i];

        n->slots = 0;
        n->old_print = n->print;
        n->print = 0;
    }
    s->covered = true;
    for (uint32_t i = 0; i < REDIS_SLOTS; i++) {
        struct redis_node *n = s->at[i].owner;

        if (!n) {
            s->covered = false;
            continue;
        }
        n->slots++;
        n->print = hash_mix(n->print, i);
    }
}

/* A master that stays keeps its index; one that is new takes the place of one that went. */
static void number_masters(struct redis *r)
{
    struct vec *m = &r->masters;

    for (uint32_t i = 0; i < m->len; i++) {
        struct redis_node *n = m->at[i];

        if (n->slots)
            continue;
        n->index = REDIS_NO_MASTER;
        n->tag[0] = 0;
        m->at[i] = NULL;
    }
    for (uint32_t i = 0, hole = 0; i < r->nodes.len; i++) {
        struct redis_node *n = r->nodes.at[i];

        if (!n->slots || n->index != REDIS_NO_MASTER)
            continue;
        while (hole < m->len && m->at[hole])
            hole++;
        n->index = hole;
        n->changed = true;
        if (hole < m->len)
            m->at[hole] = n;
        else
            vec_push(m, n);
    }
    for (uint32_t i = 0; i < m->len;)
        if (m->at[i])
            i++;
        else
            (void)vec_swap_remove(m, i);
    for (uint32_t i = 0; i < m->len; i++) {
        struct redis_node *n = m->at[i];

        if (n->index != i || n->print != n->old_print)
            n->changed = true;
        n->index = i;
    }
}

/* The smallest number in its slots, by nothing but the map: all who use this Redis tell a master by
   the same tag, whatever they have seen of it before. One whose slots are as before keeps its own.
 */
static void find_tags(struct redis *r)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < r->masters.len; i++) {
        struct redis_node *n = r->masters.at[i];

        if (n->print != n->old_print)
            n->tag[0] = 0;
        missing += !n->tag[0];
    }
    for (unsigned i = 0; missing && i < TAGS; i++) {
        char text[REDIS_TAG_TEXT];
        int len = snprintf(text, sizeof(text), "%u", i);
        struct redis_node *n = r->slots->at[redis_slot(bytes_of(text, (size_t)len))].owner;

        if (!n || n->tag[0])
            continue;
        memcpy(n->tag, text, sizeof(text));
        missing--;
    }
}

static void free_guests(struct redis *r)
{
    int64_t before_ms = r->world.loop->now_ms - GUEST_MS;

    for (uint32_t i = 0; i < r->nodes.len;) {
        struct redis_node *n = r->nodes.at[i];

        if (n->slots || (n->named_ms > before_ms && !redis_link_has_failed(n->commands))) {
            i++;
            continue;
        }
        redis_channels_leave(r, n);
        redis_node_free(r, n, false);
    }
}

void redis_slots_apply(struct redis *r, const uint16_t *of, const struct redis_address *masters,
                       uint32_t len)
{
    struct redis_node **nodes = mem_zero((len + 1) * sizeof(void *));

    for (uint32_t i = 0; i < len; i++)
        nodes[i] = redis_node_named(r, &masters[i]);
    for (uint32_t i = 0; i < REDIS_SLOTS; i++)
        r->slots->at[i].owner = of[i] < len ? nodes[of[i]] : NULL;
    mem_free(nodes);
    survey(r);
    number_masters(r);
    find_tags(r);
    r->look = true;
    free_guests(r);
}

/* ---- its life ---- */

void redis_slots_open(struct redis *r)
{
    r->slots = mem_new(struct redis_slots);
    list_init(&r->slots->waiting);
}

void redis_slots_close(struct redis *r, bool quiet)
{
    struct redis_slots *s = r->slots;
    struct list *first;

    while ((first = list_first(&s->waiting))) {
        struct waiting *w = container_of(first, struct waiting, link);

        unlink_waiting(s, w);
        if (!quiet)
            redis_end(&w->ask, NULL);
        mem_free(w);
    }
    mem_free(s);
    r->slots = NULL;
}
