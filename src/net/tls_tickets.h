/*
 * tls_tickets - the keys that session tickets are sealed with: new ones every hour, those of the
 * hour before accepted.
 *
 * The secret of an hour is a hash of the one before, so that all copies made at the same time
 * stay the same without a word between threads, and no copy can tell what it was.
 *
 * Owner:   made once by main, copied into every shard, wiped where it was made.
 * Thread:  its owner's.      Standard: RFC 5077; sealed by AES-256-CBC and HMAC-SHA-256.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { TLS_TICKET_HOUR_MS = 3600000, TLS_TICKET_NAME = 16, TLS_TICKET_KEY = 32 };

struct tls_ticket_key {
    unsigned char name[TLS_TICKET_NAME];
    unsigned char cipher[TLS_TICKET_KEY], mac[TLS_TICKET_KEY];
};

struct tls_tickets {
    /* private to tls_tickets.c */
    int64_t until_ms; /* of the monotonic clock: the end of the hour */
    unsigned char secret[TLS_TICKET_KEY];
    struct tls_ticket_key now, before;
};

void tls_tickets_init(struct tls_tickets *t, int64_t now_ms);
void tls_tickets_wipe(struct tls_tickets *t);

/* The key for new tickets. */
const struct tls_ticket_key *tls_tickets_seal(struct tls_tickets *t, int64_t now_ms);

/* The key of that name, null: nobody's, or too old. *is_old: a new ticket is due. */
const struct tls_ticket_key *tls_tickets_open(struct tls_tickets *t, int64_t now_ms,
                                              const unsigned char name[TLS_TICKET_NAME],
                                              bool *is_old);
