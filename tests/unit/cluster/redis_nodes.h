/*
 * redis_nodes - a Redis Cluster of a test's own.
 *
 * Owner:   the test.      Thread: its main thread.
 */
#pragma once
#include "unit/cluster/redis_answer.h"

enum { NODES = 5, NODE_MASTERS = 3, NODE_ID_TEXT = 41 };

struct nodes {
    struct server at[NODES];
    char ids[NODES][NODE_ID_TEXT];
    char seed[32];
    const char *seeds[3];
};

static inline void node_start(struct nodes *n, int i)
{
    redisContext *c;
    redisReply *id;

    n->at[i] = (struct server){.args = {"--cluster-enabled", "yes", "--cluster-node-timeout", "700",
                                        "--repl-diskless-sync-delay", "0",
                                        "--cluster-replica-validity-factor", "0",
                                        "--cluster-allow-replica-migration", "no"}};
    server_start(&n->at[i]);
    c = server_dial(&n->at[i]);
    assert_non_null(c);
    id = redisCommand(c, "CLUSTER MYID");
    snprintf(n->ids[i], NODE_ID_TEXT, "%s", id->str);
    freeReplyObject(id);
    redisFree(c);
}

/* Text anywhere in what a command says. */
static inline bool node_tells(struct nodes *n, int i, const char *text, const char *command)
{
    redisContext *c = server_dial(&n->at[i]);
    redisReply *reply = c ? redisCommand(c, command) : NULL;
    bool told = reply && reply->str && strstr(reply->str, text);

    if (reply)
        freeReplyObject(reply);
    if (c)
        redisFree(c);
    return told;
}

static inline void node_await(struct nodes *n, int i, const char *text, const char *command)
{
    for (int tries = 0; tries < 1500; tries++) {
        if (node_tells(n, i, text, command))
            return;
        usleep(10000);
    }
    fail_msg("node %d: %s never says %s", i, command, text);
}

static inline void node_meet(struct nodes *n, int i)
{
    assert_true(server_says(&n->at[0], "OK", "CLUSTER MEET 127.0.0.1 %d %d", (int)n->at[i].port,
                            (int)n->at[i].bus));
    for (int j = 0; j <= i; j++)
        for (int k = 0; k <= i; k++)
            node_await(n, j, n->ids[k], "CLUSTER NODES");
}

/* Three masters; the first of the seeds is nobody. */
static inline void nodes_start(struct nodes *n)
{
    *n = (struct nodes){0};
    for (int i = 0; i < NODE_MASTERS; i++)
        node_start(n, i);
    for (int i = 0; i < NODE_MASTERS; i++) {
        assert_true(server_says(&n->at[i], "OK", "CLUSTER ADDSLOTSRANGE %d %d", i * 5461,
                                i == NODE_MASTERS - 1 ? 16383 : i * 5461 + 5460));
        assert_true(server_says(&n->at[i], "OK", "CLUSTER SET-CONFIG-EPOCH %d", i + 1));
    }
    for (int i = 1; i < NODE_MASTERS; i++)
        node_meet(n, i);
    for (int i = 0; i < NODE_MASTERS; i++)
        node_await(n, i, "cluster_state:ok", "CLUSTER INFO");
    snprintf(n->seed, sizeof(n->seed), "127.0.0.1:%u", (unsigned)n->at[1].port);
    n->seeds[0] = "127.0.0.1:1";
    n->seeds[1] = n->seed;
}

static inline void nodes_end(struct nodes *n)
{
    for (int i = 0; i < NODES; i++)
        server_end(&n->at[i]);
}
