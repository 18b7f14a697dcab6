#include "scenario.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/meter.h"
#include "wire/ws.h"
#include "bystanders.h"
#include "faults.h"
#include "peer.h"
#include "steps.h"
#include "store.h"
#include "world.h"

/* Doors: the tortured server's, and the other one's. */
enum { NEAR = 0, NEAR_2 = 1, FAR = WORLD_OTHER, FAR_2 = WORLD_OTHER + 1 };

enum {
    WELL_MS = 10000,
    STEP_MS = 10,
    BIG_BYTES = 150000,
    BEAT_MS = 250, /* world.c */
    SOON_MS = 150, /* a look at all that is due, and a little */
};

#define PREFIX "pushca"

static bool await(bool (*is_there)(void))
{
    int ms;

    for (ms = 0; ms < WELL_MS; ms += STEP_MS) {
        if (is_there())
            return true;
        pass(STEP_MS);
    }
    return false;
}

bool pair_is_well(void)
{
    return await(world_is_well);
}

/* Both reach each other again, and say that they are ready. */
static bool both_are_well(void)
{
    if (!pair_is_well())
        return peer_wrong("they do not find each other again");
    STEP(get(call_rest(NEAR), "/actuator/health/readiness", 200));
    return get(call_rest(FAR_2), "/actuator/health/readiness", 200);
}

static bool connects(void)
{
    return await(store_is_linked) || peer_wrong("it does not connect");
}

/* When Redis lets it in again: soon after it has connected, if no fault made that longer. */
static bool both_are_well_soon(void)
{
    int64_t began_ms;

    STEP(connects());
    began_ms = world_now_ms();
    STEP(pair_is_well() || peer_wrong("they do not find each other again"));
    return faults_fired() || world_now_ms() - began_ms <= SOON_MS ||
           peer_wrong("it takes too long");
}

/* ---- messages ---- */

/* To the client "account<attempt>/d", by REST at that door. */
static bool post_to(int door, const char *account, int attempt, const char *text, int status)
{
    struct peer *rest = call_rest(door);

    STEP(peer_postf(rest, "/send-notification", "{\"filter\":" CLIENT ",\"message\":\"%s\"}",
                    account, attempt, text));
    STEP(peer_answer(rest, status, NULL));
    rest->told = false; /* a refusal that was wanted is none */
    return true;
}

static bool say(int door, const char *account, int attempt, struct peer *to, const char *text)
{
    return post_to(door, account, attempt, text, 200) && peer_gets(to, text);
}

/* Two clients, one here and one there, and a message to each from where it is not. */
static bool reach_each_other(int attempt, const char *a, const char *b)
{
    struct peer *near, *far;

    STEP(join(&near, NEAR, a, attempt) && join(&far, FAR, b, attempt));
    return say(NEAR_2, b, attempt, far, "to the other") && say(FAR_2, a, attempt, near, "from it");
}

static bool begin(int attempt)
{
    (void)attempt;
    return both_are_well();
}

static bool direct(int attempt)
{
    struct peer *near, *far;

    STEP(join(&near, NEAR, "near", attempt) && join(&far, FAR, "far", attempt));
    STEP(say(NEAR, "far", attempt, far, "one") && say(FAR, "near", attempt, near, "two"));
    STEP(peer_say(near,
                  "x%d@@SEND_MESSAGE_WITH_PRESERVED_ORDER@@{\"filter\":" CLIENT
                  ",\"message\":\"three\"}",
                  attempt, "far", attempt));
    STEP(peer_hears(near, "x%d@@RESPONSE", attempt) && peer_gets(far, "three"));
    STEP(peer_say(far,
                  "{\"command\":\"SEND_MESSAGE\",\"metaData\":{\"filter\":" CLIENT
                  ",\"message\":\"four\"}}",
                  "near", attempt) &&
         peer_hears(near, "four"));
    STEP(peer_say(near,
                  "e%d@@SEND_ENVELOPES@@{\"envelopes\":[{\"client\":" CLIENT
                  ",\"message\":\"e1\"},{\"client\":" CLIENT ",\"message\":\"e2\"}]}",
                  attempt, "far", attempt, "near", attempt));
    STEP(peer_hears(near, "e2") && peer_hears(near, "e%d@@RESPONSE", attempt));
    STEP(peer_gets(far, "e1"));
    return post_to(NEAR, "nobody", attempt, "to nobody", 200);
}

