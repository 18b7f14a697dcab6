/*
 * fake_redis - redis.h in memory: commands wait until the test has them carried out; they can be
 *              refused (full), lost (cut) or answered with anything.
 *
 * Owner:   the one test that includes it; it defines redis_*().      Thread: the test's.
 */
#pragma once
#include "unit/cluster/fake_commands.h"

/* Carries out the next n commands; false: there were fewer. */
static inline bool fake_answer(int n)
{
    for (; n > 0; n--) {
        struct fake_command c;
        redisReply *r;

        if (fake.first == fake.last)
            return false;
        c = fake.waiting[fake.first++];
        if (fake.first == fake.last)
            fake.first = fake.last = 0;
        fake.carried_out++;
        r = c.from->cut ? NULL : fake_do(&c);
        if (c.done)
            c.done(c.context, r);
        if (r)
            freeReplyObject(r);
        for (int i = 0; i < c.argc; i++)
            free(c.argv[i]);
    }
    return true;
}

static inline void fake_answer_all(void)
{
    while (fake_answer(1))
        ;
}

static inline void fake_close(void)
{
    while (fake.first < fake.last) {
        struct fake_command *c = &fake.waiting[fake.first++];

        for (int i = 0; i < c->argc; i++)
            free(c->argv[i]);
    }
    fake_flush();
    memset(&fake, 0, sizeof(fake));
    fake.masters = 1;
}

/* ---- redis.h ---- */

void redis_command_on(struct redis *r, uint32_t master, const struct bytes *argv, int argc,
                      redis_done *done, void *context)
{
    struct fake_command *c = &fake.waiting[fake.last++];

    (void)master;
    CHECK(fake.last < FAKE_COMMANDS && argc <= FAKE_ARGS);
    *c = (struct fake_command){.from = r, .argc = argc, .done = done, .context = context};
    for (int i = 0; i < argc; i++)
        c->argv[i] = strndup(argv[i].at ? argv[i].at : "", argv[i].len);
}

void redis_command(struct redis *r, const struct bytes *argv, int argc, int key, redis_done *done,
                   void *context)
{
    CHECK(key < argc);
    redis_command_on(r, 0, argv, argc, done, context);
}

uint32_t redis_masters(const struct redis *r)
{
    (void)r;
    return fake.masters;
}

const char *redis_tag_of(const struct redis *r, uint32_t master)
{
    static const char *const tags[] = {"t0", "t1", "t2"};

    (void)r;
    return master < fake.masters ? tags[master] : NULL;
}

/* By its last digit. */
uint32_t redis_master_of(const struct redis *r, struct bytes key)
{
    (void)r;
    return key.len && fake.masters ? (uint32_t)(unsigned char)key.at[key.len - 1] % fake.masters
                                   : 0;
}
