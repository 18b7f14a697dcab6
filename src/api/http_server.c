#include "api/http_server.h"

#include "api/api_shard.h"
#include "api/http_negotiate.h"
#include "api/http_reply.h"
#include "api/rest.h"
#include "base/meter.h"
#include "net/network.h"
#include "net/turn_away.h"
#include "wire/utf8.h"

void http_server_on_accept(struct listener *l, int fd)
{
    struct shard *s = l->user;
    struct api *api = api_of(s);
    struct http_conn *h;

    if (!gate_enter(&s->hub->http_conns)) {
        meter_add(METER_REFUSED_SOCKETS, 1);
        turn_away(l, fd, &api->turned_away);
        return;
    }
    if (http_open(&s->net, fd, &api->rest_limits, &api->rest, 0, &h)) {
        gate_leave(&s->hub->http_conns);
        return;
    }
    meter_add(METER_CONNS_HTTP, 1);
    api_secure(l, h->conn, s->hub->settings->head_ms);
}

static void on_closed(struct http_conn *h)
{
    struct shard *s = h->handler->context;

    rest_forget(h);
    gate_leave(&s->hub->http_conns);
    meter_add(METER_CONNS_HTTP, -1);
}

static void on_error(struct http_conn *h, const struct http1_request *r, int status,
                     const char *why)
{
    http_reply_error(h, r ? r->path : (struct bytes){0}, status, why);
}

/* Read anew each time: who asks so is rare, and the list is short. */
static bool comes_from_trusted(struct request *q)
{
    const char *const *one = q->shard->hub->settings->proxies;
    struct network n;
    struct address a;

    if (!one || !forwarded_is(q->head) || !http_peer(q->conn, &a))
        return false;
    for (; *one; one++)
        if (network_read(bytes_text(*one), &n) && network_has(&n, &a))
            return true;
    return false;
}

struct own_address http_own_address(struct request *q)
{
    struct own_address own = {.is_secure = api_of(q->shard)->rest_listener.is_secure,
                              .host = q->head->authority};

    if (!own.host.len) /* else Host is to be ignored (RFC 9112, 3.2.2) */
        own.host = http1_field(q->head, BYTES("host"));
    if (!utf8_valid(own.host))
        own.host = (struct bytes){0};
    if (comes_from_trusted(q))
        forwarded_read(q->head, &own);
    return own;
}

static bool decode_path(struct request *q)
{
    struct arena *arena = &api_of(q->shard)->arena;
    size_t len = 0;
    char *at = arena_alloc(arena, q->head->path.len + 1);

    if (!http1_decode_path(q->head->path, at, &len))
        return false;
    q->path = bytes_of(at, len);
    return true;
}

static bool route_fits(const struct route *route, struct request *q)
{
    struct bytes path = bytes_text(route->path);

    if (route->takes == TAKES_PATH)
        return bytes_equal(q->path, path);
    if (q->path.len <= path.len || !bytes_starts(q->path, path))
        return false;
    q->rest = bytes_of(q->path.at + path.len, q->path.len - path.len);
    return true;
}

static const struct route *find_route(struct request *q)
{
    const struct route *route;

    for (route = routes; route->path; route++) {
        if (route_fits(route, q))
            return route;
    }
    return NULL;
}

static const char *allowed(const struct route *route)
{
    return route->method == HTTP1_GET ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
}

static void answer_options(struct request *q, const char *methods)
{
    struct bytes names = http1_field(q->head, BYTES("access-control-request-headers"));
    struct buf fields = {0};

    buf_printf(&fields, "Allow: %s\r\nAccess-Control-Allow-Methods: %s\r\n", methods, methods);
    buf_add(&fields, BYTES("Access-Control-Allow-Headers: "));
    buf_add(&fields, http_field_names_valid(names) ? names : BYTES("*"));
    buf_add(&fields, BYTES("\r\nAccess-Control-Max-Age: 1800\r\n"));
    http_reply(q->conn, &(struct reply){.status = 200, .fields = buf_bytes(&fields)});
    buf_fini(&fields);
}

static bool method_fits(const struct route *route, enum http1_method method)
{
    return method == route->method || (method == HTTP1_HEAD && route->method == HTTP1_GET);
}

static void answer_method(struct request *q, const struct route *route)
{
    struct buf fields = {0};

    if (q->head->method == HTTP1_OPTIONS) {
        answer_options(q, allowed(route));
        return;
    }
    buf_printf(&fields, "Allow: %s\r\n", allowed(route));
    http_reply_refusal(q->conn, q->head->path, 405,
                       "this path does not take that method; Allow names those it takes",
                       buf_bytes(&fields));
    buf_fini(&fields);
}

/* False: refused. */
static bool read_body(struct request *q, struct bytes body)
{
    struct api *api = api_of(q->shard);
    const char *why;
    enum err e = ERR_OK;

    if (!q->head->has_length && !q->head->chunked)
        http_reply_error(q->conn, q->head->path, 411,
                         "the request needs Content-Length or Transfer-Encoding: chunked");
    else if (!http_brings_json(q->head, &why))
        http_reply_error(q->conn, q->head->path, 415, why);
    else if ((e = json_parse(api->json, body, &q->body, &api->why)))
        http_reply_error(q->conn, q->head->path, e == ERR_FULL ? 503 : 400, api->why.text);
    else
        return true;
    if (e == ERR_FULL)
        meter_add(METER_REFUSED_MEMORY, 1);
    return false;
}

static void run(struct request *q, const struct route *route, struct bytes body)
{
    if (route->type && !http_accepts(q->head, bytes_text(route->type)))
        http_reply_error(q->conn, q->head->path, 406, "Accept leaves out application/json");
    else if (route->method != HTTP1_POST || read_body(q, body))
        route->handle(q);
}

static void on_request(struct http_conn *h, const struct http1_request *r, struct bytes body)
{
    struct shard *s = h->handler->context;
    struct request q = {.shard = s, .conn = h, .head = r};
    const struct route *route;

    arena_reset(&api_of(s)->arena);
    if (bytes_equal(r->path, BYTES("*"))) {
        answer_options(&q, "GET, HEAD, POST, OPTIONS");
    } else if (!decode_path(&q)) {
        http_reply_error(h, r->path, 400, "the path has a bad percent escape");
    } else if (!(route = find_route(&q))) {
        http_reply_error(h, r->path, 404, "there is nothing at this path");
    } else if (!method_fits(route, r->method)) {
        answer_method(&q, route);
    } else {
        run(&q, route, body);
    }
    api_rest(api_of(s), body.len);
}

void http_server_init(struct api *api)
{
    api->rest = (struct http_handler){.context = api->shard,
                                      .on_request = on_request,
                                      .on_error = on_error,
                                      .on_closed = on_closed};
}
