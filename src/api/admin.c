#include "api/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include "api/api_shard.h"
#include "api/http_reply.h"
#include "api/http_server.h"
#include "api/metrics.h"
#include "base/clock.h"
#include "base/mem.h"
#include "hub/presence.h"
#include "wire/json_write.h"

static struct json_writer begin(struct request *q)
{
    struct buf *out = &api_of(q->shard)->out;
    struct json_writer w;

    out->len = 0;
    w = json_writer(out);
    json_open_object(&w);
    return w;
}

static void finish(struct request *q, struct json_writer *w, int status)
{
    json_close_object(w);
    http_reply_json(q->conn, status, buf_bytes(w->out));
}

static void write_link(struct json_writer *w, const struct own_address *own, const char *name,
                       const char *path, bool templated)
{
    struct buf href = {0};

    if (own->host.len) {
        buf_add(&href, own->is_secure ? BYTES("https://") : BYTES("http://"));
        buf_add(&href, own->host);
    }
    buf_add(&href, own->prefix);
    buf_add(&href, bytes_text(path));
    json_key(w, name);
    json_open_object(w);
    json_member(w, "href", buf_bytes(&href));
    json_key(w, "templated");
    json_flag(w, templated);
    json_close_object(w);
    buf_fini(&href);
}

void admin_links(struct request *q)
{
    struct own_address own = http_own_address(q);
    struct json_writer w = begin(q);

    json_key(&w, "_links");
    json_open_object(&w);
    write_link(&w, &own, "self", "/actuator", false);
    write_link(&w, &own, "health", "/actuator/health", false);
    write_link(&w, &own, "health-path", "/actuator/health/{*path}", true);
    write_link(&w, &own, "info", "/actuator/info", false);
    write_link(&w, &own, "metrics", "/actuator/metrics", false);
    write_link(&w, &own, "metrics-requiredMetricName", "/actuator/metrics/{requiredMetricName}",
               true);
    write_link(&w, &own, "prometheus", "/actuator/prometheus", false);
    json_close_object(&w);
    finish(q, &w, 200);
}

/* ---- health ---- */

static bool bus_is_up(const struct hub *h)
{
    return !bus_is_on(&h->bus) || !atomic_load(&h->bus.away);
}

static bool is_ready(const struct hub *h)
{
    return atomic_load(&h->ready) && !atomic_load(&h->draining) && bus_is_up(h);
}

static void write_status(struct json_writer *w, bool up)
{
    json_member(w, "status", up ? BYTES("UP") : BYTES("DOWN"));
}

static void write_state(struct json_writer *w, const char *name, bool up)
{
    json_key(w, name);
    json_open_object(w);
    write_status(w, up);
    json_close_object(w);
}

static void write_gauge(struct json_writer *w, const char *name, bool up, int64_t used,
                        int64_t limit)
{
    json_key(w, name);
    json_open_object(w);
    write_status(w, up);
    json_key(w, "details");
    json_open_object(w);
    json_key(w, "used");
    json_number(w, used);
    json_key(w, "limit");
    json_number(w, limit);
    json_close_object(w);
    json_close_object(w);
}

/* Words for one of: the others do not know us yet; all is well; the bus cannot be used; only we
   cannot use it; too much is unconfirmed. */
static struct bytes cluster_state(const struct bus *b)
{
    if (atomic_load(&b->deaf))
        return BYTES("deaf");
    if (!atomic_load(&b->joined))
        return BYTES("joining");
    if (atomic_load(&b->away))
        return BYTES("away");
    return atomic_load(&b->full) ? BYTES("full") : BYTES("up");
}

static void write_cluster(struct json_writer *w, const struct hub *h)
{
    json_key(w, "cluster");
    json_open_object(w);
    write_status(w, bus_is_up(h));
    json_key(w, "details");
    json_open_object(w);
    json_member(w, "state", cluster_state(&h->bus));
    json_key(w, "nodes");
    json_number(w, atomic_load(&h->bus.peers) + 1);
    json_close_object(w);
    json_close_object(w);
}

/* Full is no illness: what is connected is served, and refusals say why. So both stay UP. */
void admin_health(struct request *q)
{
    const struct hub *h = q->shard->hub;
    bool ready = is_ready(h);
    struct json_writer w = begin(q);

    write_status(&w, ready);
    json_key(&w, "components");
    json_open_object(&w);
    if (bus_is_on(&h->bus))
        write_cluster(&w, h);
    write_state(&w, "livenessState", true);
    write_gauge(&w, "memory", true, mem_held(), h->settings->memory_bytes);
    write_state(&w, "readinessState", ready);
    write_gauge(&w, "sockets", true, meter_sum(METER_SOCKETS), h->settings->sockets);
    json_close_object(&w);
    json_key(&w, "groups");
    json_open_array(&w);
    json_text(&w, BYTES("liveness"));
    json_text(&w, BYTES("readiness"));
    json_close_array(&w);
    finish(q, &w, ready ? 200 : 503);
}

