#include "bystanders.h"

#include <stdio.h>
#include "peer.h"
#include "steps.h"
#include "world.h"

enum { BYSTANDERS = 3 };

static struct peer *bystander[BYSTANDERS];

bool bystanders_join(void)
{
    int i;

    for (i = 0; i < BYSTANDERS; i++) {
        char name[NAME];

        if (bystander[i] && bystander[i]->fd >= 0 && !bystander[i]->ended)
            continue;
        if (bystander[i])
            bystander[i]->stays = false;
        snprintf(name, sizeof(name), "by/%d", i);
        STEP(peer_join(&bystander[i], i % WORLD_SHARDS, name, false));
        bystander[i]->stays = true;
    }
    return true;
}

static bool hear_one(struct peer *p, const char *wanted)
{
    struct bytes text;

    do /* those of attempts that went wrong come first */
        STEP(peer_hear(p, &text));
    while (!bytes_equal(text, bytes_text(wanted)));
    return true;
}

bool bystanders_hear(int attempt)
{
    struct peer *rest = call_rest(attempt % WORLD_SHARDS);
    char wanted[NAME];
    int i;

    snprintf(wanted, sizeof(wanted), "still there %d", attempt);
    STEP(peer_postf(rest, "/send-notification",
                    "{\"filter\":{\"accountId\":\"by\"},\"message\":\"%s\"}", wanted));
    STEP(peer_answer(rest, 200, NULL));
    for (i = 0; i < BYSTANDERS; i++)
        STEP(hear_one(bystander[i], wanted));
    return true;
}
