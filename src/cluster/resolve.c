#include "cluster/resolve.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "base/mem.h"
#include "flow/thread.h"

/* The asker and the helper leave one after the other: whoever finds the other gone frees. */
enum { WORKING, DONE, DROPPED };

struct resolve {
    _Atomic int state;
    /* the helper's until DONE */
    enum err result;
    uint32_t count;
    socklen_t lens[RESOLVE_ADDRESSES];
    struct sockaddr_storage at[RESOLVE_ADDRESSES];
    char *host;
    uint16_t port;
};

static _Atomic int helpers;

static void release(struct resolve *r)
{
    mem_free(r->host);
    mem_free(r);
}

static enum err look_up(struct resolve *r, int flags)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];

    hints.ai_flags = AI_NUMERICSERV | flags;
    snprintf(port, sizeof(port), "%u", (unsigned)r->port);
    if (getaddrinfo(r->host, port, &hints, &found) != 0)
        return ERR_GONE;
    for (const struct addrinfo *a = found; a && r->count < RESOLVE_ADDRESSES; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(r->at[0]))
            continue;
        memcpy(&r->at[r->count], a->ai_addr, a->ai_addrlen);
        r->lens[r->count++] = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return r->count ? ERR_OK : ERR_GONE;
}

static void help(void *context)
{
    struct resolve *r = context;

    r->result = look_up(r, AI_ADDRCONFIG);
    if (r->result) /* a machine with nothing but loopback has no address that ADDRCONFIG counts */
        r->result = look_up(r, 0);
    atomic_fetch_sub(&helpers, 1);
    if (atomic_exchange(&r->state, DONE) == DROPPED)
        release(r);
}

/* False: nobody works on it. */
static bool start_helper(struct resolve *r)
{
    pthread_t thread;

    if (atomic_fetch_add(&helpers, 1) < RESOLVE_THREADS &&
        thread_start(&thread, "resolve", help, r) == ERR_OK) {
        (void)pthread_detach(thread);
        return true;
    }
    atomic_fetch_sub(&helpers, 1);
    return false;
}

struct resolve *resolve_start(const char *host, uint16_t port)
{
    struct resolve *r = mem_new(struct resolve);

    r->host = mem_copy(bytes_text(host));
    r->port = port;
    atomic_init(&r->state, DONE);
    r->result = look_up(r, AI_NUMERICHOST);
    if (!r->result)
        return r;
    atomic_store(&r->state, WORKING);
    if (!start_helper(r)) {
        r->result = ERR_FULL;
        atomic_store(&r->state, DONE);
    }
    return r;
}

static bool is_done(const struct resolve *r)
{
    return atomic_load(&r->state) == DONE;
}

enum err resolve_poll(struct resolve *r, uint32_t nth, struct sockaddr_storage *to, socklen_t *len)
{
    if (!is_done(r))
        return ERR_AGAIN;
    if (r->result)
        return r->result;
    nth %= r->count;
    *to = r->at[nth];
    *len = r->lens[nth];
    return ERR_OK;
}

uint32_t resolve_count(const struct resolve *r)
{
    return is_done(r) && !r->result ? r->count : 0;
}

void resolve_drop(struct resolve *r)
{
    if (r && atomic_exchange(&r->state, DROPPED) == DONE)
        release(r);
}
