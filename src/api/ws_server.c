#include "api/ws_server.h"

#include "api/api_shard.h"
#include "api/arrival.h"
#include "api/commands.h"
#include "api/http_reply.h"
#include "api/sign_in.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/meter.h"
#include "hub/session.h"
#include "net/conn_tls.h"
#include "net/sock.h"
#include "net/tls.h"
#include "net/turn_away.h"
#include "wire/token.h"

/* ---- a client's socket, on its home shard ---- */

static void opened(void)
{
    meter_add(METER_HANDSHAKES, 1);
    meter_add(METER_SOCKETS, 1);
}

static void closed(struct shard *s)
{
    meter_add(METER_SOCKETS, -1);
    gate_leave(&s->hub->sockets);
}

void ws_server_left(struct shard *s)
{
    meter_add(METER_CONNS_WS, -1);
    gate_leave(&s->hub->handshakes);
}

static void client_said(struct ws_conn *w, enum ws_opcode opcode, struct bytes payload)
{
    struct shard *s = shard_of_conn(w->conn);

    if (opcode == WS_TEXT) {
        commands_on_text(s, session_of(w), payload);
    } else {
        meter_add(METER_CLOSED_PROTOCOL, 1);
        ws_close(w, WS_CLOSE_UNSUPPORTED, BYTES("binary messages are not taken"), false);
    }
}

static void client_closed(struct ws_conn *w)
{
    struct shard *s = shard_of_conn(w->conn);

    session_free(s, session_of(w));
    closed(s);
}

/* The next ones in the row; when it is over it begins anew, for those who came meanwhile. */
void ws_server_on_evict(struct shard *s, struct note *n)
{
    uint32_t left = n->a;
    struct conn *c = NULL;

    while (left && (c = net_next(&s->net, &s->evicted))) {
        struct ws_conn *w = ws_of(c);

        if (!w || !ws_is_open(w))
            continue;
        left--;
        meter_add(METER_CLOSED_DEAF, 1);
        ws_close(w, WS_CLOSE_SERVICE_RESTART, BYTES("this node does not hear the others"), false);
    }
    if (!c)
        s->evicted = 0;
}

/* ---- moving in ---- */

static struct arrival *arrival_new(const struct handshake *k, const struct identity *who,
                                   uint64_t hash)
{
    struct arrival *a = mem_zero(sizeof(*a) + identity_bytes(who));
    char *room = a->text;

    a->fd = -1;
    a->hash = hash;
    a->upgrade = k->upgrade;
    a->who = identity_copy(who, &room);
    return a;
}

void arrival_free(struct arrival *a)
{
    if (!a)
        return;
    if (a->fd >= 0)
        sock_close(a->fd);
    tls_free(a->tls);
    buf_fini(&a->unread);
    mem_free(a);
}

/* Its 101 is queued. */
static void moved_in(struct shard *s, struct ws_conn *w, const struct buf *unread)
{
    opened();
    if (s->drain)
        api_end_ws(w, false);
    else
        ws_feed(w, unread->at, unread->len);
}

static void move_in(struct shard *s, struct arrival *a)
{
    struct session *session = session_new(s, &a->who, a->hash);
    struct ws_conn *w = &session->ws;
    int fd = a->fd;

    a->fd = -1;
    if (ws_open(w, &s->net, fd, &a->upgrade, &api_of(s)->client, &s->rand)) {
        session_free(s, session);
        gate_leave(&s->hub->sockets);
    } else {
        if (a->tls)
            conn_tls_adopt(w->conn, a->tls);
        a->tls = NULL;
        moved_in(s, w, &a->unread);
    }
    arrival_free(a);
}

/* In a cluster a new client is let in when the other nodes can find it: whoever has its 101 is
   reached. */
static bool must_register(const struct shard *s, const struct arrival *a)
{
    const struct client *c;

    if (!bus_is_on(&s->hub->bus) || a->is_registered)
        return false;
    c = index_find(&s->index, &a->who, a->hash);
    return !c || !client_is_here(c);
}

void ws_server_on_adopt(struct shard *s, struct note *n)
{
    struct arrival *a = n->arrival;

    n->arrival = NULL;
    shard_hears(s, n);
    if (must_register(s, a)) {
        a->is_registered = true;
        bus_register(s, a->hash, a);
    } else {
        move_in(s, a);
    }
    shard_has_heard(s);
}

