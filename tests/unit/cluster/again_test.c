#include "cluster/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/meter.h"
#include "cluster/arrivals.h"
#include "cluster/courier.h"
#include "cluster/elsewhere.h"
#include "cluster/everybody.h"
#include "cluster/find.h"
#include "cluster/node.h"
#include "cluster/take.h"
#include "flow/frame.h"
#include "hub/notification.h"
#include "net/ws_conn.h"

/* What comes back from a peer that has gone: this node's queue, what it takes and its findAny are
   the real ones; the directory says what the test wants. The peers are `a`, that asks, and `c` and
   `d`, that may have the client. */
enum { SHARDS = 2, PEERS = 3, NOW_MS = 1000000, ASK = 77, THEIR_SHARD = 9 };
enum { A, C, D };

static struct world {
    struct cluster c;
    struct hub hub;
    struct shard shard[SHARDS], *shards[SHARDS];
    struct outbox staged[SHARDS + 1];
    struct peer peer[PEERS];
    enum directory_answer answer;
    struct peer *found; /* null: nobody */
    bool is_here;
    int64_t lost, nobody; /* as counted before */
} w;

/* ---- what the cluster thread's other files would do ---- */

struct note *cluster_note(enum note_kind kind, const struct cluster *c)
{
    return note_from(c->hub->count, kind);
}

void cluster_post(struct cluster *c, uint32_t shard, struct note *n, size_t weight)
{
    outbox_add(&c->staged[shard], n, weight);
}

bool directory_cached(struct directory *d, uint64_t hash, struct peer **peer)
{
    (void)d;
    (void)hash;
    (void)peer;
    return false;
}

void directory_look_up(struct directory *d, uint64_t hash, directory_found *found, void *context,
                       uint64_t token)
{
    (void)d;
    (void)hash;
    found(context, token, w.answer, w.found);
}

void directory_verify(struct directory *d, uint64_t hash, directory_found *found, void *context,
                      uint64_t token)
{
    directory_look_up(d, hash, found, context, token);
}

void directory_forget(struct directory *d, uint64_t hash)
{
    (void)d;
    (void)hash;
    fail();
}

bool arrivals_is_here(const struct cluster *c, uint64_t hash)
{
    (void)c;
    (void)hash;
    return w.is_here;
}

bool arrivals_may_come(const struct cluster *c, uint64_t hash)
{
    (void)c;
    (void)hash;
    return false;
}

void arrivals_take_moved(struct cluster *c, struct peer *peer, const struct envelope *e)
{
    (void)c;
    (void)peer;
    (void)e;
    fail();
}

void elsewhere_take_whose(struct cluster *c, struct peer *p, const struct envelope *e)
{
    arrivals_take_moved(c, p, e);
}

void elsewhere_take_left(struct cluster *c, struct peer *p, const struct envelope *e)
{
    arrivals_take_moved(c, p, e);
}

void courier_confirm(struct cluster *c, struct peer *p)
{
    (void)c;
    (void)p;
    fail();
}

void courier_doubt(struct cluster *c, struct peer *p)
{
    (void)c;
    (void)p;
}

/* ---- the node and its peers ---- */

static void open_peer(int i)
{
    static const char *const ids[PEERS] = {"a", "c", "d"};
    struct peer *p = &w.peer[i];

    *p = (struct peer){.number = (uint32_t)i + 1, .life = 0xa0 + (uint64_t)i};
    snprintf(p->id, sizeof(p->id), "%s", ids[i]);
    stream_init(&p->stream, p->number, 1 << 20);
}

static void join(int i)
{
    vec_push(&w.c.members.peers, &w.peer[i]);
}

static void go(int i, enum gone how)
{
    struct vec *all = &w.c.members.peers, left = {0};

    for (uint32_t n = 0; n < all->len; n++)
        if (all->at[n] != &w.peer[i])
            vec_push(&left, all->at[n]);
    vec_fini(all);
    *all = left;
    forward_take_back(&w.c, &w.peer[i], how);
}

