#include "api/open_answer.h"

#include "api/api_shard.h"
#include "base/clock.h"
#include "base/meter.h"
#include "wire/json_write.h"
#include "wire/token.h"

/* What stands against another socket of this node; null: nothing. */
static const char *obstacle(struct hub *h, enum meter *counted)
{
    if (hub_is_at(h, HUB_NO_CONNECTIONS)) {
        *counted = METER_REFUSED_MEMORY;
        return "most of the memory budget (pushca.limits.memory-bytes) is used up";
    }
    if (gate_is_full(&h->sockets)) {
        *counted = METER_REFUSED_SOCKETS;
        return "all sockets (pushca.pusher.socket-pool-size) are in use";
    }
    return NULL;
}

/* Null: there is none. */
static const struct member *any_other(struct shard *s)
{
    const struct members *m = s->members;
    uint32_t i, from;

    if (!m || !m->count)
        return NULL;
    from = (uint32_t)rand_below(&s->rand, m->count);
    for (i = 0; i < m->count; i++)
        if (m->at[(from + i) % m->count].takes_clients)
            return &m->at[(from + i) % m->count];
    return NULL;
}

bool open_choose(struct shard *s, struct bytes wanted, struct member *node, const char **why)
{
    const struct api *api = api_of(s);
    struct hub *h = s->hub;
    const struct member *other = NULL;
    enum meter counted = METER_REFUSED_SOCKETS;

    *node = (struct member){.id = h->settings->instance_id,
                            .external_url = api->external_url,
                            .internal_url = api->internal_url,
                            .browser_url = api->browser_url};
    *why = obstacle(h, &counted);
    if (bus_is_on(&h->bus)) {
        if (wanted.len && !bytes_equal(wanted, bytes_text(node->id)))
            other = members_find(s->members, wanted);
        if (!other && (*why || atomic_load(&h->bus.deaf) || atomic_load(&h->draining)))
            other = any_other(s);
    }
    if (other)
        *node = *other;
    else if (*why)
        meter_add(counted, 1);
    return other || !*why;
}

static void write_url(struct json_writer *w, const char *name, const char *base,
                      const struct buf *token)
{
    json_key(w, name);
    json_text_and(w, bytes_text(base), buf_bytes(token));
}

/* The three members every connection string comes in, all with one fresh token. */
static enum err write_urls(struct shard *s, const struct member *node,
                           const struct identity *client, struct json_writer *w)
{
    const struct settings *set = s->hub->settings;
    struct api *api = api_of(s);
    enum err e;

    api->token.len = 0;
    e = token_issue(api->tokens, client, clock_wall_ms() / 1000, set->token_life_s, &s->rand,
                    &api->token);
    if (e)
        return e;
    write_url(w, "externalAdvertisedUrl", node->external_url, &api->token);
    write_url(w, "internalAdvertisedUrl", node->internal_url, &api->token);
    write_url(w, "browserAdvertisedUrl", node->browser_url, &api->token);
    return ERR_OK;
}

static enum err write_addresses(struct shard *s, const struct member *node,
                                const struct open_body *b, struct json_writer *w)
{
    enum err e = ERR_OK;
    int64_t i;

    json_key(w, "addresses");
    json_open_array(w);
    for (i = 0; i < b->pool_size && !e; i++) {
        json_open_object(w);
        e = write_urls(s, node, &b->client, w);
        json_close_object(w);
    }
    json_close_array(w);
    return e;
}

enum err open_answer_write(struct shard *s, const struct member *node, const struct open_body *b,
                           bool pooled, struct buf *out)
{
    struct json_writer w;
    enum err e;

    out->len = 0;
    w = json_writer(out);
    json_open_object(&w);
    json_member(&w, "pusherInstanceId", bytes_text(node->id));
    e = pooled ? write_addresses(s, node, b, &w) : write_urls(s, node, &b->client, &w);
    json_close_object(&w);
    return e;
}