static bool multicast(int attempt)
{
    struct peer *near, *far, *rest = call_rest(FAR);

    STEP(join(&near, NEAR_2, "manya", attempt) && join(&far, FAR_2, "manyb", attempt));
    STEP(peer_say(near,
                  "m%d@@SEND_MESSAGE@@{\"filter\":{\"deviceId\":\"d\",\"exclude\":[" CLIENT
                  "]},\"message\":\"to others\"}",
                  attempt, "manya", attempt));
    STEP(peer_hears(near, "m%d@@RESPONSE", attempt) && peer_gets(far, "to others"));
    STEP(peer_postf(rest, "/send-notification",
                    "{\"filter\":{\"deviceId\":\"d\"},\"message\":\"to all\"}"));
    return peer_answer(rest, 200, NULL) && peer_gets(near, "to all") && peer_gets(far, "to all");
}

/* One of the two hears it, and nobody twice. */
static bool one_gets(struct peer *const both[2], const char *text)
{
    int ms, i;

    for (ms = 0; ms < WELL_MS; ms += STEP_MS) {
        for (i = 0; i < 2; i++)
            if (peer_has_text(both[i]) || both[i]->ended)
                return peer_gets(both[i], text);
        pass(STEP_MS);
    }
    return peer_missed(both[0], text);
}

/* In turn, whoever asks. Which of the two servers keeps the turn is chosen by the filter. */
static bool find_any_of(int attempt, const char *account)
{
    struct peer *both[2];
    char name[NAME];
    int i;

    for (i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%s%d/%d", account, attempt, i);
        STEP(peer_join(&both[i], i * WORLD_OTHER, name, false));
    }
    for (i = 0; i < 4; i++) {
        struct peer *rest = call_rest(i);

        STEP(
            peer_postf(rest, "/send-notification",
                       "{\"filter\":{\"accountId\":\"%s%d\",\"findAny\":true},\"message\":\"any\"}",
                       account, attempt));
        STEP(peer_answer(rest, 200, NULL) && one_gets(both, "any"));
    }
    return true;
}

static bool find_any(int attempt)
{
    return find_any_of(attempt, "any") && find_any_of(attempt, "one");
}

/* ---- acknowledged ---- */

static bool ask(int attempt, struct peer *asker, const char *account, struct peer *receiver)
{
    static int number;

    STEP(peer_say(
        asker, "a%d@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@{\"client\":" CLIENT ",\"message\":\"acked\"}",
        ++number, account, attempt));
    return acknowledge(receiver, "acked") && peer_hears(asker, "a%d@@ACKNOWLEDGE", number);
}

static bool ask_by_rest(int attempt, int door, const char *account, struct peer *receiver)
{
    struct peer *rest = call_rest(door);

    STEP(peer_postf(rest, "/send-notification-with-acknowledge",
                    "{\"client\":" CLIENT ",\"message\":\"acked\"}", account, attempt));
    return acknowledge(receiver, "acked") && peer_answer(rest, 200, NULL);
}

static bool acknowledged(int attempt)
{
    struct peer *near, *far;

    STEP(join(&near, NEAR, "acka", attempt) && join(&far, FAR, "ackb", attempt));
    STEP(ask(attempt, near, "ackb", far) && ask(attempt, far, "acka", near));
    return ask_by_rest(attempt, NEAR_2, "ackb", far) && ask_by_rest(attempt, FAR_2, "acka", near);
}

/* ---- coming and going ---- */

/* The later one of two connections of a client hears, whatever server it is on. If the fault cut
   one of them off just then, that one may not know yet. */
static bool later_gets(int door, int attempt, struct peer *earlier, struct peer *later)
{
    STEP(post_to(door, "move", attempt, "later", 200));
    return faults_fired() ? one_gets((struct peer *[]){later, earlier}, "later")
                          : peer_gets(later, "later");
}

