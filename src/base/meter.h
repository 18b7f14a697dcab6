/*
 * meter - counters and gauges: one cell per thread and meter, summed when read.
 *
 * Owner:   each thread its own cells, registered once at thread start (meter_open); the registry of
 *          cells is global state that design.md allows.
 * Thread:  meter_add on the thread's own cell, relaxed and without a lock; meter_sum from any.
 *          A thread that never opened cells uses one shared cell, atomically.
 * Kinds:   a counter only grows; a gauge goes up and down and its sum over threads is the value.
 */
#pragma once
#include <stdint.h>

enum meter {
    METER_MEM_HELD,        /* gauge, bytes held through mem_* */
    METER_MEM_FRAMES,      /* gauges, parts of it: frames on their way, each counted once */
    METER_MEM_INPUT,       /* requests and messages that have not arrived whole */
    METER_MEM_CONNECTIONS, /* connections, sessions, clients and their index */
    METER_MEM_PENDING,     /* deliveries, who waits for them, remembered commands */
    METER_MEM_OTHER,       /* what is left: made of the ones above when asked for */
    METER_MEM_SPARE,       /* gauge, freed and kept for the next one; no part of what is held */
    METER_CONNS_HTTP,      /* gauge, open connections of the REST listener */
    METER_CONNS_WS,        /* gauge, connections of the WebSocket listener that are no clients */
    METER_SOCKETS,         /* gauge, upgraded WebSockets */
    METER_CLIENTS,         /* gauge, identities with at least one socket */
    METER_QUEUED_BYTES,    /* gauge, bytes waiting in output queues */
    METER_DELIVERIES_OPEN, /* gauge, acknowledged messages without an outcome */
    METER_HTTP_REQUESTS,   /* counter */
    METER_HTTP_2XX,
    METER_HTTP_4XX,
    METER_HTTP_5XX,
    METER_HANDSHAKES,          /* counter, 101 answered */
    METER_HANDSHAKES_REFUSED,  /* counter */
    METER_COMMANDS,            /* counter, WebSocket commands understood */
    METER_COMMANDS_BAD,        /* counter, answered with an error or ignored */
    METER_ACCEPTED_PLAIN_REST, /* counter, notifications accepted, by class and entry */
    METER_ACCEPTED_PLAIN_WS,
    METER_ACCEPTED_ACKED_REST,
    METER_ACCEPTED_ACKED_WS,
    METER_DELIVERED_PLAIN, /* counter, copies handed to a socket's queue and written whole */
    METER_DELIVERED_ACKED,
    METER_ACKNOWLEDGED,        /* counter, acknowledged messages acknowledged in time */
    METER_EXPIRED,             /* counter, acknowledged messages that were not */
    METER_ACKS_UNKNOWN,        /* counter, late, repeated or foreign acknowledges */
    METER_OUTCOMES_UNCLAIMED,  /* counter, an outcome whose asker had gone */
    METER_DROPPED_NO_MATCH,    /* counter, accepted, matched nobody */
    METER_DROPPED_QUEUE_FULL,  /* counter, copies dropped by a receiver over its queue limit */
    METER_DROPPED_CLOSED,      /* counter, copies queued on a socket that closed */
    METER_CLOSED_SLOW,         /* counter, sockets closed 1013: queue over its limit */
    METER_CLOSED_STALLED,      /* counter, sockets closed 1013: no write progress */
    METER_CLOSED_MEMORY,       /* counter, sockets closed 1013: they held most, memory was short */
    METER_CLOSED_FLOOD,        /* counter, sockets closed: pings, bad commands or words of TLS */
    METER_CLOSED_SILENT,       /* counter, sockets closed: no pong */
    METER_CLOSED_PROTOCOL,     /* counter, sockets closed for a protocol violation */
    METER_REPEATS,             /* counter, repeated commands answered from memory */
    METER_REFUSED_MEMORY,      /* counter, work refused over the memory budget */
    METER_REFUSED_SOCKETS,     /* counter, refused over the socket limit */
    METER_REFUSED_CLUSTER,     /* counter, sends refused: another node could not be reached */
    METER_DEFLATE_HELD,        /* gauge, bytes of METER_MEM_HELD that compression holds */
    METER_DEFLATED,            /* counter, messages compressed, each once for all its receivers */
    METER_INFLATED,            /* counter, compressed messages that came in */
    METER_DEFLATE_SAVED,       /* counter, bytes that compression kept out of output queues */
    METER_REFUSED_HANDSHAKES,  /* counter, refused over the limit of connections before theirs */
    METER_TLS_CONNS,           /* gauge, connections that speak TLS, or are about to */
    METER_TLS_DONE,            /* counter, TLS handshakes done */
    METER_TLS_FAILED,          /* counter, TLS handshakes that were not finished */
    METER_TLS_RESUMED,         /* counter, of those done: by a ticket */
    METER_MEM_SHORT,           /* counter, the system refused memory and the reserve was used */
    METER_DROPPED_NODE_GONE,   /* counter, accepted for a node that died before it confirmed */
    METER_DROPPED_ASTRAY,      /* counter, passed on from node to node too often */
    METER_CLOSED_DEAF,         /* counter, sockets closed 1012: this node did not hear the others */
    METER_CLUSTER_NODES,       /* gauge, living nodes, this one too */
    METER_CLUSTER_AWAY,        /* gauge, 1 while the bus cannot be used */
    METER_CLUSTER_LOST,        /* counter, how often it could not be used any more */
    METER_CLUSTER_ECHO_US,     /* gauge, how long the last beat took back to us */
    METER_CLUSTER_UNCONFIRMED, /* gauge, bytes for other nodes that they have not confirmed */
    METER_CLUSTER_WAITING,     /* gauge, bytes that wait for the directory */
    METER_CLUSTER_SENT,        /* counter, items for other nodes, each once */
    METER_CLUSTER_RESENT,      /* counter, items sent again */
    METER_CLUSTER_TAKEN,       /* counter, items from other nodes, each once */
    METER_CLUSTER_BATCHES,     /* counter, commands in which all of that was sent */
    METER_CLUSTER_LOOKUPS,     /* counter, questions to the directory */
    METER_CLUSTER_CACHED,      /* counter, answered from what was looked up before */
    METER_ACKS_PASSED_ON,      /* counter, acknowledges that other nodes are asked about */
    METER_CLUSTER_OVERDUE,     /* counter, preserveOrder answered before other nodes had it */
    METER_LOG_LOST,            /* counter, log lines that standard error did not take whole */
    METERS,
};

struct meter_cells; /* one thread's cells */

/* Gives the calling thread cells of its own until meter_close, which folds them into the shared. */
void meter_open(void);
void meter_close(void);

void meter_add(enum meter m, int64_t n);
int64_t meter_sum(enum meter m);

/* The calling thread's own share; of one without cells the shared one. Only differences of it
   mean something. */
int64_t meter_own(enum meter m);
