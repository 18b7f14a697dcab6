#include "app/reload.h"

#include <poll.h>
#include "api/api_shard.h"
#include "app/secure.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_context.h"

enum { LOOK_EVERY_MS = 2 };

/* ---- what is said ---- */

static void say_wrong(struct bytes rest)
{
    struct bytes line;

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

void reload_publish(struct hub *h, const struct settings *settings, struct tls_context *tls)
{
    h->tls = tls; /* nobody reads it before the note */
    atomic_store(&h->settings, settings);
    atomic_store(&h->sockets.limit, settings->sockets);
    atomic_store(&h->http_conns.limit, settings->http_conns);
    atomic_store(&h->handshakes.limit, settings->handshakes);
    mem_limit(settings->memory_bytes);
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
    net_limit(&s->net, &s->hub->settings->net);
    api_reload(s);
    if (s->hub->tls)
        api_use_tls(s, s->hub->tls);
    atomic_fetch_add(&s->hub->reloaded, 1);
}

/* Everything that can be wrong, before anything is changed; null: said. */
static struct config *load(const struct config *before, const struct config_sources *from,
                           struct tls_context **tls)
{
    struct config *now;
    struct buf errors = {0};
    struct problem why;

    *tls = NULL;
    if (config_load(from, &now, &errors)) {
        say_wrong(buf_bytes(&errors));
    } else if (secure_load_again(config_settings(now), config_settings(before), tls, &why)) {
        say_wrong(bytes_text(why.text));
        config_free(now);
        now = NULL;
    }
    buf_fini(&errors);
    return now;
}

bool reload_run(struct hub *h, struct config **config, struct tls_context **tls,
                const struct config_sources *from)
{
    struct config *before = *config, *now;
    struct tls_context *tls_before = *tls, *tls_now;
    struct buf changed = {0};

    now = load(before, from, &tls_now);
    if (!now)
        return false;
    config_inherit(now, before, on_change, &changed);
    say_new_notes(now, before);
    reload_publish(h, config_settings(now), tls_now);
    while (!reload_is_done(h))
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    secure_say(config_settings(now), tls_now);
    log_info("reloaded", LOG_VIEW("changed", buf_bytes(&changed)));
    buf_fini(&changed);
    *config = now;
    *tls = tls_now;
    config_free(before);
    tls_context_unref(tls_before);
    return true;
}
