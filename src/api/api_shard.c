#include "api/api_shard.h"

#include "api/http_server.h"
#include "api/ws_server.h"
#include "base/mem.h"
#include "flow/frame.h"
#include "hub/session.h"
#include "net/conn_tls.h"
#include "net/sock.h"
#include "net/tls_context.h"
#include "net/ws_deflate.h"
#include "wire/token.h"

enum { REST_LISTENER, WS_LISTENER };

static void fill_limits(struct api *api, const struct hub *hub)
{
    const struct settings *set = hub->settings;
    int64_t memory = hub_step_bytes(hub, HUB_NO_CONNECTIONS);

    api->rest_limits = (struct http_limits){.head = set->http,
                                            .body_bytes = set->body_bytes,
                                            .head_ms = set->head_ms,
                                            .body_ms = set->body_ms,
                                            .keep_alive_ms = set->keep_alive_ms,
                                            .memory_bytes = memory};
    api->door_limits = (struct http_limits){.head = set->http,
                                            .body_bytes = set->body_bytes,
                                            .head_ms = set->handshake_ms,
                                            .body_ms = set->handshake_ms,
                                            .keep_alive_ms = set->handshake_ms,
                                            .memory_bytes = memory};
    api->ws = (struct ws_settings){.limits = set->ws,
                                   .ping_interval_ms = set->ping_interval_ms,
                                   .pong_wait_ms = set->pong_wait_ms,
                                   .nuisances = {set->nuisances[0], set->nuisances[1]},
                                   .memory_bytes = memory,
                                   .deflate = set->deflate};
}

/* The host part of a URL by which a listening address can be reached. */
static void write_host(struct buf *out, const char *address)
{
    struct bytes a = bytes_text(address);

    if (bytes_equal(a, BYTES("0.0.0.0")) || bytes_equal(a, BYTES("::")) ||
        bytes_equal(a, BYTES("[::]")))
        buf_add(out, BYTES("127.0.0.1"));
    else if (memchr(a.at, ':', a.len) && a.at[0] != '[')
        buf_printf(out, "[%s]", address);
    else
        buf_add(out, a);
}

static void fill_urls(struct api *api, const struct settings *set)
{
    struct buf url = {0};

    if (set->external_url) {
        buf_add(&url, bytes_text(set->external_url));
    } else {
        buf_add(&url, tls_is_on_for_ws(&set->tls) ? BYTES("wss://") : BYTES("ws://"));
        write_host(&url, set->address);
        buf_printf(&url, ":%u/", api->ws_port);
    }
    mem_free(api->external_url);
    api->external_url = mem_copy(buf_bytes(&url));
    api->internal_url = set->internal_url ? set->internal_url : api->external_url;
    api->browser_url = set->browser_url ? set->browser_url : api->external_url;
    buf_fini(&url);
}

/* All that depends on settings which may change while serving. */
static void fill(struct api *api, const struct hub *hub)
{
    const struct settings *set = hub->settings;

    if (api->json_depth != set->json_depth) {
        json_free(api->json);
        api->json = json_new(set->json_depth);
        api->json_depth = set->json_depth;
    }
    json_limit_values(api->json, set->json_values);
    api->reader = (struct body_reader){&api->arena, &set->body, &api->why};
    fill_limits(api, hub);
    fill_urls(api, set);
}

void api_reload(struct shard *s)
{
    ws_deflate_forget(&s->net.scratch);
    fill(api_of(s), s->hub);
}

enum err api_open(struct shard *s, int rest_fd, int ws_fd)
{
    const struct settings *set = s->hub->settings;
    struct api *api = mem_new(struct api);
    enum err e;

    api->shard = s;
    api->tokens = tokens_new(&set->key);
    arena_init(&api->arena);
    api->ws_port = sock_port(ws_fd);
    fill(api, s->hub);
    api->pong = ws_frame(FRAME_ANSWER, WS_TEXT, BYTES("PONG"), (struct bytes){0});
    api->rest_listener.fd = -1;
    api->ws_listener.fd = -1;
    api->turned_away.most = TURNED_AWAY_MAX / s->hub->count;
    http_server_init(api);
    ws_server_init(api);
    s->api = api;
    if (!tokens_work(api->tokens) || !api->ws_port) {
        sock_close(rest_fd);
        sock_close(ws_fd);
        api_close(s);
        return ERR_FULL;
    }
    e = listener_open(&api->rest_listener, &s->net, rest_fd, REST_LISTENER, http_server_on_accept,
                      s);
    if (e) {
        sock_close(ws_fd);
        api_close(s);
        return e;
    }
    e = listener_open(&api->ws_listener, &s->net, ws_fd, WS_LISTENER, ws_server_on_accept, s);
    if (e)
        api_close(s);
    return e;
}

void api_close(struct shard *s)
{
    struct api *api = api_of(s);

    if (!api)
        return;
    listener_close(&api->rest_listener);
    listener_close(&api->ws_listener);
    tls_context_unref(api->tls);
    frame_unref(api->pong);
    json_free(api->json);
    tokens_free(api->tokens);
    arena_fini(&api->arena);
    buf_fini(&api->out);
    buf_fini(&api->fields);
    buf_fini(&api->token);
    mem_free(api->external_url);
    mem_free(api);
    s->api = NULL;
}

bool api_owns(uint64_t tag)
{
    return listener_owns(tag, REST_LISTENER) || listener_owns(tag, WS_LISTENER);
}

void api_use_tls(struct shard *s, struct tls_context *c)
{
    const struct tls_settings *set = &s->hub->settings->tls;
    struct api *api = api_of(s);
    struct tls_context *before = api->tls;

    api->tls = tls_context_ref(c);
    api->rest_listener.is_secure = tls_is_on_for_rest(set);
    api->ws_listener.is_secure = tls_is_on_for_ws(set);
    tls_context_unref(before);
}

void api_secure(const struct listener *l, struct conn *c, int64_t limit_ms)
{
    struct shard *s = l->user;

    if (l->is_secure)
        conn_secure(c, api_of(s)->tls, limit_ms);
}

bool api_accept(struct shard *s, uint64_t tag)
{
    struct api *api = api_of(s);

    return listener_on_ready(listener_owns(tag, REST_LISTENER) ? &api->rest_listener
                                                               : &api->ws_listener);
}

void api_close_doors(struct shard *s)
{
    struct api *api = api_of(s);

    listener_finish(&api->rest_listener);
    listener_finish(&api->ws_listener);
}

void api_end_http(struct http_conn *h)
{
    const struct net *n = h->conn->net;

    http_end_by(h, n->loop->now_ms + n->limits->close_wait_ms);
}

void api_end_ws(struct ws_conn *w, bool now)
{
    ws_close(w, WS_CLOSE_GOING_AWAY, BYTES("the server is going down"), now);
}

bool api_ws_is_busy(struct shard *s, struct ws_conn *w)
{
    return w->ops == &api_of(s)->client && session_of(w)->client->deliveries > 0;
}