static int setup(void **state)
{
    struct cluster *c = &w.c;

    (void)state;
    w = (struct world){.answer = DIRECTORY_NOBODY,
                       .lost = meter_sum(METER_DROPPED_NODE_GONE),
                       .nobody = meter_sum(METER_DROPPED_NO_MATCH)};
    w.hub = (struct hub){.shards = w.shards, .count = SHARDS, .key = {1, 2}};
    for (int i = 0; i < SHARDS; i++) {
        w.shards[i] = &w.shard[i];
        w.shard[i].number = (uint32_t)i;
    }
    atomic_store(&w.hub.bus.life, 0xbb);
    c->hub = &w.hub;
    c->id = "b";
    c->staged = w.staged;
    c->loop.now_ms = NOW_MS;
    c->members.set.id = "b";
    c->members.listed = true;
    arena_init(&c->arena);
    everybody_open(c);
    list_init(&c->orphans);
    list_init(&c->tallies_idle);
    list_init(&c->tallies_asking);
    map_init(&c->tallies);
    map_init(&c->queries);
    for (int i = 0; i < PEERS; i++)
        open_peer(i);
    return 0;
}

/* Owned by the caller; null: nothing was said to a shard. */
static struct note *heard(void)
{
    for (int i = 0; i < SHARDS; i++) {
        struct outbox *o = &w.staged[i];
        struct inbox_link *first = o->first;

        if (!first)
            continue;
        o->first = first->next;
        if (!o->first)
            *o = (struct outbox){0};
        return container_of(first, struct note, link);
    }
    return NULL;
}

static int teardown(void **state)
{
    struct note *n;

    (void)state;
    while ((n = heard()))
        note_free(&w.hub, n);
    forward_forget_all(&w.c);
    everybody_close(&w.c);
    find_forget_all(&w.c);
    for (int i = 0; i < PEERS; i++)
        stream_fini(&w.peer[i].stream);
    vec_fini(&w.c.members.peers);
    arena_fini(&w.c.arena);
    assert_int_equal(mem_held(), 0);
    return 0;
}

static int lost(void)
{
    return (int)(meter_sum(METER_DROPPED_NODE_GONE) - w.lost);
}

static int matched_nobody(void)
{
    return (int)(meter_sum(METER_DROPPED_NO_MATCH) - w.nobody);
}

/* ---- messages ---- */

static struct filter one_client(void)
{
    return (struct filter){.like = {{BYTES("w"), BYTES("xenia"), BYTES("phone"), BYTES("app")}}};
}

/* A choice that fell on a client of `c`: which one, and how often it may be chosen anew. */
static struct envelope a_pick(uint32_t rank, uint32_t attempts)
{
    return (struct envelope){.kind = ENVELOPE_PICK,
                             .filter = {.like = {{BYTES("w"), {0}, {0}, {0}}}, .find_any = true},
                             .text = BYTES("one of you"),
                             .a = rank,
                             .b = attempts};
}

/* What a peer says arrives. */
static void say(int from, const struct envelope *e)
{
    struct piece *piece = piece_new(e, NULL);

    take(&w.c, &w.peer[from], bytes_of(piece->at + 4, piece->len - 4));
    piece_unref(piece);
}

/* The only item for that peer, as its texts stand in the stream. */
static struct envelope only_item(int to)
{
    static const struct envelope_limits limits = {UINT16_MAX, EXCLUDES_MAX};
    const struct stream *s = &w.peer[to].stream;
    const struct piece *piece = s->ring ? s->ring[s->first & (s->ring_size - 1)] : NULL;
    struct envelope e;

    assert_int_equal(s->count, 1);
    assert_int_equal(
        envelope_read(bytes_of(piece->at + 4, piece->len - 4), &limits, &w.c.arena, &e), ERR_OK);
    return e;
}

static struct envelope an_ask(void)
{
    return (struct envelope){.kind = ENVELOPE_ACKED,
                             .filter = one_client(),
                             .text = BYTES("m1@@hi"),
                             .id = BYTES("m1"),
                             .name = ASK,
                             .shard = THEIR_SHARD,
                             .wait_ms = 1000,
                             .hops = 1};
}