static bool move(int attempt)
{
    struct peer *p, *q, *r;

    STEP(join(&p, NEAR, "move", attempt) && say(FAR, "move", attempt, p, "first"));
    STEP(join(&q, FAR_2, "move", attempt));
    STEP(later_gets(NEAR, attempt, p, q) && later_gets(FAR, attempt, p, q));
    shutdown(p->fd, SHUT_RDWR);
    p->leaving = true;
    pass(STEP_MS);
    STEP(join(&r, NEAR_2, "move", attempt));
    return later_gets(FAR, attempt, q, r) && later_gets(NEAR, attempt, q, r);
}

static bool open_elsewhere(int attempt)
{
    struct peer *rest = call_rest(NEAR), *p = peer_call(world_ws_port(FAR_2), false);
    struct bytes body;

    STEP(peer_postf(rest, "/open-connection",
                    "{\"client\":" CLIENT ",\"pusherInstanceId\":\"other\"}", "open", attempt));
    STEP(peer_answer(rest, 200, &body));
    STEP(peer_upgrade(p, token_in(body, FAR)));
    return say(NEAR_2, "open", attempt, p, "it is there");
}

static bool large(int attempt)
{
    static char said[BIG_BYTES + 256], big[BIG_BYTES + 1];
    struct peer *near, *far, *rest;
    int len;

    memset(big, 'x', BIG_BYTES);
    STEP(join(&near, NEAR, "big", attempt) && join(&far, FAR, "huge", attempt));
    len = snprintf(said, sizeof(said), "{\"filter\":" CLIENT ",\"message\":\"%s\"}", "huge",
                   attempt, big);
    rest = call_rest(NEAR);
    STEP(peer_post(rest, "/send-notification", bytes_of(said, (size_t)len)));
    STEP(peer_answer(rest, 200, NULL) && peer_gets(far, big));
    len = snprintf(said, sizeof(said), "{\"filter\":" CLIENT ",\"message\":\"%s\"}", "big", attempt,
                   big);
    rest = call_rest(FAR);
    STEP(peer_post(rest, "/send-notification", bytes_of(said, (size_t)len)));
    return peer_answer(rest, 200, NULL) && peer_gets(near, big);
}

/* ---- Redis ---- */

static void let_in(bool yes)
{
    store_do("ACL", "SETUSER", STORE_USER, yes ? "on" : "off", NULL);
    if (!yes)
        store_do("CLIENT", "KILL", "USER", STORE_USER, NULL);
}

static bool gets_soon(struct peer *to, const char *text)
{
    int64_t began_ms = world_now_ms();

    STEP(peer_gets(to, text));
    return faults_fired() || world_now_ms() - began_ms <= SOON_MS ||
           peer_wrong("it comes too late");
}

/* Its connections to Redis end in the moment before: nobody has noticed yet. */
static bool say_when_cut(int door, const char *account, int attempt, struct peer *to)
{
    struct peer *rest = call_rest(door);
    char body[256];
    int len;

    len = snprintf(body, sizeof(body), "{\"filter\":" CLIENT ",\"message\":\"accepted\"}", account,
                   attempt);
    store_do("CLIENT", "KILL", "USER", STORE_USER, NULL);
    STEP(peer_sendf(rest, /* in one piece: the server does not run before */
                    "POST /send-notification HTTP/1.1\r\nHost: t\r\n"
                    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                    len, body));
    if (peer_answer(rest, 200, NULL))
        return connects() && gets_soon(to, "accepted");
    if (!rest->told || rest->ended ||
        !faults_fired()) /* the fault may have let it be noticed first */
        return false;
    rest->told = false;
    return true;
}

static bool cut(int attempt)
{
    struct peer *near, *far;
    int i;

    STEP(join(&near, NEAR, "cuta", attempt) && join(&far, FAR, "cutb", attempt));
    STEP(say_when_cut(NEAR, "cutb", attempt, far) && both_are_well());
    for (i = 0; i < 3; i++) /* before a beat, and behind one */
        STEP(say_when_cut(FAR, "cuta", attempt, near) && pass(BEAT_MS / 3));
    return both_are_well() && reach_each_other(attempt, "afta", "aftb");
}

