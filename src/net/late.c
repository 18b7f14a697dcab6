#include "net/late.h"

enum {
    LOAD_MS = 16, /* half of a socket's load is forgotten in so long */
    LOAD_MOST = 1024,
    STREAK_GAP = 4, /* turns without it that a streak survives */
    STREAK_BUSY = 8,
    STREAK_CROWD = 8, /* with fewer ready there is nobody to be heard before it */
};

void late_add_load(struct conn *c, size_t more)
{
    c->load = (uint16_t)(c->load < LOAD_MOST ? c->load + more : LOAD_MOST);
}

bool late_is_busy(const struct conn *c)
{
    return c->load > LATE_BUSY || c->streak == STREAK_BUSY;
}

bool late_look(struct conn *c)
{
    const struct loop *l = c->net->loop;
    uint16_t now = (uint16_t)(l->now_ms / LOAD_MS), turn = (uint16_t)l->turn;
    uint16_t past = (uint16_t)(now - c->load_at);

    if (past > 0) {
        c->load = past < 16 ? c->load >> past : 0;
        c->load_at = now;
    }
    late_add_load(c, 1);
    if ((uint16_t)(turn - c->turn) > STREAK_GAP)
        c->streak = 0;
    else if (c->streak < STREAK_BUSY && c->net->ready_before >= STREAK_CROWD && turn != c->turn)
        c->streak++;
    c->turn = turn;
    return c->is_new || late_is_busy(c);
}

struct poll *late_poll(const struct conn *c)
{
    struct loop *l = c->net->loop;

    return c->parked ? &l->parked : &l->poll;
}

static void move(struct conn *c, bool to_parked)
{
    struct loop *l = c->net->loop;

    if (!poll_move(late_poll(c), to_parked ? &l->parked : &l->poll, c->fd, conn_watched(c),
                   conn_tag(c)))
        c->parked = to_parked;
}

void late_park(struct conn *c)
{
    if (!c->parked)
        move(c, true);
}

void late_unpark(struct conn *c)
{
    if (!c->parked)
        return;
    move(c, false);
    if (!c->parked)
        c->streak = STREAK_BUSY - 1;
}

void late_forget(struct conn *c)
{
    if (!c->parked || c->fd < 0)
        return;
    poll_remove(&c->net->loop->parked, c->fd);
    c->parked = false;
}