/* `a` asks a client that was here and is with `c` now. */
static void pass_on_an_ask(void)
{
    struct envelope e = an_ask();

    join(A);
    join(C);
    w.answer = DIRECTORY_FOUND;
    w.found = &w.peer[C];
    say(A, &e);
    assert_int_equal(w.peer[C].stream.count, 1);
}

static void an_ask_that_comes_back_is_still_the_one_of_who_asked(void **state)
{
    struct note *n;

    (void)state;
    pass_on_an_ask();
    w.is_here = true;
    go(C, GONE_BYE);
    n = heard();
    assert_non_null(n);
    assert_int_equal(n->kind, NOTE_ACKED);
    assert_int_equal(n->notification->ask, ASK);
    assert_int_equal(n->notification->asker, THEIR_SHARD);
    assert_int_equal(n->notification->peer, w.peer[A].number);
    assert_int_equal(n->notification->wait_ms, 1000);
    assert_string_equal(n->notification->message_id, "m1");
    note_free(&w.hub, n);
    assert_null(heard());
}

static void an_ask_that_comes_back_goes_on_in_the_name_of_who_asked(void **state)
{
    struct envelope e;

    (void)state;
    pass_on_an_ask();
    join(D);
    w.found = &w.peer[D];
    go(C, GONE_DIED);
    e = only_item(D);
    assert_int_equal(e.kind, ENVELOPE_ACKED);
    assert_true(bytes_equal(e.origin, BYTES("a")));
    assert_int_equal(e.hash, w.peer[A].life);
    assert_int_equal(e.name, ASK);
    assert_int_equal(e.shard, THEIR_SHARD);
}

static void an_ask_that_cannot_go_on_is_refused_to_who_asked(void **state)
{
    struct envelope e;

    (void)state;
    pass_on_an_ask();
    w.answer = DIRECTORY_FAILED;
    go(C, GONE_BYE);
    assert_null(heard());
    e = only_item(A);
    assert_int_equal(e.kind, ENVELOPE_OUTCOME);
    assert_int_equal(e.name, ASK);
    assert_int_equal(e.shard, THEIR_SHARD);
    assert_int_equal(e.a, OUTCOME_UNREACHABLE);
}

static void an_ask_that_comes_back_when_its_asker_has_gone_is_given_up(void **state)
{
    (void)state;
    pass_on_an_ask();
    w.is_here = true;
    go(A, GONE_DIED);
    go(C, GONE_DIED);
    assert_null(heard());
    assert_int_equal(lost(), 1);
}

static void an_ask_of_ours_that_comes_back_stays_ours(void **state)
{
    struct envelope e = an_ask();
    struct note *n;

    (void)state;
    e.shard = 1;
    join(C);
    forward_to(&w.c, &w.peer[C], &e);
    w.is_here = true;
    go(C, GONE_BYE);
    n = heard();
    assert_non_null(n);
    assert_int_equal(n->notification->peer, 0);
    assert_int_equal(n->notification->asker, 1);
    note_free(&w.hub, n);
}

/* Our shards choose. */
static void assert_looked_for(uint32_t attempts)
{
    struct note *n = heard();

    assert_non_null(n);
    assert_int_equal(n->kind, NOTE_FIND);
    assert_int_equal(n->a, attempts);
    note_free(&w.hub, n);
    assert_null(heard());
}

static void a_choice_that_comes_back_is_made_anew_as_often_as_it_may(void **state)
{
    static const uint32_t ranks[] = {0, 1, 1000000};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct envelope e = a_pick(ranks[i], 2);

        join(C);
        forward_to(&w.c, &w.peer[C], &e);
        go(C, GONE_BYE);
        assert_looked_for(2);
    }
}

static void a_search_that_comes_back_has_the_attempts_it_had(void **state)
{
    struct envelope e = a_pick(FIND_ATTEMPTS, 0);

    (void)state;
    e.kind = ENVELOPE_FIND;
    e.hops = 1;
    join(C);
    forward_to(&w.c, &w.peer[C], &e);
    go(C, GONE_DIED);
    assert_looked_for(FIND_ATTEMPTS);
}

/* ---- every node was asked ---- */

