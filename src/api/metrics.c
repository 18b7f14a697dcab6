#include "api/metrics.h"

#include "base/check.h"

#define GAUGE(meter, name, unit, help, ...)                                                        \
    {                                                                                              \
        meter, false, name, unit, help,                                                            \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define COUNT(meter, name, help, ...)                                                              \
    {                                                                                              \
        meter, true, name, NULL, help,                                                             \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define NO_LABEL                                                                                   \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

const struct metric metrics[] = {
    GAUGE(METER_MEM_HELD, "pushca.memory.held", "bytes", "Memory held by the server's own objects",
          NO_LABEL),
    GAUGE(METER_MEM_FRAMES, "pushca.memory.part", "bytes",
          "The same by what it is for; frames count once, however many receivers they wait for",
          {"part", "frames"}),
    GAUGE(METER_MEM_INPUT, "pushca.memory.part", "bytes", NULL, {"part", "input"}),
    GAUGE(METER_MEM_CONNECTIONS, "pushca.memory.part", "bytes", NULL, {"part", "connections"}),
    GAUGE(METER_MEM_PENDING, "pushca.memory.part", "bytes", NULL, {"part", "pending"}),
    GAUGE(METER_MEM_OTHER, "pushca.memory.part", "bytes", NULL, {"part", "other"}),
    GAUGE(METER_MEM_SPARE, "pushca.memory.spare", "bytes",
          "Freed large blocks kept for the next one, until none was freed for a second", NO_LABEL),
    GAUGE(METER_CONNS_HTTP, "pushca.connections", NULL,
          "Open HTTP connections by listener; of the WebSocket listener those not yet upgraded",
          {"listener", "rest"}),
    GAUGE(METER_CONNS_WS, "pushca.connections", NULL, NULL, {"listener", "websocket"}),
    GAUGE(METER_SOCKETS, "pushca.sockets", NULL, "Open WebSockets", NO_LABEL),
    GAUGE(METER_CLIENTS, "pushca.clients", NULL, "Identities with at least one open WebSocket",
          NO_LABEL),
    GAUGE(METER_QUEUED_BYTES, "pushca.queued", "bytes", "Bytes waiting to be sent to clients",
          NO_LABEL),
    GAUGE(METER_DELIVERIES_OPEN, "pushca.deliveries.open", NULL,
          "Acknowledged messages sent whose outcome is not known yet", NO_LABEL),
    COUNT(METER_HTTP_REQUESTS, "pushca.http.requests",
          "Requests of both listeners, handshakes among them", NO_LABEL),
    COUNT(METER_HTTP_2XX, "pushca.http.answers", "HTTP answers of both listeners by status class",
          {"status", "2xx"}),
    COUNT(METER_HTTP_4XX, "pushca.http.answers", NULL, {"status", "4xx"}),
    COUNT(METER_HTTP_5XX, "pushca.http.answers", NULL, {"status", "5xx"}),
    COUNT(METER_HANDSHAKES, "pushca.handshakes", "WebSocket handshakes by result",
          {"result", "accepted"}),
    COUNT(METER_HANDSHAKES_REFUSED, "pushca.handshakes", NULL, {"result", "refused"}),
    COUNT(METER_COMMANDS, "pushca.commands",
          "WebSocket commands; bad ones are those refused or "
          "ignored, and may have been understood first",
          {"result", "understood"}),
    COUNT(METER_COMMANDS_BAD, "pushca.commands", NULL, {"result", "bad"}),
    COUNT(METER_ACCEPTED_PLAIN_REST, "pushca.accepted", "Messages accepted by class and entry",
          {"class", "plain"}, {"entry", "rest"}),
    COUNT(METER_ACCEPTED_PLAIN_WS, "pushca.accepted", NULL, {"class", "plain"},
          {"entry", "websocket"}),
    COUNT(METER_ACCEPTED_ACKED_REST, "pushca.accepted", NULL, {"class", "acknowledged"},
          {"entry", "rest"}),
    COUNT(METER_ACCEPTED_ACKED_WS, "pushca.accepted", NULL, {"class", "acknowledged"},
          {"entry", "websocket"}),
    COUNT(METER_DELIVERED_PLAIN, "pushca.delivered",
          "Copies of messages written whole to a receiver's socket, by class", {"class", "plain"}),
    COUNT(METER_DELIVERED_ACKED, "pushca.delivered", NULL, {"class", "acknowledged"}),
    COUNT(METER_ACKNOWLEDGED, "pushca.acknowledged",
          "Acknowledged messages whose acknowledge came in time", NO_LABEL),
    COUNT(METER_EXPIRED, "pushca.expired", "Acknowledged messages whose acknowledge did not come",
          NO_LABEL),
    COUNT(METER_ACKS_UNKNOWN, "pushca.acknowledges.unknown",
          "Late, repeated or foreign acknowledges, but for those that are passed on", NO_LABEL),
    COUNT(METER_ACKS_PASSED_ON, "pushca.acknowledges.passed",
          "Acknowledges of clients that may have come from another node, or went there: all are "
          "asked",
          NO_LABEL),
    COUNT(METER_OUTCOMES_UNCLAIMED, "pushca.outcomes.unclaimed", "Outcomes whose asker had gone",
          NO_LABEL),
    COUNT(METER_DROPPED_NO_MATCH, "pushca.dropped",
          "Messages that matched nobody, and copies that did not reach their receiver, by reason",
          {"reason", "no_match"}),
    COUNT(METER_DROPPED_QUEUE_FULL, "pushca.dropped", NULL, {"reason", "queue_full"}),
    COUNT(METER_DROPPED_CLOSED, "pushca.dropped", NULL, {"reason", "closed"}),
    COUNT(METER_DROPPED_NODE_GONE, "pushca.dropped", NULL, {"reason", "node_gone"}),
    COUNT(METER_DROPPED_ASTRAY, "pushca.dropped", NULL, {"reason", "astray"}),
    COUNT(METER_CLOSED_SLOW, "pushca.sockets.closed", "WebSockets closed by the server, by reason",
          {"reason", "slow"}),
    COUNT(METER_CLOSED_STALLED, "pushca.sockets.closed", NULL, {"reason", "stalled"}),
    COUNT(METER_CLOSED_MEMORY, "pushca.sockets.closed", NULL, {"reason", "memory"}),
    COUNT(METER_CLOSED_FLOOD, "pushca.sockets.closed", NULL, {"reason", "flood"}),
    COUNT(METER_CLOSED_SILENT, "pushca.sockets.closed", NULL, {"reason", "silent"}),
    COUNT(METER_CLOSED_PROTOCOL, "pushca.sockets.closed", NULL, {"reason", "protocol"}),
    COUNT(METER_CLOSED_DEAF, "pushca.sockets.closed", NULL, {"reason", "deaf"}),
    COUNT(METER_REPEATS, "pushca.repeats", "Repeated commands answered from memory", NO_LABEL),
    COUNT(METER_REFUSED_MEMORY, "pushca.refused", "Work refused over a limit, by reason",
          {"reason", "memory"}),
    COUNT(METER_REFUSED_SOCKETS, "pushca.refused", NULL, {"reason", "sockets"}),
    COUNT(METER_REFUSED_CLUSTER, "pushca.refused", NULL, {"reason", "cluster"}),
    COUNT(METER_REFUSED_HANDSHAKES, "pushca.refused", NULL, {"reason", "handshakes"}),
    GAUGE(METER_CLUSTER_NODES, "pushca.cluster.nodes", NULL,
          "Living nodes of the cluster, this one too; 0: this server stands alone", NO_LABEL),
    COUNT(METER_CLUSTER_OVERDUE, "pushca.cluster.order.overdue",
          "Sends with preserveOrder answered before the other nodes had them", NO_LABEL),
    GAUGE(METER_CLUSTER_AWAY, "pushca.cluster.away", NULL,
          "1 while other nodes cannot be reached: Redis is away or does not echo", NO_LABEL),
    COUNT(METER_CLUSTER_LOST, "pushca.cluster.lost", "How often that began", NO_LABEL),
    GAUGE(METER_CLUSTER_ECHO_US, "pushca.cluster.echo", "microseconds",
          "How long this node's last beat took through the bus back to it", NO_LABEL),
    GAUGE(METER_CLUSTER_UNCONFIRMED, "pushca.cluster.unconfirmed", "bytes",
          "What was sent to other nodes and not confirmed yet", NO_LABEL),
    GAUGE(METER_CLUSTER_WAITING, "pushca.cluster.waiting", "bytes",
          "Messages that wait for the directory", NO_LABEL),
    COUNT(METER_CLUSTER_SENT, "pushca.cluster.items",
          "What went to other nodes, what of it again, and what came from them", {"way", "sent"}),
    COUNT(METER_CLUSTER_RESENT, "pushca.cluster.items", NULL, {"way", "again"}),
    COUNT(METER_CLUSTER_TAKEN, "pushca.cluster.items", NULL, {"way", "taken"}),
    COUNT(METER_CLUSTER_BATCHES, "pushca.cluster.batches", "Publishes that carried them", NO_LABEL),
    COUNT(METER_CLUSTER_LOOKUPS, "pushca.cluster.lookups",
          "Where is this client? Answered by the directory in Redis, or from before",
          {"by", "directory"}),
    COUNT(METER_CLUSTER_CACHED, "pushca.cluster.lookups", NULL, {"by", "cache"}),
    GAUGE(METER_DEFLATE_HELD, "pushca.deflate.held", "bytes",
          "The part of pushca.memory.held that WebSocket compression holds", NO_LABEL),
    COUNT(METER_DEFLATED, "pushca.deflate.messages",
          "Messages compressed (out: once, however many receive it) and messages inflated (in)",
          {"direction", "out"}),
    COUNT(METER_INFLATED, "pushca.deflate.messages", NULL, {"direction", "in"}),
    COUNT(METER_DEFLATE_SAVED, "pushca.deflate.saved.bytes",
          "Bytes that compression kept out of output queues", NO_LABEL),
    GAUGE(METER_TLS_CONNS, "pushca.tls.connections", NULL,
          "Connections of both listeners that speak TLS, those in their handshake too", NO_LABEL),
    COUNT(METER_TLS_DONE, "pushca.tls.handshakes", "TLS handshakes by result", {"result", "done"}),
    COUNT(METER_TLS_FAILED, "pushca.tls.handshakes", NULL, {"result", "failed"}),
    COUNT(METER_TLS_RESUMED, "pushca.tls.resumed", "TLS handshakes done by a ticket", NO_LABEL),
    COUNT(METER_MEM_SHORT, "pushca.memory.short",
          "How often the system refused memory and the reserve was used", NO_LABEL),
    COUNT(METER_LOG_LOST, "pushca.log.lost", "Log lines that standard error did not take whole",
          NO_LABEL),
};

const size_t metric_count = sizeof(metrics) / sizeof(metrics[0]);

_Static_assert(sizeof(metrics) / sizeof(metrics[0]) == METERS, "every meter has its metric");

int64_t metric_value(const struct metric *m)
{
    int64_t other;

    if (m->meter != METER_MEM_OTHER)
        return meter_sum(m->meter);
    other = meter_sum(METER_MEM_HELD) - meter_sum(METER_MEM_FRAMES) - meter_sum(METER_MEM_INPUT) -
            meter_sum(METER_MEM_CONNECTIONS) - meter_sum(METER_MEM_PENDING);
    return other > 0 ? other : 0; /* the sums are not of one moment */
}

/* Dots become underscores; a unit and "_total" are added as Prometheus wants them. */
static void write_name(const struct metric *m, struct buf *out)
{
    const char *c;

    for (c = m->name; *c; c++) {
        if (*c == '.')
            buf_add_char(out, '_');
        else
            buf_add_char(out, *c);
    }
    if (m->unit)
        buf_printf(out, "_%s", m->unit);
    if (m->is_counter)
        buf_add(out, BYTES("_total"));
}

static void write_head(const struct metric *m, struct buf *out)
{
    buf_add(out, BYTES("# HELP "));
    write_name(m, out);
    buf_printf(out, " %s\n# TYPE ", m->help);
    write_name(m, out);
    buf_printf(out, " %s\n", m->is_counter ? "counter" : "gauge");
}

static void write_labels(const struct metric *m, struct buf *out)
{
    const struct metric_label *l = m->labels;

    if (!l[0].tag)
        return;
    buf_printf(out, "{%s=\"%s\"", l[0].tag, l[0].value);
    if (l[1].tag)
        buf_printf(out, ",%s=\"%s\"", l[1].tag, l[1].value);
    buf_add_char(out, '}');
}

static void write_constants(const struct hub *h, struct buf *out)
{
    buf_printf(out,
               "# HELP pushca_build_info The version of this build\n"
               "# TYPE pushca_build_info gauge\n"
               "pushca_build_info{version=\"%s\"} 1\n",
               h->version ? h->version : "unknown");
    buf_printf(out,
               "# HELP pushca_start_time_seconds When the server started, since 1970\n"
               "# TYPE pushca_start_time_seconds gauge\n"
               "pushca_start_time_seconds %.3f\n",
               (double)h->started_wall_ms / 1000.0);
    buf_printf(out,
               "# HELP pushca_sockets_limit WebSockets that may be open at once\n"
               "# TYPE pushca_sockets_limit gauge\n"
               "pushca_sockets_limit %u\n",
               h->settings->sockets);
}

void metrics_write_prometheus(const struct hub *h, struct buf *out)
{
    size_t i;

    for (i = 0; i < metric_count; i++) {
        const struct metric *m = &metrics[i];

        if (m->help)
            write_head(m, out);
        write_name(m, out);
        write_labels(m, out);
        buf_printf(out, " %lld\n", (long long)metric_value(m));
    }
    write_constants(h, out);
}
