#include <hiredis/hiredis.h>
#include "cluster/directory_state.h"
#include "cluster/directory_sweep.h"
#include "cluster/membership.h"
#include "cluster/peer.h"
#include "cluster/redis.h"

static const char REPLACE[] = "if redis.call('GET',KEYS[1])==ARGV[1] then\n"
                              " redis.call('SET',KEYS[1],ARGV[2])\n"
                              " return 1\n"
                              "end\n"
                              "return 0\n";

void directory_replace(struct op *op, struct bytes old, struct bytes value, redis_done *done)
{
    struct directory *d = op->d;
    const struct bytes argv[] = {
        BYTES("EVAL"), BYTES(REPLACE), BYTES("1"), directory_client_key(d, op->hash), old, value};

    redis_command(d->redis, argv, 6, 3, done, op);
}

static bool is_replaced(const struct redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
}

static bool is_error(const struct redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ERROR;
}

static struct op *hands_op(struct directory *d, uint64_t hash, bool put, directory_done *done,
                           void *context, uint64_t token)
{
    struct op *op = directory_write_op(d, hash, put);

    op->did = done;
    op->context = context;
    op->token = token;
    return op;
}

static void finish(struct op *op, bool did)
{
    struct op o = *op;

    directory_write_done(op);
    directory_forget(o.d, o.hash);
    if (o.did)
        o.did(o.context, o.hash, o.token, did);
}

/* ---- taking ---- */

static void end_take(struct op *op, bool did)
{
    if (did && !op->superseded)
        directory_settled(op->d, op->hash);
    finish(op, did);
}

/* Full: it is not found in the directory, but everybody is asked. */
static void refuse(struct op *op)
{
    directory_part_failed(op->d, op->master);
    if (!op->superseded)
        directory_settle(op->d, op->hash, true);
    finish(op, true);
}

static void on_replaced(void *context, const struct redisReply *reply)
{
    struct op *op = context;

    if (is_error(reply))
        refuse(op);
    else
        end_take(op, is_replaced(reply));
}

static void look_at_owner(struct op *op, struct bytes value)
{
    struct peer *peer = NULL;

    switch (directory_owner_of(op->d, value, &peer)) {
    case OWNER_US:
        end_take(op, true);
        break;
    case OWNER_LEFT:
    case OWNER_ENDED:
    case OWNER_JUNK:
        if (op->superseded)
            end_take(op, false);
        else
            directory_replace(op, value, buf_bytes(&op->d->owner), on_replaced);
        break;
    case OWNER_PEER:
    case OWNER_STRANGER:
        end_take(op, false);
        break;
    }
}

static void on_taken(void *context, const struct redisReply *reply)
{
    struct op *op = context;

    if (is_error(reply))
        refuse(op);
    else if (reply && directory_is_string(reply))
        look_at_owner(op, directory_text(reply));
    else
        end_take(op, reply && reply->type == REDIS_REPLY_NIL);
}

void directory_take(struct directory *d, uint64_t hash, directory_done *done, void *context,
                    uint64_t token)
{
    struct op *op = hands_op(d, hash, true, done, context, token);
    const struct bytes argv[] = {BYTES("SET"), buf_bytes(&d->key), buf_bytes(&d->owner),
                                 BYTES("NX"), BYTES("GET")};

    redis_command(d->redis, argv, 5, 1, on_taken, op);
}

/* ---- handing over ---- */

/* A full Redis takes no other name for ours, but lets go of it. */
static void on_handed(void *context, const struct redisReply *reply)
{
    struct op *op = context;

    if (!op->superseded && is_error(reply))
        directory_remove(op->d, op->hash);
    else if (!op->superseded && !reply)
        directory_settle(op->d, op->hash, false);
    finish(op, is_replaced(reply));
}

void directory_hand_over(struct directory *d, uint64_t hash, const struct peer *to,
                         directory_done *done, void *context, uint64_t token)
{
    struct buf value = {0};

    directory_settled(d, hash);
    record_owner_write(&value, to->id, to->life);
    directory_replace(hands_op(d, hash, false, done, context, token), buf_bytes(&d->owner),
                      buf_bytes(&value), on_handed);
    buf_fini(&value);
}