static void send_unsure(enum forward_kind kind)
{
    const struct filter f = one_client();
    struct frame *frame = ws_frame(FRAME_PLAIN, WS_TEXT, BYTES("hi"), (struct bytes){0});
    struct notification *n = notification_new(&f, frame);

    frame_unref(frame);
    n->ask = kind == FORWARD_ACKED ? ASK : 0;
    n->wait_ms = kind == FORWARD_ACKED ? 1000 : 0;
    snprintf(n->message_id, sizeof(n->message_id), "m1");
    w.answer = DIRECTORY_UNSURE;
    forward(&w.c, n, kind, 0);
    notification_unref(n);
}

/* `c` is, and `d`; what they are sent is returned. */
static struct envelope ask_everybody(enum forward_kind kind)
{
    send_unsure(kind);
    return only_item(C);
}

static void answer(int from, const struct envelope *asked, bool has)
{
    say(from, &(struct envelope){.kind = ENVELOPE_HAD, .a = asked->a, .b = has});
}

/* It is sent all, and Redis says that somebody heard it. Returns the number of the next item. */
static uint64_t send_all(int i)
{
    struct stream *s = &w.peer[i].stream;
    struct buf sent = {0};
    uint64_t first;
    uint32_t count = stream_take(s, SIZE_MAX, &sent, &first, NOW_MS);

    buf_fini(&sent);
    stream_published(s);
    stream_answered(s, first + count, true);
    return first + count;
}

/* It has read all that it was sent; that is all it says. */
static void confirm(int i)
{
    assert_int_equal(stream_confirm(&w.peer[i].stream, send_all(i), NOW_MS), ERR_OK);
}

static void assert_nothing_more(int lost_so_far, int nobody_so_far)
{
    assert_null(heard());
    assert_int_equal(lost(), lost_so_far);
    assert_int_equal(matched_nobody(), nobody_so_far);
}

/* One that has it is enough; what was for those who have gone goes nowhere. */
static void what_somebody_had_is_not_said_again(void **state)
{
    (void)state;
    for (int how = GONE_BYE; how <= GONE_ANEW; how++) {
        struct envelope asked;

        teardown(state);
        setup(state);
        join(C);
        join(D);
        asked = ask_everybody(FORWARD_SEND);
        answer(D, &asked, true);
        confirm(D);
        w.is_here = true; /* it has come here since */
        if (how == GONE_DIED)
            send_all(C);
        go(C, (enum gone)how);
        assert_nothing_more(0, 0);
        go(D, GONE_BYE);
        assert_nothing_more(0, 0);
    }
}

/* It says so only after the other has gone. */
static void what_somebody_has_later_is_not_said_again(void **state)
{
    struct envelope asked;

    (void)state;
    join(C);
    join(D);
    asked = ask_everybody(FORWARD_SEND);
    w.is_here = true;
    go(C, GONE_BYE);
    assert_nothing_more(0, 0);
    answer(D, &asked, true);
    confirm(D);
    assert_nothing_more(0, 0);
    go(D, GONE_DIED);
    assert_nothing_more(0, 0);
}

/* It was at the one that has gone, and has come here. */
static void what_nobody_had_goes_to_where_the_client_is_by_then(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct envelope asked;
        struct note *n;

        teardown(state);
        setup(state);
        join(C);
        join(D);
        asked = ask_everybody(FORWARD_SEND);
        w.is_here = true;
        if (first)
            answer(D, &asked, false);
        go(C, GONE_BYE);
        if (!first) {
            assert_null(heard());
            answer(D, &asked, false);
        }
        n = heard();
        assert_non_null(n);
        assert_int_equal(n->kind, NOTE_DELIVER);
        note_free(&w.hub, n);
        assert_nothing_more(0, 0);
    }
}

static void what_nobody_had_is_asked_for_anew_while_nobody_is_sure(void **state)
{
    struct envelope asked, anew;

    (void)state;
    join(C);
    join(D);
    asked = ask_everybody(FORWARD_ACKED);
    confirm(D);
    answer(D, &asked, false);
    go(C, GONE_DIED);
    anew = only_item(D);
    assert_int_equal(anew.kind, ENVELOPE_ACKED);
    assert_int_equal(anew.name, ASK);
    assert_int_equal(anew.hops, HOPS_IF_HERE);
    assert_int_not_equal(anew.a, asked.a);
    answer(D, &asked, true); /* of the former */
    answer(D, &anew, false);
    assert_nothing_more(0, 1);
}

