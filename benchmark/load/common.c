#include "load/scenario.h"

#include <stdlib.h>
#include "load/form.h"
#include "load/score.h"
#include "load/target.h"
#include "load/text.h"
#include "load/tools.h"

enum { CONNECTING_MAX = 256, CONNECT_SECONDS = 60, EVENTS = 256 };

static const uint64_t DRAIN_NS = 2000000000, WAIT_NS = 10000000, AFTER_NS = 50000000;

/* Near: a ring for each server. */
static uint32_t next_in_ring(const struct options *o, uint32_t i, uint32_t n)
{
    uint32_t servers = o->port.count;

    if (o->partner != PARTNER_NEAR)
        return (i + 1) % n;
    return i + servers < n ? i + servers : i % servers;
}

static uint32_t place_in_ring(const struct options *o, uint32_t i)
{
    return (o->partner == PARTNER_MIXED ? i / 2 : i) % o->port.count;
}

void ring_make(struct pump *p, uint32_t n)
{
    uint32_t *order = grow(NULL, n * sizeof(*order)), i;
    uint64_t seed = 20231123;

    for (i = 0; i < n; i++)
        order[i] = link_new(p)->number;
    for (i = n - 1; i > 0; i--) {
        uint32_t other = (uint32_t)(rnd_next(&seed) % (i + 1)), kept = order[i];

        order[i] = order[other];
        order[other] = kept;
    }
    for (i = 0; i < n; i++) {
        uint32_t next = next_in_ring(p->options, i, n);

        p->links[order[i]]->place = place_in_ring(p->options, i);
        p->links[order[i]]->to = order[next];
        p->links[order[next]]->from = order[i];
    }
    free(order);
}

void connect_all(struct pump *p, uint32_t first, uint32_t n)
{
    uint64_t end = now_ns() + CONNECT_SECONDS * (uint64_t)1000000000;
    uint32_t i = first, before = p->open;

    while (p->open - before < n) {
        while (i < first + n && i - first - (p->open - before) < CONNECTING_MAX) {
            p->target->prepare(p->links[i]);
            link_connect(p->links[i], port_of(&p->options->port, p->links[i]->place));
            i++;
        }
        pump_turn(p, WAIT_NS, EVENTS);
        if (now_ns() > end || p->broken)
            die("only %u of %u connections came up, %u ended", p->open - before, n, p->broken);
    }
}

void send_next(struct link *l, uint64_t at_ns)
{
    struct link *to = l->pump->links[l->to];
    struct text t = {.from = l->number, .to = l->to, .number = to->sent_to++, .at_ns = at_ns};
    size_t len = l->pump->options->text_bytes;
    char text[FORM_MAX], id[FORM_ID_BYTES];

    text_write(&t, text, len);
    text_write_id(&t, id);
    form_send(l, id, text, len);
}

void drain(struct pump *p)
{
    uint64_t end = now_ns() + DRAIN_NS;

    while (score_lost(p) && now_ns() < end)
        pump_turn(p, WAIT_NS, EVENTS);
    for (end = now_ns() + AFTER_NS; now_ns() < end;) /* what comes twice */
        pump_turn(p, WAIT_NS, EVENTS);
}