void admin_liveness(struct request *q)
{
    struct json_writer w = begin(q);

    write_status(&w, true);
    finish(q, &w, 200);
}

void admin_readiness(struct request *q)
{
    bool ready = is_ready(q->shard->hub);
    struct json_writer w = begin(q);

    write_status(&w, ready);
    finish(q, &w, ready ? 200 : 503);
}

/* ---- the cluster ---- */

static void write_node(struct json_writer *w, struct bytes id, bool takes_clients)
{
    json_open_object(w);
    json_member(w, "instanceId", id);
    json_key(w, "takesClients");
    json_flag(w, takes_clients);
    json_close_object(w);
}

static void alone(struct request *q)
{
    http_reply_error(q->conn, q->head->path, 404,
                     "this server stands alone (pushca.pusher.deploy-mode)");
}

/* This node as the others know it, and all it knows of. */
void admin_cluster(struct request *q)
{
    const struct hub *h = q->shard->hub;
    const struct members *m = q->shard->members;
    struct json_writer w;
    uint32_t i;

    if (!bus_is_on(&h->bus)) {
        alone(q);
        return;
    }
    w = begin(q);
    json_member(&w, "instanceId", bytes_text(h->settings->instance_id));
    json_member(&w, "state", cluster_state(&h->bus));
    json_key(&w, "nodes");
    json_open_array(&w);
    write_node(&w, bytes_text(h->settings->instance_id), is_ready(h));
    for (i = 0; m && i < m->count; i++)
        write_node(&w, bytes_text(m->at[i].id), m->at[i].takes_clients);
    json_close_array(&w);
    finish(q, &w, 200);
}

static void write_hex(struct json_writer *w, uint64_t n)
{
    char text[17];

    (void)snprintf(text, sizeof(text), "%016" PRIx64, n);
    json_text(w, bytes_text(text));
}

/* Who is connected here, by the hash under which the directory has them. */
void admin_cluster_clients(struct request *q)
{
    const struct hub *h = q->shard->hub;
    struct json_writer w;
    uint32_t i;

    if (!bus_is_on(&h->bus)) {
        alone(q);
        return;
    }
    w = begin(q);
    json_member(&w, "instanceId", bytes_text(h->settings->instance_id));
    json_key(&w, "life");
    write_hex(&w, atomic_load(&h->bus.life));
    json_key(&w, "clients");
    json_open_array(&w);
    for (i = 0; i < h->count; i++) {
        uint32_t cursor = UINT32_MAX, j, count;
        uint64_t some[256];

        while ((count = presence_list(&h->shards[i]->presence, &cursor, some, 256)) || cursor)
            for (j = 0; j < count; j++)
                write_hex(&w, some[j]);
    }
    json_close_array(&w);
    finish(q, &w, 200);
}

/* ---- info and metrics ---- */

void admin_info(struct request *q)
{
    const struct hub *h = q->shard->hub;
    struct json_writer w = begin(q);

    json_key(&w, "build");
    json_open_object(&w);
    json_member(&w, "name", BYTES("pushca"));
    json_member(&w, "version", bytes_text(h->version ? h->version : "unknown"));
    json_close_object(&w);
    json_key(&w, "pusher");
    json_open_object(&w);
    json_member(&w, "instanceId", bytes_text(h->settings->instance_id));
    json_key(&w, "shards");
    json_number(&w, h->count);
    json_key(&w, "uptimeSeconds");
    json_number(&w, (clock_mono_ms() - h->started_mono_ms) / 1000);
    json_close_object(&w);
    finish(q, &w, 200);
}

void admin_metrics(struct request *q)
{
    struct json_writer w = begin(q);
    size_t i;

    json_key(&w, "names");
    json_open_array(&w);
    for (i = 0; i < metric_count; i++) {
        if (metrics[i].help)
            json_text(&w, bytes_text(metrics[i].name));
    }
    json_close_array(&w);
    finish(q, &w, 200);
}

void admin_prometheus(struct request *q)
{
    struct buf *out = &api_of(q->shard)->out;

    out->len = 0;
    metrics_write_prometheus(q->shard->hub, out);
    http_reply(q->conn, &(struct reply){.status = 200,
                                        .type = "text/plain; version=0.0.4; charset=utf-8",
                                        .body = buf_bytes(out)});
}
