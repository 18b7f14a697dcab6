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

/* The three members every connection string comes in, all with one fresh token. */
static enum err write_urls(struct shard *s, const struct identity *client, struct json_writer *w)
{
    const struct settings *set = s->hub->settings;
    struct api *api = api_of(s);
    enum err e;

    api->token.len = 0;
    e = token_issue(api->tokens, client, clock_wall_ms() / 1000, set->token_life_s, &s->rand,
                    &api->token);
    if (e)
        return e;
    write_url(w, "externalAdvertisedUrl", api->external_url, &api->token);
    write_url(w, "internalAdvertisedUrl", api->internal_url, &api->token);
    write_url(w, "browserAdvertisedUrl", api->browser_url, &api->token);
    return ERR_OK;
}

static enum err write_addresses(struct shard *s, const struct open_body *b, struct json_writer *w)
{
    enum err e = ERR_OK;
    int64_t i;

    json_key(w, "addresses");
    json_open_array(w);
    for (i = 0; i < b->pool_size && !e; i++) {
        json_open_object(w);
        e = write_urls(s, &b->client, w);
        json_close_object(w);
    }
    json_close_array(w);
    return e;
}

enum err open_answer_write(struct shard *s, const struct open_body *b, bool pooled, struct buf *out)
{
    struct json_writer w;
    enum err e;

    out->len = 0;
    w = json_writer(out);
    json_open_object(&w);
    json_member(&w, "pusherInstanceId", bytes_text(s->hub->settings->instance_id));
    e = pooled ? write_addresses(s, b, &w) : write_urls(s, &b->client, &w);
    json_close_object(&w);
    return e;
}