/* At home already: the conn stays where it is. */
static void stay(struct handshake *k, const struct identity *who, uint64_t hash)
{
    struct shard *s = k->shard;
    struct session *session = session_new(s, who, hash);
    struct buf unread = {0};
    struct conn *c = http_leave(k->conn, &unread);

    ws_take(&session->ws, c, &k->upgrade, &api_of(s)->client, &s->rand);
    moved_in(s, &session->ws, &unread);
    buf_fini(&unread);
}

static void travel(struct handshake *k, const struct identity *who, uint64_t hash,
                   const struct shard *home)
{
    struct arrival *a = arrival_new(k, who, hash);
    struct note *n = note_new(k->shard, NOTE_ADOPT);

    a->tls = conn_tls_take(k->conn->conn);
    a->fd = http_release(k->conn, &a->unread);
    n->arrival = a;
    shard_post(k->shard, home->number, n, sizeof(*a) + a->unread.len);
}

static void send_home(struct handshake *k, const struct identity *who)
{
    uint64_t hash = identity_hash(&k->shard->hub->key, who);
    const struct shard *home = hub_home(k->shard->hub, hash);

    ws_server_left(k->shard);
    if (home == k->shard && !bus_is_on(&k->shard->hub->bus))
        stay(k, who, hash);
    else
        travel(k, who, hash, home);
}

/* ---- the door ---- */

