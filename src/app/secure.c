#include "app/secure.h"

#include "api/api_shard.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/redis_tls.h"
#include "cluster/tls_client.h"
#include "hub/shard.h"
#include "net/conn_tls.h"
#include "net/tls_context.h"
#include "net/tls_tickets.h"

enum { DAY_S = 86400, SOON_DAYS = 14 };

static enum err load(const struct tls_settings *set, struct tls_context **out, struct problem *why)
{
    *out = NULL;
    return tls_is_on(set) ? tls_context_new(set, out, why) : ERR_OK;
}

/* The cluster loads them itself: this says early what stands against it. */
static enum err try_redis(const struct cluster_settings *set, struct problem *why)
{
    struct ssl_ctx_st *c;
    enum err e;

    if (!cluster_is_on(set))
        return ERR_OK;
    e = redis_tls_open(&set->redis, &c, why);
    tls_client_close(c);
    return e;
}

enum err secure_load(const struct settings *set, struct tls_context **out, struct problem *why)
{
    *out = NULL;
    if (try_redis(&set->cluster, why))
        return ERR_BAD;
    return load(&set->tls, out, why);
}

/* The two switches are taken over as every key that needs a restart; left to themselves they would
   still follow a certificate that comes or goes. */
enum err secure_load_again(const struct settings *now, const struct settings *before,
                           struct tls_context **out, struct problem *why)
{
    struct tls_settings set = now->tls;

    *out = NULL;
    set.enabled = before->tls.enabled;
    set.ws_enabled = before->tls.ws_enabled;
    if (tls_is_on_for_rest(&set) != tls_is_on_for_rest(&before->tls) ||
        tls_is_on_for_ws(&set) != tls_is_on_for_ws(&before->tls) ||
        (tls_is_on(&set) && !tls_has_certificate(&set)))
        return problem_set(why, ERR_BAD,
                           "server.ssl.certificate: given or taken away, it switches TLS on "
                           "or off, which needs a restart");
    return load(&set, out, why);
}

void secure_shards(struct hub *h, struct tls_context *c)
{
    struct tls_tickets tickets;
    uint32_t i;

    h->tls = c;
    if (!c)
        return;
    tls_tickets_init(&tickets, clock_mono_ms());
    for (i = 0; i < h->count; i++) {
        net_use_tls(&h->shards[i]->net, &tickets);
        api_use_tls(h->shards[i], c);
    }
    tls_tickets_wipe(&tickets);
}

static const char *kernel_part(const struct settings *set)
{
    if (!set->tls.kernel)
        return "off";
    return tls_kernel_can() ? "on" : "not offered";
}

void secure_say(const struct settings *set, const struct tls_context *c)
{
    int64_t left_s;

    if (!c)
        return;
    left_s = tls_context_ends_s(c) - clock_wall_ms() / 1000;
    log_info("tls", LOG_STR("rest", tls_is_on_for_rest(&set->tls) ? "on" : "off"),
             LOG_STR("websocket", tls_is_on_for_ws(&set->tls) ? "on" : "off"),
             LOG_STR("kernel", kernel_part(set)), LOG_NUM("certificate_days", left_s / DAY_S));
    if (left_s < (int64_t)SOON_DAYS * DAY_S)
        log_warn("certificate ends", LOG_NUM("days", left_s / DAY_S),
                 LOG_STR("hint", left_s < 0 ? "it has ended: clients will not come in"
                                            : "clients will not come in after that: renew it"));
}
