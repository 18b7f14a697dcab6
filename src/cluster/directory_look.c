#include <hiredis/hiredis.h>
#include "base/mem.h"
#include "cluster/directory_state.h"
#include "cluster/directory_sweep.h"
#include "cluster/membership.h"
#include "cluster/redis.h"
#include "flow/loop.h"

enum { MARK_LEN = LIFE_DIGITS + 1 + 16 };

/* Who has this client? Asked by one or more. */
struct question {
    struct list link;
    uint64_t hash;
    uint32_t master, peer, asks;
    bool answered, stale, proving;
    enum directory_answer answer;
};

struct ask {
    struct list link;
    struct question *question;
    directory_found *found;
    void *context;
    uint64_t token;
};

/*
 * Whether entries that were missed are nowhere: all peers' marks, the entries again, the marks
 * again, as one run of commands on one master.
 */
struct proof {
    struct list link;
    struct directory *d;
    uint32_t master;
    struct vec questions;
    uint32_t peers;
    uint64_t *lives;
    struct buf marks;
    bool marked; /* the first reading showed all, and they stand unchanged */
    size_t outstanding;
};

/* ---- answers, in order ---- */

static void free_if_over(struct question *q)
{
    if (q->asks || q->proving || !q->answered)
        return;
    list_remove(&q->link);
    mem_free(q);
}

static void drain(struct directory *d)
{
    struct list *link;

    if (d->answering)
        return;
    d->answering = true;
    while ((link = list_first(&d->asks))) {
        struct ask *ask = container_of(link, struct ask, link), a = *ask;
        enum directory_answer answer = a.question->answer;
        struct peer *peer = NULL;

        if (!a.question->answered)
            break;
        if (answer == DIRECTORY_FOUND) {
            peer = membership_numbered(d->members, a.question->peer);
            if (!peer) /* gone since */
                answer = DIRECTORY_UNSURE;
        }
        list_remove(&ask->link);
        mem_free(ask);
        a.question->asks--;
        free_if_over(a.question);
        a.found(a.context, a.token, answer, peer);
    }
    d->answering = false;
}

/* Nobody joins it any more. */
static void leave_map(struct directory *d, struct question *q)
{
    if (map_find(&d->questions, q->hash, directory_same, NULL) == q)
        map_remove(&d->questions, q->hash, q);
}

static void conclude(struct directory *d, struct question *q, enum directory_answer answer,
                     const struct peer *peer)
{
    leave_map(d, q);
    q->answered = true;
    q->answer = answer;
    if (answer != DIRECTORY_FOUND)
        return;
    q->peer = peer->number;
    if (!q->stale)
        directory_cache_put(&d->cache, q->hash, peer->number, d->loop->now_ms);
}

/* True: there is no such entry, or of one who has left, or of an ended life. Else it is answered:
   an error, too, is an answer, and says nothing about the client. */
static bool is_missing(struct directory *d, struct question *q, const struct redisReply *reply)
{
    struct peer *peer = NULL;

    if (reply->type == REDIS_REPLY_NIL)
        return true;
    switch (directory_is_string(reply) ? directory_owner_of(d, directory_text(reply), &peer)
                                       : OWNER_JUNK) {
    case OWNER_US:
        conclude(d, q, DIRECTORY_HERE, NULL);
        return false;
    case OWNER_PEER:
        conclude(d, q, DIRECTORY_FOUND, peer);
        return false;
    case OWNER_LEFT:
    case OWNER_ENDED:
        return true;
    case OWNER_STRANGER:
    case OWNER_JUNK:
        break;
    }
    conclude(d, q, DIRECTORY_UNSURE, NULL);
    return false;
}

/* ---- proofs ---- */

static void free_proof(struct proof *p)
{
    list_remove(&p->link);
    vec_fini(&p->questions);
    buf_fini(&p->marks);
    mem_free(p->lives);
    mem_free(p);
}

static bool same_peers(const struct proof *p)
{
    const struct vec *now = &p->d->members->peers;

    if (now->len != p->peers)
        return false;
    for (uint32_t i = 0; i < p->peers; i++)
        if (((const struct peer *)now->at[i])->life != p->lives[i])
            return false;
    return true;
}

