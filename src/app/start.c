#include "app/start.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "api/api_shard.h"
#include "app/config.h"
#include "app/crash.h"
#include "app/limits.h"
#include "app/reload.h"
#include "app/secure.h"
#include "app/signals.h"
#include "app/supervisor.h"
#include "app/wire.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/meter.h"
#include "cluster/cluster.h"
#include "flow/thread.h"
#include "hub/shard.h"
#include "net/sock.h"

enum {
    DRAIN_LOOK_MS = 20,
    JOIN_MOST_MS = 5000,     /* a node that cannot join its cluster serves its own clients */
    FAREWELL_MOST_MS = 2000, /* besides the drain: what other nodes have to confirm */
};

/* The two doors: one listening socket per shard each, all on one port. */
struct door {
    const char *name, *key;
    uint16_t port;
    int *fds;
};

struct server {
    struct config **config; /* replaced at a reload */
    const struct config_sources *from;
    const struct settings *settings; /* of *config */
    struct supervisor supervisor;
    int signals;
    struct hub hub;
    struct tls_context **tls; /* as config; null in it: nothing speaks TLS */
    struct door rest, ws;
    struct cluster *cluster; /* null: standalone */
    pthread_t *threads, cluster_thread;
    bool cluster_runs;
    bool ended;        /* a signal came before it was ready */
    bool reload_waits; /* and so did one that asks for a reload */
};

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static int cannot_listen(const struct settings *set, const struct door *d, enum err e)
{
    const char *reason = err_name(e), *hint = "see the reason", *key = d->key;

    if (e == ERR_BUSY) {
        hint = "another process has this port: stop it or choose another port by the key";
    } else if (e == ERR_DENIED) {
        hint = "this port needs more rights: choose one over 1023";
    } else if (e == ERR_BAD) {
        reason = "no such address here";
        hint = "choose an address of this machine by the key";
        key = "server.address";
    }
    log_error("cannot listen", LOG_STR("door", d->name), LOG_STR("address", set->address),
              LOG_NUM("port", d->port), LOG_STR("reason", reason), LOG_STR("hint", hint),
              LOG_STR("key", key));
    return 1;
}

/* A first, unshared bind finds out whether the port is free: shared ones would quietly join another
   process of ours that has it. */
static enum err door_open(struct door *d, const struct settings *set)
{
    uint32_t i;
    int probe;
    enum err e = sock_listen(set->address, d->port, false, &probe);

    if (e)
        return e;
    d->port = sock_port(probe);
    sock_close(probe);
    if (!d->port) /* else every shard would take a free one of its own */
        return ERR_FULL;
    d->fds = mem_alloc(set->shards * sizeof(*d->fds));
    for (i = 0; i < set->shards; i++)
        d->fds[i] = -1;
    for (i = 0; i < set->shards && !e; i++)
        e = sock_listen(set->address, d->port, true, &d->fds[i]);
    return e;
}

static void door_close(struct door *d, uint32_t shards)
{
    uint32_t i;

    for (i = 0; d->fds && i < shards; i++)
        sock_close(d->fds[i]);
    mem_free(d->fds);
    d->fds = NULL;
}

static void say_notes(const struct config *config)
{
    const struct settings *set = config_settings(config);
    int i;

    for (i = 0; i < config_note_count(config); i++)
        log_warn("configuration", LOG_STR("note", config_note(config, i)));
    if (!is_loopback(set->address))
        log_warn(
            "open to other machines", LOG_STR("address", set->address),
            LOG_STR("hint", "the REST API asks for no credentials: put a gateway in front of it"));
}

/* What this process may use, for whoever reads the log after something ran out. */
static void say_limits(const struct settings *set)
{
    log_info("limits", LOG_NUM("files", limits_raise_files()),
             LOG_NUM("core_bytes", limits_core_bytes()), LOG_NUM("memory_bytes", set->memory_bytes),
             LOG_NUM("shards", set->shards), LOG_NUM("sockets", set->sockets),
             LOG_NUM("http_connections", set->http_conns));
}