static void what_nobody_had_is_counted_once(void **state)
{
    struct envelope asked;

    (void)state;
    join(C);
    join(D);
    asked = ask_everybody(FORWARD_SEND);
    answer(C, &asked, false);
    answer(C, &asked, false);
    assert_nothing_more(0, 0);
    answer(D, &asked, false);
    assert_nothing_more(0, 1);
    go(C, GONE_BYE); /* that it has answered is known, if not that it has read */
    assert_nothing_more(0, 1);
    go(D, GONE_DIED);
    assert_nothing_more(0, 1);
}

static void with_nobody_to_ask_it_is_counted(void **state)
{
    (void)state;
    send_unsure(FORWARD_SEND);
    assert_nothing_more(0, 1);
}

/* They may have delivered it, all of them, or none. */
static void what_the_dead_may_have_had_is_lost_once(void **state)
{
    (void)state;
    join(C);
    join(D);
    ask_everybody(FORWARD_SEND);
    send_all(C);
    confirm(D); /* and no answer */
    w.is_here = true;
    go(C, GONE_DIED);
    assert_nothing_more(0, 0);
    go(D, GONE_DIED);
    assert_nothing_more(1, 0);
}

/* Whom it is passed on to goes on in another life of ours, and answers nobody. */
static void what_was_asked_in_a_former_life_is_given_up_once(void **state)
{
    struct envelope asked;

    (void)state;
    join(C);
    asked = ask_everybody(FORWARD_SEND);
    go(C, GONE_TO_US);
    assert_nothing_more(1, 0);
    answer(C, &asked, false);
    w.c.loop.now_ms += 10000;
    w.c.set = &w.c.own;
    w.is_here = true;
    forward_settle(&w.c);
    assert_nothing_more(1, 0);
}

/* Asked by another node we say whether we have the client, whatever becomes of it. */
static void who_is_asked_answers(void **state)
{
    struct envelope e = an_ask(), had;

    (void)state;
    join(A);
    e.hops = HOPS_IF_HERE;
    e.a = 12;
    w.is_here = true;
    say(A, &e);
    had = only_item(A);
    assert_int_equal(had.kind, ENVELOPE_HAD);
    assert_int_equal(had.a, 12);
    assert_int_equal(had.b, 1);
    note_free(&w.hub, heard());
    confirm(A);
    w.is_here = false;
    e.kind = ENVELOPE_SEND;
    say(A, &e);
    had = only_item(A);
    assert_int_equal(had.kind, ENVELOPE_HAD);
    assert_int_equal(had.b, 0);
    confirm(A);
    e.kind = ENVELOPE_ACKED;
    e.origin = BYTES("gone");
    say(A, &e);
    assert_int_equal(only_item(A).b, 0);
    assert_nothing_more(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_ask_that_comes_back_is_still_the_one_of_who_asked),
        TEST(an_ask_that_comes_back_goes_on_in_the_name_of_who_asked),
        TEST(an_ask_that_cannot_go_on_is_refused_to_who_asked),
        TEST(an_ask_that_comes_back_when_its_asker_has_gone_is_given_up),
        TEST(an_ask_of_ours_that_comes_back_stays_ours),
        TEST(a_choice_that_comes_back_is_made_anew_as_often_as_it_may),
        TEST(a_search_that_comes_back_has_the_attempts_it_had),
        TEST(what_somebody_had_is_not_said_again),
        TEST(what_somebody_has_later_is_not_said_again),
        TEST(what_nobody_had_goes_to_where_the_client_is_by_then),
        TEST(what_nobody_had_is_asked_for_anew_while_nobody_is_sure),
        TEST(what_nobody_had_is_counted_once),
        TEST(with_nobody_to_ask_it_is_counted),
        TEST(what_the_dead_may_have_had_is_lost_once),
        TEST(what_was_asked_in_a_former_life_is_given_up_once),
        TEST(who_is_asked_answers),
    };

    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