void ws_server_refuse(struct handshake *k, int status, const char *why)
{
    meter_add(METER_HANDSHAKES_REFUSED, 1);
    http_end(k->conn);
    if (status == 426)
        http_reply_refusal(k->conn, k->head->path, status, why,
                           BYTES("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
    else if (status == 405)
        http_reply_refusal(k->conn, k->head->path, status, why, BYTES("Allow: GET\r\n"));
    else if (status == 401)
        http_reply_refusal(k->conn, k->head->path, status, why,
                           BYTES("WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"));
    else
        http_reply_error(k->conn, k->head->path, status, why);
}

void ws_server_refuse_short(struct handshake *k)
{
    meter_add(METER_REFUSED_MEMORY, 1);
    ws_server_refuse(k, 503, "the system has no memory left");
}

/* A place in the gate, or the handshake is refused 503 and counted. */
static bool admit(struct handshake *k)
{
    struct hub *hub = k->shard->hub;

    if (k->shard->drain) {
        ws_server_refuse(k, 503, "the server is going down");
        return false;
    }
    if (bus_is_on(&hub->bus) && (!atomic_load(&hub->ready) || atomic_load(&hub->bus.deaf))) {
        ws_server_refuse(k, 503, "this node does not hear the others: connect to another one");
        return false;
    }
    if (hub_is_at(hub, HUB_NO_CONNECTIONS)) {
        meter_add(METER_REFUSED_MEMORY, 1);
        ws_server_refuse(k, 503,
                         "most of the memory budget (pushca.limits.memory-bytes) is used up");
        return false;
    }
    if (!gate_enter(&hub->sockets)) {
        meter_add(METER_REFUSED_SOCKETS, 1);
        ws_server_refuse(k, 503, "all sockets (pushca.pusher.socket-pool-size) are in use");
        return false;
    }
    return true;
}

/* No Origin: not a browser. */
static bool origin_is_allowed(const struct handshake *k)
{
    const char *const *origin = k->shard->hub->settings->origins;
    size_t count = http1_field_count(k->head, BYTES("origin"));
    struct bytes theirs = http1_field(k->head, BYTES("origin"));

    if (!origin || count == 0)
        return true;
    for (; *origin && count == 1; origin++) {
        if (bytes_equal_nocase(bytes_text(*origin), theirs))
            return true;
    }
    return false;
}

static bool decode_path(struct handshake *k)
{
    struct arena *arena = &api_of(k->shard)->arena;
    size_t len = 0;
    char *at = arena_alloc(arena, k->head->path.len + 1);
    const char *slash;

    if (!http1_decode_path(k->head->path, at, &len))
        return false;
    k->path = bytes_of(at, len);
    slash = memrchr(at, '/', len);
    k->last = slash ? bytes_of(slash + 1, (size_t)(at + len - slash) - 1) : k->path;
    return true;
}

/* A client that took the whole answer of REFRESH_TOKEN for its token comes with {"body":"<token>"}.
   ERR_BAD: it begins like that, and is none. */
static enum err find_token(struct handshake *k, struct bytes *out)
{
    static const char *const names[] = {"body"};
    struct api *api = api_of(k->shard);
    struct json_value root, body[1];
    struct problem why;
    enum err e;
    char *text;

    *out = k->last;
    if (k->last.len == 0 || k->last.at[0] != '{')
        return ERR_OK;
    text = arena_alloc(&api->arena, k->last.len + JSON_PADDING);
    memcpy(text, k->last.at, k->last.len);
    memset(text + k->last.len, 0, JSON_PADDING);
    e = json_parse(api->json, bytes_of(text, k->last.len), &root, &why);
    if (e)
        return e;
    if (json_type(root) != JSON_OBJECT)
        return ERR_BAD;
    json_pick(root, names, body, 1);
    if (json_type(body[0]) != JSON_STRING)
        return ERR_BAD;
    *out = json_string(body[0]);
    return ERR_OK;
}

static void check_token(struct handshake *k)
{
    struct api *api = api_of(k->shard);
    const struct settings *set = k->shard->hub->settings;
    struct identity who;
    struct bytes token;
    enum err e = find_token(k, &token);

    if (!e)
        e = token_check(api->tokens, token, clock_wall_ms() / 1000, set->body.dimension_bytes,
                        &who);
    if (e == ERR_FULL) { /* the token may be good: it must not be thrown away */
        ws_server_refuse_short(k);
        return;
    }
    if (e) {
        ws_server_refuse(k, 401,
                         "the last segment of the path is not a valid token: ask "
                         "/open-connection for a new one");
        return;
    }
    if (admit(k))
        send_home(k, &who);
}

static void on_request(struct http_conn *h, const struct http1_request *r, struct bytes body)
{
    struct shard *s = h->handler->context;
    struct handshake k = {.shard = s, .conn = h, .head = r};
    struct http1_bad bad;

    (void)body;
    arena_reset(&api_of(s)->arena);
    if (!upgrade_check(r, &api_of(s)->ws.deflate, &k.upgrade, &bad))
        ws_server_refuse(&k, bad.status, bad.why);
    else if (!origin_is_allowed(&k))
        ws_server_refuse(&k, 403, "this Origin is not in pushca.pusher.allowed-origins");
    else if (!decode_path(&k))
        ws_server_refuse(&k, 400, "the path has a bad percent escape");
    else if (sign_in_is_meant(&k))
        sign_in(&k);
    else
        check_token(&k);
}

static void on_error(struct http_conn *h, const struct http1_request *r, int status,
                     const char *why)
{
    meter_add(METER_HANDSHAKES_REFUSED, 1);
    http_reply_error(h, r ? r->path : (struct bytes){0}, status, why);
}

static void on_closed(struct http_conn *h)
{
    ws_server_left(h->handler->context);
}

void ws_server_init(struct api *api)
{
    api->door = (struct http_handler){.context = api->shard,
                                      .on_request = on_request,
                                      .on_error = on_error,
                                      .on_closed = on_closed};
    api->client = (struct ws_ops){
        .settings = &api->ws, .on_message = client_said, .on_closed = client_closed};
    sign_in_init(api);
}

/* A TLS handshake takes tens of KiB, and would end in 503 now: closed unheard. Not so on the REST
   port, where health and metrics are asked for: http-connections is its bound. */
static bool is_too_much(const struct listener *l)
{
    const struct shard *s = l->user;

    return l->is_secure && hub_is_at(s->hub, HUB_NO_CONNECTIONS);
}

void ws_server_on_accept(struct listener *l, int fd)
{
    struct shard *s = l->user;
    struct api *api = api_of(s);
    int64_t limit_ms = s->hub->settings->handshake_ms;
    struct http_conn *h;

    if (is_too_much(l)) {
        meter_add(METER_REFUSED_MEMORY, 1);
        sock_close(fd);
        return;
    }
    if (!gate_enter(&s->hub->handshakes)) {
        meter_add(METER_REFUSED_HANDSHAKES, 1);
        turn_away(l, fd, &api->turned_away);
        return;
    }
    if (http_open(&s->net, fd, &api->door_limits, &api->door, limit_ms, &h)) {
        gate_leave(&s->hub->handshakes);
        return;
    }
    meter_add(METER_CONNS_WS, 1);
    api_secure(l, h->conn, limit_ms);
}
