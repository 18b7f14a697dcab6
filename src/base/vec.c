#include "base/vec.h"

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_CAP = 4 };

void vec_fini(struct vec *v)
{
    mem_free(v->at);
    *v = (struct vec){0};
}

static void resize(struct vec *v, uint32_t cap)
{
    v->at = mem_resize(v->at, cap * sizeof(void *));
    v->cap = cap;
}

void vec_push(struct vec *v, void *item)
{
    if (v->len == v->cap)
        resize(v, v->cap ? v->cap * 2 : FIRST_CAP);
    v->at[v->len++] = item;
}

void *vec_swap_remove(struct vec *v, uint32_t i)
{
    void *moved;

    DCHECK(i < v->len);
    moved = v->at[--v->len];
    v->at[i] = moved;
    if (i == v->len)
        moved = NULL;
    if (v->cap > FIRST_CAP && v->len <= v->cap / 4)
        resize(v, v->cap / 2);
    return moved;
}
