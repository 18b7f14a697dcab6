#include "bystanders.h"

#include <stdio.h>
#include "peer.h"
#include "steps.h"
#include "world.h"

enum { MOST = 4, ALONE = 3 };

static struct peer *bystander[MOST];

static int count(void)
{
    return world_doors() > WORLD_SHARDS ? MOST : ALONE;
}

bool bystanders_join(void)
{
    int i;

    for (i = 0; i < count(); i++) {
        char name[NAME];

        if (bystander[i] && bystander[i]->fd >= 0 && !bystander[i]->ended)
            continue;
        if (bystander[i])
            bystander[i]->stays = false;
        snprintf(name, sizeof(name), "by/%d", i);
        STEP(peer_join(&bystander[i], i % world_doors(), name, false));
        bystander[i]->stays = true;
    }
    return true;
}

/* In a cluster what was accepted has to come, and only once. */
static bool hear_one(struct peer *p, const char *wanted)
{
    struct bytes text;

    do { /* those of attempts that went wrong come first */
        if (!peer_hear(p, &text))
            return world_doors() == WORLD_SHARDS ? false : peer_missed(p, wanted);
    } while (!bytes_equal(text, bytes_text(wanted)));
    return world_doors() == WORLD_SHARDS || peer_heard_once(p, wanted);
}

bool bystanders_hear(int attempt)
{
    struct peer *rest = call_rest(attempt % world_doors());
    char wanted[NAME];
    int i;

    snprintf(wanted, sizeof(wanted), "still there %d", attempt);
    STEP(peer_postf(rest, "/send-notification",
                    "{\"filter\":{\"accountId\":\"by\"},\"message\":\"%s\"}", wanted));
    STEP(peer_answer(rest, 200, NULL));
    for (i = 0; i < count(); i++)
        STEP(hear_one(bystander[i], wanted));
    return true;
}

void bystanders_leave(int first_door)
{
    int i;

    for (i = 0; i < count(); i++)
        if (bystander[i] && i % world_doors() / WORLD_SHARDS == first_door / WORLD_SHARDS)
            bystander[i]->leaving = true;
}