static void add_host(struct buf *out, const char *host)
{
    bool is_v6 = strchr(host, ':') != NULL;

    buf_printf(out, is_v6 ? "[%s]" : "%s", host);
}

static void say_ready(const struct server *v)
{
    struct buf rest = {0}, ws = {0};

    if (tls_is_on_for_rest(&v->settings->tls))
        buf_add(&rest, BYTES("https://"));
    add_host(&rest, v->settings->address);
    buf_printf(&rest, ":%u", v->rest.port);
    if (tls_is_on_for_ws(&v->settings->tls))
        buf_add(&ws, BYTES("wss://"));
    add_host(&ws, v->settings->address);
    buf_printf(&ws, ":%u", v->ws.port);
    log_info("ready", LOG_VIEW("rest", buf_bytes(&rest)), LOG_VIEW("websocket", buf_bytes(&ws)),
             LOG_NUM("shards", v->hub.count), LOG_NUM("sockets", v->settings->sockets),
             LOG_STR("instance", v->settings->instance_id));
    buf_fini(&rest);
    buf_fini(&ws);
}

static void say_welcome(const struct server *v)
{
    static const char who[] = "\"workSpaceId\":\"workSpaceMain\",\"accountId\":\"client1@test.ee\"";
    static const char json[] = "-H 'Content-Type: application/json'";
    bool ws_tls = tls_is_on_for_ws(&v->settings->tls);
    bool rest_tls = tls_is_on_for_rest(&v->settings->tls);
    const char *curl = rest_tls ? "curl -k" : "curl"; /* the certificate may be anybody's */
    struct buf url = {0};

    buf_printf(&url, rest_tls ? "https://" : "http://");
    add_host(&url, is_loopback(v->settings->address) ? v->settings->address : "127.0.0.1");
    buf_printf(&url, ":%u", v->rest.port);
    printf(
        "\nPushca is ready. In a second terminal, open a connection and listen:\n\n"
        "URL=$(%s -s %.*s/open-connection %s -d '{\"client\":{%s,\"deviceId\":\"phone-1\","
        "\"applicationId\":\"MY_APPLICATION\"}}' | grep -o '%s://[^\"]*' | head -n 1)\n"
        "wscat%s -c \"$URL\"\n\n"
        "In a third one, send:\n\n"
        "%s %.*s/send-notification %s -d '{\"filter\":{%s},\"message\":\"Hello dear users!\"}'"
        "\n\n(wscat comes with apt-get install node-ws, or npm install -g wscat.) Ctrl-C ends the "
        "server.\n\n",
        curl, (int)url.len, url.at, json, who, ws_tls ? "wss" : "ws", ws_tls ? " -n" : "", curl,
        (int)url.len, url.at, json, who);
    fflush(stdout);
    buf_fini(&url);
}

/* Does a signal ask for the end? Meanwhile reloads are too late. */
static bool end_is_asked(const struct server *v, int64_t wait_ms)
{
    int number = signals_wait(v->signals, wait_ms);

    if (number == SIGHUP)
        log_warn("reload refused", LOG_STR("reason", "the server is going down"));
    return number && number != SIGHUP;
}

/* Readiness is down, and those who look at it have time to send nobody more. False: a signal came
   that wants no more of that. */
static bool stay_open(const struct server *v)
{
    int64_t until_ms = clock_mono_ms() + v->settings->drain_delay_ms, left_ms;

    while ((left_ms = until_ms - clock_mono_ms()) > 0)
        if (end_is_asked(v, left_ms))
            return false;
    return true;
}

static void hurry(struct server *v)
{
    log_info("draining now", LOG_NUM("sockets", meter_sum(METER_SOCKETS)));
    hub_tell(&v->hub, NOTE_DRAIN);
}

static void join_cluster_thread(struct server *v)
{
    while (pthread_tryjoin_np(v->cluster_thread, NULL) == EBUSY)
        if (end_is_asked(v, DRAIN_LOOK_MS))
            cluster_end(v->cluster, 0);
}