/* Nothing can be sent, only heard, for as long as that: there and back again once, not twice. */
static bool is_back_after(int64_t ms)
{
    int64_t lost = meter_sum(METER_CLUSTER_LOST);

    store_do("ACL", "SETUSER", STORE_USER, "off", NULL);
    store_do("CLIENT", "KILL", "TYPE", "normal", "USER", STORE_USER, NULL);
    pass(ms);
    let_in(true);
    STEP(both_are_well_soon() && pass(3 * SOON_MS) && pair_is_well());
    return faults_fired() || meter_sum(METER_CLUSTER_LOST) == lost + 1 ||
           peer_wrong("it went away again");
}

static bool half_cut(int attempt)
{
    bool good = is_back_after(600) && is_back_after(900);

    let_in(true);
    return good && reach_each_other(attempt, "halfa", "halfb");
}

/* What needs another server is refused, all else goes on; what the other one accepted comes. */
static bool while_away(int attempt, struct peer *near)
{
    struct peer *late;

    STEP(await(world_is_away) || peer_wrong("it does not notice"));
    STEP(get(call_rest(NEAR), "/actuator/health/readiness", 503));
    STEP(post_to(NEAR, "awayb", attempt, "refused", 503));
    STEP(post_to(FAR, "awaya", attempt, "accepted", 200));
    STEP(say(NEAR_2, "awaya", attempt, near, "local"));
    STEP(join(&late, NEAR_2, "late", attempt));
    let_in(true);
    STEP(peer_gets(near, "accepted"));
    STEP(both_are_well() && say(FAR, "late", attempt, late, "late"));
    return true;
}

static bool away(int attempt)
{
    struct peer *near, *far;
    bool good;

    STEP(join(&near, NEAR, "awaya", attempt) && join(&far, FAR, "awayb", attempt));
    let_in(false);
    good = while_away(attempt, near);
    let_in(true);
    return good && say(NEAR, "awayb", attempt, far, "back");
}

/* Away for long, and the other one is not: clients are sent there. */
static bool while_deaf(int attempt, struct peer *near)
{
    struct peer *rest, *late;
    struct bytes body;

    STEP(peer_ends(near, WS_CLOSE_SERVICE_RESTART));
    rest = call_rest(NEAR);
    STEP(peer_postf(rest, "/open-connection", "{\"client\":" CLIENT "}", "deaf", attempt));
    STEP(peer_answer(rest, 200, &body) && token_in(body, FAR).len);
    late = peer_call(world_ws_port(FAR), false);
    STEP(peer_upgrade(late, token_in(body, FAR)));
    return say(FAR, "deaf", attempt, late, "elsewhere");
}

static bool deaf(int attempt)
{
    struct peer *near;
    bool good;

    STEP(join(&near, NEAR, "deaf", attempt));
    bystanders_leave(NEAR);
    let_in(false);
    good = while_deaf(attempt, near);
    let_in(true);
    return both_are_well_soon() && both_are_well() && good &&
           reach_each_other(attempt, "heara", "hearb");
}

/* As after a failover: what is written there is gone. */
static bool emptied(int attempt)
{
    struct peer *near, *far;

    STEP(join(&near, NEAR, "emptya", attempt) && join(&far, FAR, "emptyb", attempt));
    store_do("FLUSHALL", NULL);
    STEP(say(NEAR, "emptyb", attempt, far, "one") && say(FAR, "emptya", attempt, near, "two"));
    store_do("FLUSHALL", NULL);
    store_do("SCRIPT", "FLUSH", NULL);
    pass(1000);
    STEP(say(NEAR, "emptyb", attempt, far, "three") && say(FAR, "emptya", attempt, near, "four"));
    return both_are_well() && post_to(NEAR, "nobody", attempt, "to nobody", 200);
}

