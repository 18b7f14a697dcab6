#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "peer.h"
#include "world.h"

const char *named(char name[NAME], const char *account, int attempt)
{
    snprintf(name, NAME, "%s%d/d", account, attempt);
    return name;
}

bool join(struct peer **out, int door, const char *account, int attempt)
{
    char name[NAME];

    return peer_join(out, door, named(name, account, attempt), false);
}

struct peer *call_rest(int door)
{
    return peer_call(world_rest_port(door), false);
}

bool get(struct peer *p, const char *path, int status)
{
    return peer_sendf(p, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path) &&
           peer_answer(p, status, NULL);
}

bool acknowledge(struct peer *p, const char *message)
{
    struct bytes text;
    size_t len = strlen(message);

    STEP(peer_hear(p, &text));
    if (text.len < len + 2 || memcmp(text.at + text.len - len, message, len) != 0)
        return false;
    return peer_say(p, "ack@@ACKNOWLEDGE@@{\"messageId\":\"%.*s\"}", (int)(text.len - len - 2),
                    text.at);
}

struct bytes token_in(struct bytes body, int first_door)
{
    static const char scheme[] = "://127.0.0.1:";
    const char *at = body.len ? memmem(body.at, body.len, scheme, sizeof(scheme) - 1) : NULL;
    char *slash, *end;
    long port;

    if (!at)
        return (struct bytes){NULL, 0};
    port = strtol(at + sizeof(scheme) - 1, &slash, 10);
    end = strchr(slash, '"');
    if (*slash != '/' || !end ||
        (port != world_ws_port(first_door) && port != world_ws_port(first_door + 1)))
        return (struct bytes){NULL, 0};
    return bytes_of(slash + 1, (size_t)(end - slash - 1));
}