/* Tells every shard to end and waits for their threads; another signal meanwhile cuts it short. */
static void drain(struct server *v, uint32_t threads)
{
    const struct settings *set = v->settings;
    struct drain_sum *sum = &v->hub.drain;
    int64_t began_ms = clock_mono_ms();
    bool in_time;
    uint32_t i;

    log_info("draining", LOG_NUM("sockets", meter_sum(METER_SOCKETS)),
             LOG_NUM("http_connections", meter_sum(METER_CONNS_HTTP)),
             LOG_NUM("delay_ms", set->drain_delay_ms), LOG_NUM("limit_ms", set->drain_ms));
    atomic_store(&v->hub.draining, true);
    supervisor_say_stopping(&v->supervisor, set->drain_delay_ms + set->drain_ms);
    if (v->cluster_runs)
        cluster_leave(v->cluster);
    in_time = threads == v->hub.count && stay_open(v);
    hub_tell(&v->hub, NOTE_DRAIN);
    if (!in_time)
        hurry(v);
    for (i = 0; i < threads; i++)
        while (pthread_tryjoin_np(v->threads[i], NULL) == EBUSY)
            if (end_is_asked(v, DRAIN_LOOK_MS))
                hurry(v);
    if (v->cluster_runs) {
        cluster_end(v->cluster, FAREWELL_MOST_MS);
        join_cluster_thread(v);
    }
    log_info("drained", LOG_NUM("closed", sum->closed), LOG_NUM("cut", sum->cut),
             LOG_NUM("dropped_bytes", sum->dropped_bytes),
             LOG_NUM("took_ms", clock_mono_ms() - began_ms));
}

static void run_shard(void *shard)
{
    shard_run(shard);
}

static void run_cluster(void *cluster)
{
    cluster_run(cluster);
}

static uint32_t start_threads(struct server *v)
{
    uint32_t i;

    if (v->settings->scheduling == SCHEDULING_BATCH)
        limits_wake_gently();
    if (v->cluster) {
        v->cluster_runs =
            thread_start(&v->cluster_thread, "cluster", run_cluster, v->cluster) == ERR_OK;
        if (!v->cluster_runs)
            return 0;
    }
    v->threads = mem_alloc(v->hub.count * sizeof(*v->threads));
    for (i = 0; i < v->hub.count; i++) {
        char name[24];

        snprintf(name, sizeof(name), "shard-%u", i);
        if (thread_start(&v->threads[i], name, run_shard, v->hub.shards[i]))
            break;
    }
    return i;
}

static struct cluster_urls urls_of(const struct server *v)
{
    const struct api *api = api_of(v->hub.shards[0]);

    return (struct cluster_urls){.external = api->external_url,
                                 .internal = api->internal_url,
                                 .browser = api->browser_url,
                                 .cluster = v->settings->cluster.cluster_url};
}

/* After the doors are open: their addresses are what the others are told. */
static enum err open_cluster(struct server *v)
{
    struct cluster_urls urls = urls_of(v);

    if (!cluster_is_on(&v->settings->cluster))
        return ERR_OK;
    return cluster_open(&v->cluster, &v->hub, &urls);
}

/* Doors, shards and listeners; everything opened so far is closed by the caller. */
static int open_all(struct server *v)
{
    const struct settings *set = v->settings;
    uint32_t i;
    enum err e = door_open(&v->rest, set);

    if (e)
        return cannot_listen(set, &v->rest, e);
    e = door_open(&v->ws, set);
    if (e)
        return cannot_listen(set, &v->ws, e);
    wire(&v->hub);
    e = hub_open(&v->hub, set);
    for (i = 0; !e && i < v->hub.count; i++) {
        e = api_open(v->hub.shards[i], v->rest.fds[i], v->ws.fds[i]);
        v->rest.fds[i] = -1; /* taken, also when it failed */
        v->ws.fds[i] = -1;
    }
    if (!e)
        e = open_cluster(v);
    if (!e) {
        secure_shards(&v->hub, *v->tls);
        return 0;
    }
    if (e != ERR_BAD) /* then the cluster has said what is wrong */
        log_error("cannot start", LOG_STR("reason", err_name(e)),
                  LOG_STR("hint", "the system refused memory or descriptors: see ulimit -n"));
    return 1;
}