/* What was not answered proves nothing, and is not asked again: that master may not have the key's
   slot any more, and then it never answers. */
static void finish_proof(struct proof *p)
{
    struct directory *d = p->d;
    uint32_t master = p->master;
    enum directory_answer answer = p->marked && same_peers(p) ? DIRECTORY_NOBODY : DIRECTORY_UNSURE;

    for (uint32_t i = 0; i < p->questions.len; i++) {
        struct question *q = p->questions.at[i];

        q->proving = false;
        if (!q->answered)
            conclude(d, q, answer, NULL);
        free_if_over(q);
    }
    free_proof(p);
    d->parts[master].proving = false;
}

static void proof_reply(struct proof *p);

/* Appends the marks if each of them is there and of the life it should be. */
static bool read_marks(const struct proof *p, const struct redisReply *reply, struct buf *out)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != p->peers)
        return false;
    for (uint32_t i = 0; i < p->peers; i++) {
        const struct redisReply *mark = reply->element[i];
        uint64_t life;

        if (!directory_is_string(mark) || mark->len != MARK_LEN || mark->str[LIFE_DIGITS] != ' ' ||
            record_life_read(bytes_of(mark->str, LIFE_DIGITS), &life) || life != p->lives[i])
            return false;
        buf_add(out, directory_text(mark));
    }
    return true;
}

static void on_marks(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct proof *p = op->proof;

    directory_op_free(op);
    p->marked = reply && read_marks(p, reply, &p->marks);
    proof_reply(p);
}

static void on_marks_again(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct proof *p = op->proof;
    struct buf marks = {0};

    directory_op_free(op);
    p->marked = p->marked && reply && read_marks(p, reply, &marks) &&
                bytes_equal(buf_bytes(&marks), buf_bytes(&p->marks));
    buf_fini(&marks);
    proof_reply(p);
}

static void on_missed_again(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct proof *p = op->proof;

    if (reply)
        is_missing(op->d, op->question, reply);
    else
        conclude(op->d, op->question, DIRECTORY_UNSURE, NULL);
    directory_op_free(op);
    proof_reply(p);
}

static void read_marks_of_all(struct proof *p, const struct bytes *argv, redis_done *done)
{
    struct op *op = directory_op(p->d, 0);

    op->proof = p;
    p->outstanding++;
    redis_command_on(p->d->redis, p->master, argv, (int)p->peers + 1, done, op);
}

static void look_again(struct proof *p, struct question *q)
{
    struct op *op = directory_op(p->d, q->hash);
    const struct bytes argv[] = {BYTES("GET"), directory_client_key(p->d, q->hash)};

    op->proof = p;
    op->question = q;
    leave_map(p->d, q); /* who comes later may know of a connect that this look does not see */
    q->stale = true;
    p->outstanding++;
    redis_command_on(p->d->redis, p->master, argv, 2, on_missed_again, op);
}

static struct proof *new_proof(struct directory *d, uint32_t master)
{
    const struct vec *peers = &d->members->peers;
    struct proof *p = mem_new(struct proof);

    list_push_back(&d->proofs, &p->link);
    p->d = d;
    p->master = master;
    p->peers = peers->len;
    p->lives = mem_alloc((peers->len + 1) * sizeof(*p->lives));
    for (uint32_t i = 0; i < peers->len; i++)
        p->lives[i] = ((const struct peer *)peers->at[i])->life;
    p->questions = d->parts[master].doubts;
    d->parts[master].doubts = (struct vec){0};
    return p;
}

/* MGET and the keys of all peers' marks, in text. False: the master is not known. */
static bool name_marks(const struct proof *p, struct bytes *argv, struct buf *text)
{
    size_t *ends = mem_alloc((p->peers + 1) * sizeof(*ends)), at = 0;
    bool known = true;

    for (uint32_t i = 0; i < p->peers && known; i++) {
        const struct peer *peer = p->d->members->peers.at[i];

        known = directory_mark_key(p->d, p->master, peer->id, text);
        ends[i] = text->len;
    }
    argv[0] = BYTES("MGET");
    for (uint32_t i = 0; i < p->peers && known; i++) {
        argv[i + 1] = bytes_of(text->at + at, ends[i] - at);
        at = ends[i];
    }
    mem_free(ends);
    return known;
}

