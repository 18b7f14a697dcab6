#include "api/open_answer.h"

#include "api/api_shard.h"
#include "base/clock.h"
#include "base/meter.h"
#include "wire/json_write.h"
#include "wire/token.h"

bool open_is_possible(struct shard *s, const char **why)
{
    if (hub_is_at(s->hub, HUB_NO_CONNECTIONS)) {
        meter_add(METER_REFUSED_MEMORY, 1);
        *why = "most of the memory budget (pushca.limits.memory-bytes) is used up";
        return false;
    }
    if (gate_is_full(&s->hub->sockets)) {
        meter_add(METER_REFUSED_SOCKETS, 1);
        *why = "all sockets (pushca.pusher.socket-pool-size) are in use";
        return false;
    }
    return true;
}

static void write_url(struct json_writer *w, const char *name, const char *base,
                      const struct buf *token)
{
    json_key(w, name);
    json_text_and(w, bytes_text(base), buf_bytes(token));
}

/* Whose sockets they are: this node's, unless another one was asked for that lives, or this one
   takes no clients now. The token is good on all. */
static struct member choose_node(struct shard *s, struct bytes wanted)
{
    const struct api *api = api_of(s);
    const struct hub *h = s->hub;
    struct member here = {.id = h->settings->instance_id,
                          .external_url = api->external_url,
                          .internal_url = api->internal_url,
                          .browser_url = api->browser_url};
    const struct member *other = NULL;
    uint32_t i, from;

    if (!bus_is_on(&h->bus))
        return here;
    if (wanted.len && !bytes_equal(wanted, bytes_text(here.id)))
        other = members_find(s->members, wanted);
    if (!other && s->members && s->members->count &&
        (atomic_load(&h->bus.deaf) || atomic_load(&h->draining))) {
        from = (uint32_t)rand_below(&s->rand, s->members->count);
        for (i = 0; i < s->members->count && !other; i++)
            if (s->members->at[(from + i) % s->members->count].takes_clients)
                other = &s->members->at[(from + i) % s->members->count];
    }
    return other ? *other : here;
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

enum err open_answer_write(struct shard *s, const struct open_body *b, bool pooled, struct buf *out)
{
    struct member node = choose_node(s, b->instance_id);
    struct json_writer w;
    enum err e;

    out->len = 0;
    w = json_writer(out);
    json_open_object(&w);
    json_member(&w, "pusherInstanceId", bytes_text(node.id));
    e = pooled ? write_addresses(s, &node, b, &w) : write_urls(s, &node, &b->client, &w);
    json_close_object(&w);
    return e;
}