static bool full(int attempt)
{
    bool good;

    store_do("CONFIG", "SET", "maxmemory", "1", NULL);
    pass(500);
    good = reach_each_other(attempt, "fulla", "fullb");
    store_do("CONFIG", "SET", "maxmemory", "0", NULL);
    pass(1000);
    return good && reach_each_other(attempt, "againa", "againb");
}

/* ---- the other one ---- */

/* Whatever became of it, it is there when the feature is over. */
static bool bring_back(bool good)
{
    while (!world_other_has_ended())
        pass(STEP_MS);
    world_other_open();
    return both_are_well() && good;
}

static bool while_it_is_gone(int attempt, struct peer *near)
{
    struct peer *back;

    STEP(await(world_is_alone) || peer_wrong("it is not taken for gone"));
    STEP(say(NEAR_2, "gonea", attempt, near, "alone"));
    STEP(post_to(NEAR, "goneb", attempt, "to nobody", 200));
    return join(&back, NEAR, "gonec", attempt) && say(NEAR, "gonec", attempt, back, "moved");
}

/* Its lease is over in Redis' time, too, which is not ours. */
static void end_lease(void)
{
    store_do("EVAL",
             "local v=redis.call('HGET',KEYS[1],ARGV[1]) "
             "local t=redis.call('TIME') "
             "redis.call('HSET',KEYS[1],ARGV[1],(string.gsub(v,'^%d+',"
             "string.format('%.0f',t[1]*1000-100),1))) return 1",
             "1", PREFIX ":{nodes}", "other", NULL);
}

/* One client of this one, and two of the other, which will go. */
static bool those_who_go(int attempt, struct peer **near, struct peer **far)
{
    struct peer *more;

    STEP(join(near, NEAR, "gonea", attempt) && join(far, FAR, "goneb", attempt));
    STEP(join(&more, FAR_2, "gonec", attempt) && say(NEAR, "gonec", attempt, more, "before"));
    (*far)->leaving = true;
    more->leaving = true;
    bystanders_leave(FAR);
    return true;
}

static bool other_dies(int attempt)
{
    struct peer *near, *far;

    STEP(those_who_go(attempt, &near, &far));
    world_other_end(false);
    end_lease();
    return bring_back(while_it_is_gone(attempt, near)) && reach_each_other(attempt, "newa", "newb");
}

static bool other_leaves(int attempt)
{
    struct peer *near, *far;

    STEP(those_who_go(attempt, &near, &far));
    world_other_end(true);
    return bring_back(peer_ends(far, WS_CLOSE_GOING_AWAY) && while_it_is_gone(attempt, near)) &&
           reach_each_other(attempt, "newa", "newb");
}

/* The others have buried this one, which lives: it was away for too long. */
static bool taken_for_dead(int attempt)
{
    struct peer *near, *far;

    STEP(join(&near, NEAR, "burya", attempt) && join(&far, FAR, "buryb", attempt));
    store_do("EVAL",
             "local v=redis.call('HGET',KEYS[1],ARGV[1]) "
             "local t=redis.call('TIME') "
             "redis.call('HSET',KEYS[1],'!'..ARGV[1],"
             "string.format('%.0f ',t[1]*1000+600000)..string.match(v,'^%d+ (%x+)')) "
             "return redis.call('HDEL',KEYS[1],ARGV[1])",
             "1", PREFIX ":{nodes}", "tortured", NULL);
    pass(1000);
    STEP(both_are_well() && say(NEAR, "buryb", attempt, far, "one"));
    return say(FAR, "burya", attempt, near, "two");
}

const struct feature pair_features[] = {
    {"begin", begin, false},
    {"direct", direct, false},
    {"multicast", multicast, false},
    {"find any", find_any, false},
    {"acknowledged", acknowledged, false},
    {"move", move, false},
    {"open elsewhere", open_elsewhere, false},
    {"large", large, false},
    {"Redis cut", cut, false},
    {"Redis half cut", half_cut, false},
    {"Redis away", away, false},
    {"deaf", deaf, false},
    {"Redis emptied", emptied, false},
    {"Redis full", full, false},
    {"the other dies", other_dies, false},
    {"taken for dead", taken_for_dead, false},
    {"the other leaves", other_leaves, false},
    {NULL, NULL, false},
};
