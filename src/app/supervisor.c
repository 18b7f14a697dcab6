#include "app/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

/* So many beats in the time after which the watchdog bites. */
enum { BEATS = 4, MARGIN_MS = 5000, AGAIN_MS = 10, AGAIN_MOST = 100 };

/* A path, or with '@' in front a name in the kernel's own space. */
static bool read_address(struct supervisor *v, const char *text)
{
    size_t len = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(v->to.sun_path))
        return false;
    v->to.sun_family = AF_UNIX;
    memcpy(v->to.sun_path, text, len);
    if (text[0] == '@')
        v->to.sun_path[0] = '\0';
    v->to_bytes = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

/* A whole positive number; 0: none. */
static int64_t number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long long n;

    if (!text || *text < '0' || *text > '9')
        return 0;
    n = strtoll(text, &end, 10);
    return *end ? 0 : n;
}

static bool watchdog_is_ours(void)
{
    return !getenv("WATCHDOG_PID") || number_of("WATCHDOG_PID") == getpid();
}

void supervisor_open(struct supervisor *v)
{
    const char *where = getenv("NOTIFY_SOCKET");

    *v = (struct supervisor){.fd = -1};
    if (!where || !*where)
        return;
    if (read_address(v, where))
        v->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (v->fd < 0)
        log_warn("cannot notify", LOG_STR("NOTIFY_SOCKET", where),
                 LOG_STR("hint", "expected a path or @name; the supervisor will not hear of us"));
    else if (watchdog_is_ours() && number_of("WATCHDOG_USEC") > 0)
        v->every_ms = number_of("WATCHDOG_USEC") / 1000 / BEATS + 1;
}

void supervisor_close(struct supervisor *v)
{
    if (v->fd >= 0)
        close(v->fd);
    v->fd = -1;
}

/* False: it may be taken in a moment. Nobody there is no reason to wait. */
static bool say(const struct supervisor *v, const char *lines)
{
    struct sockaddr_un to = v->to;

    return sendto(v->fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&to, v->to_bytes) >=
               0 ||
           (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM);
}

void supervisor_say(const struct supervisor *v, const char *lines)
{
    int tries;

    for (tries = 0; v->fd >= 0 && !say(v, lines) && tries < AGAIN_MOST; tries++)
        (void)poll(NULL, 0, AGAIN_MS);
}

void supervisor_say_ready(const struct supervisor *v)
{
    supervisor_say(v, "READY=1\nSTATUS=serving\n");
}

void supervisor_say_reloading(const struct supervisor *v)
{
    char text[96];

    /* to the microsecond: systemd ignores one that is older than its own signal */
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", clock_mono_us());
    supervisor_say(v, text);
}

void supervisor_say_stopping(const struct supervisor *v, int64_t most_ms)
{
    char text[96];

    snprintf(text, sizeof(text),
             "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%" PRId64 "000\n",
             most_ms + MARGIN_MS);
    supervisor_say(v, text);
}

/* The number of a shard that has not answered this round yet; count: none. */
static uint32_t find_silent(const struct supervisor *v, const struct hub *h)
{
    uint32_t i;

    for (i = 0; i < h->count; i++)
        if (atomic_load(&h->shards[i]->alive) != v->round)
            break;
    return i;
}

int64_t supervisor_beat(struct supervisor *v, struct hub *h, int64_t now_ms)
{
    uint32_t silent;

    if (!v->every_ms)
        return -1;
    if (now_ms < v->next_ms)
        return v->next_ms - now_ms;
    silent = find_silent(v, h);
    if (silent == h->count) {
        (void)say(v, "WATCHDOG=1\n"); /* if it is not taken, the next one is */
        v->round++;
        v->complained = false;
        hub_tell(h, NOTE_ALIVE);
    } else if (!v->complained) {
        log_error("shard hangs", LOG_NUM("shard", silent), LOG_NUM("for_ms", v->every_ms),
                  LOG_STR("hint", "the watchdog is not told until it turns again"));
        v->complained = true;
    }
    v->next_ms = now_ms + v->every_ms;
    return v->every_ms;
}

void supervisor_on_note(struct shard *s, struct note *n)
{
    (void)n;
    atomic_fetch_add(&s->alive, 1);
}