static void close_all(struct server *v)
{
    uint32_t i;

    cluster_close(v->cluster);
    for (i = 0; i < v->hub.count; i++)
        api_close(v->hub.shards[i]);
    hub_close(&v->hub);
    door_close(&v->rest, v->settings->shards);
    door_close(&v->ws, v->settings->shards);
    mem_free(v->threads);
}

static void reload(struct server *v)
{
    struct cluster_urls urls;
    bool did;

    supervisor_say_reloading(&v->supervisor);
    did = reload_run(&v->hub, v->config, v->tls, v->from);
    v->settings = config_settings(*v->config);
    if (did && v->cluster) {
        urls = urls_of(v);
        cluster_advertise(v->cluster, &urls);
    }
    supervisor_say_ready(&v->supervisor);
}

/* Until a signal asks for the end. */
static void attend(struct server *v)
{
    int number;

    if (v->reload_waits)
        reload(v);
    do {
        int64_t wait_ms = supervisor_beat(&v->supervisor, &v->hub, clock_mono_ms());

        number = signals_wait(v->signals, wait_ms);
        if (number == SIGHUP)
            reload(v);
    } while (!number || number == SIGHUP);
}

/* Until the other nodes know us: who connects before could not be reached by all. A reload waits
   until we serve, as it ends by telling the supervisor that we do. False: a signal asks for the
   end. */
static bool await_cluster(struct server *v)
{
    int64_t until_ms = clock_mono_ms() + JOIN_MOST_MS;
    int number;

    while (v->cluster && !atomic_load(&v->hub.bus.joined)) {
        number = signals_wait(v->signals, DRAIN_LOOK_MS);
        v->reload_waits = v->reload_waits || number == SIGHUP;
        v->ended = number && number != SIGHUP;
        if (v->ended)
            return false;
        if (clock_mono_ms() < until_ms)
            continue;
        log_warn("cluster not joined",
                 LOG_STR("hint", "not every node is heard through Redis, see the warnings before: "
                                 "only clients of this node are reached"));
        break;
    }
    return true;
}

static void serve(struct server *v, bool greet)
{
    uint32_t threads = start_threads(v);

    if (threads == v->hub.count && await_cluster(v)) {
        atomic_store(&v->hub.ready, true);
        say_ready(v);
        supervisor_say_ready(&v->supervisor);
        if (greet)
            say_welcome(v);
        attend(v);
    } else if (threads < v->hub.count) {
        log_error("cannot start", LOG_STR("reason", "the system refused a thread"));
    }
    drain(v, threads);
}

int start_run(struct config **config, const struct config_sources *from, struct tls_context **tls,
              bool greet)
{
    struct server v = {.config = config,
                       .from = from,
                       .settings = config_settings(*config),
                       .tls = tls,
                       .hub.version = PUSHCA_VERSION};
    int status;

    v.signals = signals_open();
    v.rest = (struct door){"rest", "server.port", v.settings->rest_port, NULL};
    v.ws = (struct door){"websocket", "pushca.pusher.socket-port", v.settings->ws_port, NULL};
    log_setup(v.settings->log_level, v.settings->log_format);
    crash_open(PUSHCA_VERSION);
    supervisor_open(&v.supervisor);
    say_notes(*config);
    say_limits(v.settings);
    secure_say(v.settings, *tls);
    if (v.signals < 0)
        log_error("cannot start", LOG_STR("reason", "the system refused a descriptor for signals"));
    status = v.signals < 0 ? 1 : open_all(&v);
    if (!status) {
        serve(&v, greet);
        status = atomic_load(&v.hub.ready) || v.ended ? 0 : 1;
        log_info("stopped", LOG_NUM("status", status));
    }
    close_all(&v);
    supervisor_close(&v.supervisor);
    crash_close();
    signals_close(v.signals);
    return status;
}
