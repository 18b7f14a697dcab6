#include "net/tls_tickets.h"

#include <openssl/evp.h>
#include <string.h>
#include "base/check.h"
#include "base/rand.h"

/* out becomes the hash of the secret and a word; aliasing is fine. */
static void derive(const unsigned char secret[TLS_TICKET_KEY], char word,
                   unsigned char out[TLS_TICKET_KEY])
{
    unsigned char text[TLS_TICKET_KEY + 1];
    unsigned len = 0;

    memcpy(text, secret, TLS_TICKET_KEY);
    text[TLS_TICKET_KEY] = (unsigned char)word;
    CHECK(EVP_Digest(text, sizeof(text), out, &len, EVP_sha256(), NULL) && len == TLS_TICKET_KEY);
    explicit_bzero(text, sizeof(text));
}

static void make_key(const struct tls_tickets *t, struct tls_ticket_key *key)
{
    unsigned char name[TLS_TICKET_KEY];

    derive(t->secret, 'n', name);
    memcpy(key->name, name, sizeof(key->name));
    derive(t->secret, 'c', key->cipher);
    derive(t->secret, 'm', key->mac);
}

void tls_tickets_init(struct tls_tickets *t, int64_t now_ms)
{
    struct rand r;

    rand_init(&r);
    rand_fill(&r, t->secret, sizeof(t->secret));
    rand_fill(&r, &t->before, sizeof(t->before)); /* nobody's */
    explicit_bzero(&r, sizeof(r));
    t->until_ms = now_ms + TLS_TICKET_HOUR_MS;
    make_key(t, &t->now);
}

void tls_tickets_wipe(struct tls_tickets *t)
{
    explicit_bzero(t, sizeof(*t));
}

static void turn(struct tls_tickets *t, int64_t now_ms)
{
    while (now_ms >= t->until_ms) {
        derive(t->secret, 's', t->secret);
        t->before = t->now;
        make_key(t, &t->now);
        t->until_ms += TLS_TICKET_HOUR_MS;
    }
}

const struct tls_ticket_key *tls_tickets_seal(struct tls_tickets *t, int64_t now_ms)
{
    turn(t, now_ms);
    return &t->now;
}

const struct tls_ticket_key *tls_tickets_open(struct tls_tickets *t, int64_t now_ms,
                                              const unsigned char name[TLS_TICKET_NAME],
                                              bool *is_old)
{
    turn(t, now_ms);
    *is_old = false;
    if (memcmp(name, t->now.name, TLS_TICKET_NAME) == 0)
        return &t->now;
    *is_old = memcmp(name, t->before.name, TLS_TICKET_NAME) == 0;
    return *is_old ? &t->before : NULL;
}