/* False: nothing had to be asked. */
static bool start_proof(struct proof *p)
{
    struct bytes *argv = mem_alloc((p->peers + 1) * sizeof(*argv));
    struct buf text = {0};

    p->marked = p->peers == 0; /* nobody else is there */
    if (p->peers && name_marks(p, argv, &text)) {
        read_marks_of_all(p, argv, on_marks);
        for (uint32_t i = 0; i < p->questions.len; i++)
            look_again(p, p->questions.at[i]);
        read_marks_of_all(p, argv, on_marks_again);
    }
    buf_fini(&text);
    mem_free(argv);
    return p->outstanding > 0;
}

/* All that wait, unless a proof is under way there. */
static void prove(struct directory *d, uint32_t master)
{
    while (!d->parts[master].proving && d->parts[master].doubts.len) {
        struct proof *p = new_proof(d, master);

        d->parts[master].proving = true;
        if (!start_proof(p))
            finish_proof(p);
    }
}

static void proof_reply(struct proof *p)
{
    struct directory *d = p->d;
    uint32_t master = p->master;

    if (--p->outstanding)
        return;
    finish_proof(p);
    prove(d, master);
    drain(d);
}

static void doubt(struct directory *d, struct question *q)
{
    struct part *part;

    if (q->master >= d->part_count || !d->members->answered_ms) {
        conclude(d, q, DIRECTORY_UNSURE, NULL);
        return;
    }
    part = &d->parts[q->master];
    q->proving = true;
    vec_push(&part->doubts, q);
    prove(d, q->master);
}

/* ---- asking ---- */

static void on_value(void *context, const struct redisReply *reply)
{
    struct op *op = context;
    struct directory *d = op->d;
    struct question *q = op->question;

    directory_op_free(op);
    if (!reply)
        conclude(d, q, DIRECTORY_FAILED, NULL);
    else if (is_missing(d, q, reply))
        doubt(d, q);
    drain(d);
}

static struct question *ask_redis(struct directory *d, uint64_t hash)
{
    struct question *q = mem_new(struct question);
    struct op *op = directory_op(d, hash);
    struct bytes argv[] = {BYTES("GET"), {0}};

    q->hash = hash;
    q->master = directory_master_of(d, hash);
    op->question = q;
    list_push_back(&d->all_questions, &q->link);
    map_add(&d->questions, hash, q);
    argv[1] = directory_client_key(d, hash);
    redis_command(d->redis, argv, 2, 1, on_value, op);
    return q;
}

static void ask(struct directory *d, struct question *q, directory_found *found, void *context,
                uint64_t token)
{
    struct ask *a = mem_new(struct ask);

    *a = (struct ask){.question = q, .found = found, .context = context, .token = token};
    q->asks++;
    list_push_back(&d->asks, &a->link);
}

void directory_look_up(struct directory *d, uint64_t hash, directory_found *found, void *context,
                       uint64_t token)
{
    struct question *q = map_find(&d->questions, hash, directory_same, NULL);

    ask(d, q ? q : ask_redis(d, hash), found, context, token);
}

void directory_look_forget(struct directory *d, uint64_t hash)
{
    struct question *q = map_find(&d->questions, hash, directory_same, NULL);

    if (!q)
        return;
    q->stale = true;
    leave_map(d, q);
}

void directory_verify(struct directory *d, uint64_t hash, directory_found *found, void *context,
                      uint64_t token)
{
    directory_forget(d, hash);
    ask(d, ask_redis(d, hash), found, context, token);
}

void directory_look_init(struct directory *d)
{
    list_init(&d->asks);
    list_init(&d->all_questions);
    list_init(&d->proofs);
    map_init(&d->questions);
}

void directory_look_fini(struct directory *d)
{
    struct list *link;

    while ((link = list_first(&d->asks))) {
        list_remove(link);
        mem_free(container_of(link, struct ask, link));
    }
    while ((link = list_first(&d->proofs)))
        free_proof(container_of(link, struct proof, link));
    while ((link = list_first(&d->all_questions))) {
        list_remove(link);
        mem_free(container_of(link, struct question, link));
    }
    map_fini(&d->questions);
}
