#include "flow/wheel.h"

#include <stddef.h>

/*
 * A timer is due at the first step that begins at or after its deadline. `step` is the last step
 * that was run. A timer sits in the lowest level on which its due step lies less than one round
 * ahead; when the wheel reaches the first step of a slot above level 0, the slot's timers move
 * down, and one that was put in the last slot because its deadline is beyond the reach goes up
 * again. Slots without timers are never visited, so a jump costs as much as the timers it passes.
 */
enum { SLOT_BITS = 6 };

static const int64_t reach_steps = (int64_t)1 << (SLOT_BITS * WHEEL_LEVELS);

static int slot_of(int64_t step, int level)
{
    return (int)(step >> (SLOT_BITS * level) & (WHEEL_SLOTS - 1));
}

void wheel_init(struct wheel *w, int64_t now_ms)
{
    DCHECK(now_ms >= 0);
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
        w->used[level] = 0;
    }
    list_init(&w->due);
    w->step = now_ms / WHEEL_STEP_MS;
}

void timer_init(struct timer *t, void (*on_due)(struct timer *t))
{
    list_init(&t->link);
    t->due_ms = 0;
    t->on_due = on_due;
}

bool timer_is_armed(const struct timer *t)
{
    return list_is_linked(&t->link);
}

static void place(struct wheel *w, struct timer *t)
{
    int64_t due_step = t->due_ms / WHEEL_STEP_MS + (t->due_ms % WHEEL_STEP_MS > 0);
    int64_t ahead = due_step - w->step;
    int level = 0, slot;

    if (ahead <= 0) {
        list_push_back(&w->due, &t->link);
        return;
    }
    if (ahead >= reach_steps) {
        ahead = reach_steps - 1;
        due_step = w->step + ahead;
    }
    while (ahead >> (SLOT_BITS * (level + 1)))
        level++;
    slot = slot_of(due_step, level);
    w->used[level] |= UINT64_C(1) << slot;
    list_push_back(&w->slots[level][slot], &t->link);
}

void wheel_start(struct wheel *w, struct timer *t, int64_t due_ms)
{
    list_remove(&t->link);
    t->due_ms = due_ms;
    place(w, t);
}

void wheel_stop(struct timer *t)
{
    list_remove(&t->link);
}

/* First step of the nearest slot of this level that holds a timer, after w->step; -1: none. Bits of
   slots whose timers were all stopped are passed over. */
static int64_t next_on_level(const struct wheel *w, int level)
{
    int64_t first = (w->step >> (SLOT_BITS * level)) + 1; /* slots are counted through all rounds */
    int turn = (int)(first & (WHEEL_SLOTS - 1));
    uint64_t used = w->used[level];

    /* bit n: the slot n after the first */
    used = used >> turn | used << ((WHEEL_SLOTS - turn) & (WHEEL_SLOTS - 1));
    for (; used; used &= used - 1) {
        int64_t step = (first + __builtin_ctzll(used)) << (SLOT_BITS * level);

        if (!list_is_empty(&w->slots[level][slot_of(step, level)]))
            return step;
    }
    return -1;
}

static int64_t next_step(const struct wheel *w)
{
    int64_t nearest = -1;

    for (int level = 0; level < WHEEL_LEVELS; level++) {
        int64_t at = next_on_level(w, level);

        if (at >= 0 && (nearest < 0 || at < nearest))
            nearest = at;
    }
    return nearest;
}

/* Empties the slots that begin at w->step, highest level first; timers go down or become due. */
static void open_slots(struct wheel *w)
{
    for (int level = WHEEL_LEVELS - 1; level >= 0; level--) {
        int slot = slot_of(w->step, level);
        struct list moving, *link;

        if (w->step & (((int64_t)1 << (SLOT_BITS * level)) - 1))
            continue;
        list_init(&moving);
        list_splice(&moving, &w->slots[level][slot]);
        w->used[level] &= ~(UINT64_C(1) << slot);
        while ((link = list_first(&moving))) {
            list_remove(link);
            place(w, container_of(link, struct timer, link));
        }
    }
}

bool wheel_run(struct wheel *w, int64_t now_ms, int max)
{
    int64_t until = now_ms / WHEEL_STEP_MS, next;
    struct list batch, *link;

    while ((next = next_step(w)) >= 0 && next <= until) {
        w->step = next;
        open_slots(w);
    }
    if (w->step < until)
        w->step = until;
    /* What on_due starts for now joins w->due, so it waits for the next run. */
    list_init(&batch);
    list_splice(&batch, &w->due);
    for (int n = 0; n < max && (link = list_first(&batch)); n++) {
        struct timer *t = container_of(link, struct timer, link);

        list_remove(link);
        t->on_due(t);
    }
    /* The rest of the batch stays ahead of it: nobody starves behind timers that start themselves.
     */
    list_splice(&batch, &w->due);
    list_splice(&w->due, &batch);
    return !list_is_empty(&w->due);
}

int64_t wheel_next_ms(const struct wheel *w, int64_t now_ms)
{
    int64_t step;

    if (!list_is_empty(&w->due))
        return 0;
    step = next_step(w);
    if (step < 0)
        return -1;
    return step * WHEEL_STEP_MS > now_ms ? step * WHEEL_STEP_MS - now_ms : 0;
}
