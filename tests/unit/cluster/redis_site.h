/*
 * redis_site - somebody who uses Redis: a loop, and what happened in it.
 *
 * Owner:   the test.      Thread: its main thread.
 */
#pragma once
#include "base/clock.h"
#include "cluster/redis.h"
#include "flow/loop.h"
#include "unit/cluster/redis_aside.h"

enum { SITE_WAIT_MS = 15000, SITE_TEXT = 256 };

struct site {
    struct loop loop;
    struct inbox inbox;
    struct redis_settings set;
    struct redis *redis;
    bool up, subscribed;
    int ups, downs, unsubscribed, messages, masters[64];
    uint64_t bytes; /* of messages */
    char why[SITE_TEXT], message[SITE_TEXT];
};

static inline void site_on_up(void *context, bool up, const char *why)
{
    struct site *s = context;

    s->up = up;
    s->ups += up;
    s->downs += !up;
    snprintf(s->why, sizeof(s->why), "%s", why);
}

static inline void site_on_master(void *context, uint32_t master)
{
    struct site *s = context;

    assert_true(master < redis_masters(s->redis));
    s->masters[master % 64]++;
}

static inline void site_on_subscribed(void *context, bool all)
{
    struct site *s = context;

    s->subscribed = all;
    s->unsubscribed += !all;
}

static inline void site_on_message(void *context, struct bytes channel, struct bytes payload)
{
    struct site *s = context;

    (void)channel;
    s->messages++;
    s->bytes += payload.len;
    snprintf(s->message, sizeof(s->message), "%.*s", (int)(payload.len < 200 ? payload.len : 200),
             payload.at);
}

static inline bool site_on_ready(void *owner, uint64_t tag, uint32_t events)
{
    struct site *s = owner;

    if (tag & REDIS_TAG)
        redis_on_ready(s->redis, tag, events);
    return true;
}

static inline bool site_on_write(void *owner)
{
    struct site *s = owner;

    if (s->redis)
        redis_write(s->redis);
    return false;
}

static inline void site_prepare(struct site *s)
{
    struct loop_hooks hooks = {.owner = s, .on_ready = site_on_ready, .on_write = site_on_write};

    *s = (struct site){0};
    s->set.host = "127.0.0.1";
    s->set.tls_enabled = "false";
    s->set.tls_verify = "full";
    s->set.connect_ms = 2000;
    s->set.answer_ms = 2000;
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(inbox_open(&s->inbox), ERR_OK);
    assert_int_equal(loop_open(&s->loop, &s->inbox, &hooks), ERR_OK);
}

static inline void site_open(struct site *s)
{
    struct redis_events events = {s, site_on_up, site_on_master, site_on_subscribed,
                                  site_on_message};

    assert_int_equal(redis_open(&s->redis, &s->loop, &s->set, &events), ERR_OK);
}

static inline void site_close(struct site *s)
{
    redis_close(s->redis, false);
    s->redis = NULL;
    loop_close(&s->loop);
    inbox_close(&s->inbox);
}

/* Turns until the condition holds; a bound that is never met in a good run. */
#define SITE_AWAIT(s, condition)                                                                   \
    do {                                                                                           \
        int64_t until_ms_ = clock_mono_ms() + SITE_WAIT_MS;                                        \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() >= until_ms_)                                                      \
                fail_msg("waited in vain: %s (%s)", #condition, (s)->why);                         \
            loop_turn(&(s)->loop, 20);                                                             \
        }                                                                                          \
    } while (0)

static inline void site_turn_ms(struct site *s, int64_t ms)
{
    for (int64_t until_ms = clock_mono_ms() + ms; clock_mono_ms() < until_ms;)
        loop_turn(&s->loop, 10);
}
