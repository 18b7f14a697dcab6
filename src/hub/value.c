#include "hub/value.h"

#include "base/mem.h"
#include "hub/index.h"

struct value *value_new(uint64_t hash, struct bytes text)
{
    struct value *v = mem_alloc(sizeof(*v) + text.len);

    *v = (struct value){.hash = hash, .len = (uint32_t)text.len, .cap = 1};
    memcpy(v->text, text.at, text.len);
    return v;
}

void value_free(struct value *v)
{
    if (v->cap > 1)
        mem_free(v->set.many);
    mem_free(v);
}

static void set_resize(struct value *v, uint32_t cap)
{
    struct client **many = v->cap == 1 ? NULL : v->set.many;

    if (cap == 1) {
        struct client *one = many[0];

        mem_free(many);
        v->set.one = one;
    } else if (many) {
        v->set.many = mem_resize(many, cap * sizeof(struct client *));
    } else {
        many = mem_alloc(cap * sizeof(struct client *));
        many[0] = v->set.one;
        v->set.many = many;
    }
    v->cap = cap;
}

void value_add(struct value *v, enum dimension d, struct client *c)
{
    if (v->count == v->cap)
        set_resize(v, v->cap * 2);
    if (v->cap == 1)
        v->set.one = c;
    else
        v->set.many[v->count] = c;
    c->at[d] = v->count++;
}

void value_remove(struct value *v, enum dimension d, const struct client *c)
{
    struct client *last = value_members(v)[--v->count];

    if (last != c) {
        v->set.many[c->at[d]] = last;
        last->at[d] = c->at[d];
    }
    if (v->count && v->cap > 1 && v->count <= v->cap / 4)
        set_resize(v, v->cap / 2);
}
