#include "hub/session.h"

#include "base/mem.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "flow/thread.h"
#include "hub/index.h"
#include "hub/presence.h"
#include "hub/shard.h"

struct session *session_new(struct shard *s, const struct identity *who, uint64_t hash)
{
    int64_t before = mem_balance();
    struct session *session = mem_new(struct session);
    struct client *c = index_get(&s->index, who, hash);

    DCHECK(thread_at_home(s));
    mem_book(METER_MEM_CONNECTIONS, before);
    session->client = c;
    session->number = ++s->last_name;
    list_push_back(&c->sessions, &session->link);
    if (c->session_count++ == 0)
        meter_add(METER_CLIENTS, 1);
    if (c->session_count == 1 || c->elsewhere)
        c->since_ms = s->loop.now_ms;
    if (bus_is_on(&s->hub->bus) && (c->session_count == 1 || c->elsewhere))
        presence_add(&s->presence, hash);
    c->elsewhere = false;
    return session;
}

/* The last of a client's sessions has gone. */
static void leave(struct shard *s, struct client *c)
{
    meter_add(METER_CLIENTS, -1);
    if (!bus_is_on(&s->hub->bus))
        return;
    if (!c->elsewhere)
        presence_remove(&s->presence, c->hash);
    c->elsewhere = false;
    bus_unregister(s, c->hash);
}

void session_free(struct shard *s, struct session *session)
{
    struct client *c = session->client;
    int64_t before = mem_balance();

    DCHECK(thread_at_home(s));
    list_remove(&session->link);
    if (--c->session_count == 0)
        leave(s, c);
    if (c->session_count == 0 && c->deliveries == 0)
        index_remove(&s->index, c);
    mem_free(session);
    mem_book(METER_MEM_CONNECTIONS, before);
}

static struct session *at(struct list *link)
{
    return container_of(link, struct session, link);
}

static bool keeps_up(const struct session *session)
{
    return ws_is_open(&session->ws) && !conn_is_behind(session->ws.conn);
}

/* Each step reads only what the step before it asked for. */
void client_prefetch(const struct client *c, int steps)
{
    const struct session *first;

    if (steps == CLIENT_AHEAD) {
        __builtin_prefetch(c);
        return;
    }
    if (!c->session_count)
        return;
    first = at(c->sessions.next);
    if (steps == CLIENT_AHEAD / 3 * 2)
        __builtin_prefetch(first, 1);
    else if (steps == CLIENT_AHEAD / 3)
        conn_prefetch(first->ws.conn);
}

bool client_keeps_up(const struct client *c)
{
    struct list *link;

    for (link = c->sessions.next; link != &c->sessions; link = link->next)
        if (keeps_up(at(link)))
            return true;
    return false;
}

/* The session this sender's messages stick to: highest score wins, so a socket that comes or goes
   moves only the senders it wins or loses. */
static struct session *sticky(const struct client *c, uint64_t order_key)
{
    struct list *link;
    struct session *best = NULL;
    uint64_t best_score = 0;

    for (link = c->sessions.next; link != &c->sessions; link = link->next) {
        struct session *session = at(link);
        uint64_t score = hash_mix(order_key, session->number);

        if (ws_is_open(&session->ws) && (!best || score > best_score)) {
            best = session;
            best_score = score;
        }
    }
    return best;
}

/* How much we would like to use this socket: 3 prompt, 2 a ping is unanswered, 1 behind, 0 closed.
 */
static int liking(const struct session *session)
{
    if (!ws_is_open(&session->ws))
        return 0;
    if (conn_is_behind(session->ws.conn))
        return 1;
    return ws_is_in_doubt(&session->ws) ? 2 : 3;
}

/* The best liked, the longest unused among equals: the front of the list was used longest ago. */
static struct session *next(const struct client *c)
{
    struct list *link;
    struct session *best = NULL;
    int most = 0;

    for (link = c->sessions.next; link != &c->sessions && most < 3; link = link->next) {
        struct session *session = at(link);
        int likes = liking(session);

        if (likes > most) {
            best = session;
            most = likes;
        }
    }
    return best;
}

/* Which socket of a pool takes the message; null: none is open. */
static struct session *choose(struct client *c, uint64_t order_key)
{
    struct session *session;

    if (c->session_count == 1) /* mostly; whether it is open is asked by who pushes */
        return at(c->sessions.next);
    if (order_key)
        return sticky(c, order_key);
    session = next(c);
    if (session) {
        list_remove(&session->link);
        list_push_back(&c->sessions, &session->link);
    }
    return session;
}

enum err client_push(struct client *c, struct frame *f, uint64_t order_key)
{
    uint32_t tries = c->session_count;
    enum meter why = METER_DROPPED_CLOSED;
    enum err e;

    /* A refused push closes that session, so the next try finds another one. */
    while (tries--) {
        struct session *session = choose(c, order_key);

        if (!session)
            break;
        e = ws_push(&session->ws, f);
        if (!e)
            return ERR_OK;
        if (e == ERR_FULL)
            why = METER_DROPPED_QUEUE_FULL;
    }
    meter_add(why, 1);
    return ERR_GONE;
}
