#include "app/reload.h"

#include <poll.h>
#include "api/api_shard.h"
#include "base/log.h"

enum { LOOK_EVERY_MS = 2 };

/* ---- what is said ---- */

static void say_wrong(const struct buf *errors)
{
    struct bytes rest = buf_bytes(errors), line;

    while (rest.len) {
        struct bytes all = rest;

        (void)bytes_cut(all, BYTES("\n"), &line, &rest);
        log_error("reload refused", LOG_VIEW("reason", line),
                  LOG_STR("hint", "nothing has changed: correct it and send SIGHUP again"));
    }
}

/* Names of keys, never values: one of them is the secret. */
static void on_change(void *context, const char *key, bool needs_restart)
{
    struct buf *changed = context;

    if (needs_restart)
        log_warn("change needs a restart", LOG_STR("key", key));
    else
        buf_printf(changed, "%s%s", changed->len ? ", " : "", key);
}

static bool was_noted(const struct config *c, const char *text)
{
    int i;

    for (i = 0; i < config_note_count(c); i++)
        if (bytes_equal(bytes_text(config_note(c, i)), bytes_text(text)))
            return true;
    return false;
}

static void say_new_notes(const struct config *now, const struct config *before)
{
    int i;

    for (i = 0; i < config_note_count(now); i++)
        if (!was_noted(before, config_note(now, i)))
            log_warn("configuration", LOG_STR("note", config_note(now, i)));
}

/* ---- what is done ---- */

void reload_publish(struct hub *h, const struct settings *settings)
{
    atomic_store(&h->settings, settings);
    atomic_store(&h->sockets.limit, settings->sockets);
    atomic_store(&h->http_conns.limit, settings->http_conns);
    atomic_store(&h->handshakes.limit, settings->handshakes);
    log_setup(settings->log_level, settings->log_format);
    atomic_store(&h->reloaded, 0);
    hub_tell(h, NOTE_RELOAD);
}

bool reload_is_done(const struct hub *h)
{
    return atomic_load(&h->reloaded) == h->count;
}

void reload_on_note(struct shard *s, struct note *n)
{
    (void)n;
    s->net.limits = &s->hub->settings->net;
    api_reload(s);
    atomic_fetch_add(&s->hub->reloaded, 1);
}

bool reload_run(struct hub *h, struct config **config, const struct config_sources *from)
{
    struct config *before = *config, *now;
    struct buf text = {0};

    if (config_load(from, &now, &text)) {
        say_wrong(&text);
        buf_fini(&text);
        return false;
    }
    config_inherit(now, before, on_change, &text);
    say_new_notes(now, before);
    reload_publish(h, config_settings(now));
    while (!reload_is_done(h))
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    log_info("reloaded", LOG_VIEW("changed", buf_bytes(&text)));
    buf_fini(&text);
    *config = now;
    config_free(before);
    return true;
}
