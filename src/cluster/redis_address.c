#include "cluster/redis_address.h"

#include <stdio.h>
#include <string.h>

bool redis_address_set(struct redis_address *a, struct bytes host, uint64_t port)
{
    if (host.len == 0 || host.len >= sizeof(a->host) || port == 0 || port > UINT16_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] <= ' ' || host.at[i] > '~')
            return false;
    *a = (struct redis_address){.port = (uint16_t)port};
    memcpy(a->host, host.at, host.len);
    return true;
}

bool redis_address_parse(struct redis_address *a, struct bytes text)
{
    uint64_t port = 0;
    size_t at = text.len;

    while (at > 0 && text.at[at - 1] >= '0' && text.at[at - 1] <= '9')
        at--;
    if (at == 0 || at == text.len || text.len - at > 5 || text.at[at - 1] != ':')
        return false;
    for (size_t i = at; i < text.len; i++)
        port = port * 10 + (uint64_t)(text.at[i] - '0');
    text.len = at - 1;
    if (text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
        text = bytes_of(text.at + 1, text.len - 2);
    return redis_address_set(a, text, port);
}

bool redis_address_equal(const struct redis_address *a, const struct redis_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

void redis_address_write(const struct redis_address *a, char out[REDIS_ADDRESS_TEXT])
{
    snprintf(out, REDIS_ADDRESS_TEXT, strchr(a->host, ':') ? "[%s]:%u" : "%s:%u", a->host,
             (unsigned)a->port);
}
