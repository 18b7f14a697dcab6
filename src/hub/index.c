#include "hub/index.h"

#include "base/check.h"
#include "base/mem.h"
#include "hub/presence.h"
#include "hub/value.h"

enum { AHEAD = 8 }; /* clients asked from memory before their turn in a long walk */

/* ---- values ---- */

static bool same_value(const void *item, const void *key)
{
    const struct bytes *text = key;

    return bytes_equal(value_bytes(item), *text);
}

static struct value *value_find(const struct index *x, enum dimension d, struct bytes text)
{
    return map_find(&x->values[d], hash_bytes(x->key, text), same_value, &text);
}

static struct value *value_get(struct index *x, enum dimension d, struct bytes text)
{
    uint64_t hash = hash_bytes(x->key, text);
    struct value *v = map_find(&x->values[d], hash, same_value, &text);

    if (v)
        return v;
    v = value_new(hash, text);
    map_add(&x->values[d], hash, v);
    if (x->counts)
        value_counts_add(x->counts, d, hash, 1);
    return v;
}

static void value_leave(struct index *x, enum dimension d, struct client *c)
{
    struct value *v = c->value[d];

    value_remove(v, d, c);
    overlap_left(&x->overlap, v, c->at_all, x->all.len);
    if (v->count)
        return;
    map_remove(&x->values[d], v->hash, v);
    if (x->counts)
        value_counts_add(x->counts, d, v->hash, -1);
    value_free(v);
}

/* ---- clients ---- */

void index_init(struct index *x, const struct hash_key *key)
{
    int d;

    *x = (struct index){.key = key};
    for (d = 0; d < DIMENSIONS; d++)
        map_init(&x->values[d]);
    map_init(&x->clients);
}

void index_fini(struct index *x)
{
    int d;

    CHECK(x->all.len == 0);
    for (d = 0; d < DIMENSIONS; d++)
        map_fini(&x->values[d]);
    map_fini(&x->clients);
    overlap_fini(&x->overlap);
    vec_fini(&x->all);
}

uint64_t identity_hash(const struct hash_key *key, const struct identity *who)
{
    return hash_tuple(key, who->dim, DIMENSIONS);
}

uint64_t filter_hash(const struct hash_key *key, const struct filter *f)
{
    uint64_t excluded = 0;
    size_t i;

    for (i = 0; i < f->excluded; i++)
        excluded += identity_hash(key, &f->exclude[i]);
    return hash_mix(identity_hash(key, &f->like), excluded);
}

static bool same_client(const void *item, const void *key)
{
    struct identity who = client_identity(item);

    return identity_equal(&who, key);
}

struct client *index_find(const struct index *x, const struct identity *who, uint64_t hash)
{
    return map_find(&x->clients, hash, same_client, who);
}

static bool any_client(const void *item, const void *key)
{
    (void)item;
    (void)key;
    return true;
}

struct client *index_find_hash(const struct index *x, uint64_t hash)
{
    return map_find(&x->clients, hash, any_client, NULL);
}

struct client *index_get(struct index *x, const struct identity *who, uint64_t hash)
{
    struct client *c = index_find(x, who, hash);
    int d;

    if (c)
        return c;
    c = mem_new(struct client);
    c->hash = hash;
    list_init(&c->sessions);
    c->at_all = x->all.len;
    vec_push(&x->all, c);
    for (d = 0; d < DIMENSIONS; d++) {
        c->value[d] = value_get(x, (enum dimension)d, who->dim[d]);
        value_add(c->value[d], (enum dimension)d, c);
        overlap_came(&x->overlap, c->value[d], c->at_all, x->all.len);
    }
    map_add(&x->clients, hash, c);
    return c;
}

/* From the end to a place that has become free. */
static void move(struct index *x, struct client *c, uint32_t to)
{
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        overlap_moved(&x->overlap, c->value[d], c->at_all, to);
    c->at_all = to;
}

void index_remove(struct index *x, struct client *c)
{
    struct client *moved;
    int d;

    CHECK(c->session_count == 0 && c->deliveries == 0);
    map_remove(&x->clients, c->hash, c);
    moved = vec_swap_remove(&x->all, c->at_all);
    for (d = 0; d < DIMENSIONS; d++)
        value_leave(x, (enum dimension)d, c);
    if (moved)
        move(x, moved, c->at_all);
    mem_free(c);
}

uint32_t index_count(const struct index *x)
{
    return x->all.len;
}

struct identity client_identity(const struct client *c)
{
    struct identity who;
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        who.dim[d] = value_bytes(c->value[d]);
    return who;
}

/* ---- matching ---- */

/* What a filter asks for, in this index's own values. */
struct wanted {
    struct value *value[DIMENSIONS]; /* null: any */
    const struct value *smallest;    /* null: no dimension is given */
};

/* False: some given value is unknown here, so nobody matches. */
static bool resolve(const struct index *x, const struct filter *f, struct wanted *w)
{
    int d;

    *w = (struct wanted){0};
    for (d = 0; d < DIMENSIONS; d++) {
        struct value *v;

        if (f->like.dim[d].len == 0)
            continue;
        v = value_find(x, (enum dimension)d, f->like.dim[d]);
        if (!v)
            return false;
        w->value[d] = v;
        if (!w->smallest || v->count < w->smallest->count)
            w->smallest = v;
    }
    return true;
}

static void mark_excluded(struct index *x, const struct filter *f)
{
    size_t i;

    x->skip++;
    for (i = 0; i < f->excluded; i++) {
        struct client *c = index_find(x, &f->exclude[i], identity_hash(x->key, &f->exclude[i]));

        if (c)
            c->skip = x->skip;
    }
}

static bool is_wanted(const struct index *x, const struct wanted *w, const struct client *c)
{
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        if (w->value[d] && w->value[d] != c->value[d])
            return false;
    return c->skip != x->skip;
}

/* Keeps those that are not excluded, of the ones from that number on. */
static void leave_out_excluded(const struct index *x, struct vec *out, uint32_t from)
{
    uint32_t kept = from, i;

    for (i = from; i < out->len; i++) {
        const struct client *c = out->at[i];

        if (i + AHEAD < out->len)
            __builtin_prefetch(out->at[i + AHEAD]);
        if (c->skip != x->skip)
            out->at[kept++] = out->at[i];
    }
    out->len = kept;
}

/* By the overlap of the given sets; false if a walk is as good. A set of everybody rules nobody
 * out. */
static bool select_overlap(struct index *x, const struct wanted *w, const struct filter *f,
                           struct vec *out)
{
    struct value *of[DIMENSIONS];
    uint32_t from = out->len;
    int d, given = 0;

    for (d = 0; d < DIMENSIONS; d++)
        if (w->value[d] && w->value[d]->count < x->all.len)
            of[given++] = w->value[d];
    if (given < 2 || !overlap_pays(w->smallest, x->all.len))
        return false;
    overlap_select(&x->overlap, of, given, &x->all, out);
    if (f->excluded)
        leave_out_excluded(x, out, from);
    return true;
}

static void walk(const struct index *x, const struct wanted *w, struct client *const *from,
                 uint32_t count, struct vec *out)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(from[i + AHEAD]);
        if (is_wanted(x, w, from[i]))
            vec_push(out, from[i]);
    }
}

void index_select(struct index *x, const struct filter *f, struct vec *out)
{
    struct wanted w;
    uint32_t i;

    if (!resolve(x, f, &w))
        return;
    mark_excluded(x, f);
    if (w.smallest) {
        if (!select_overlap(x, &w, f, out))
            walk(x, &w, value_members(w.smallest), w.smallest->count, out);
    } else {
        for (i = 0; i < x->all.len; i++)
            if (is_wanted(x, &w, x->all.at[i]))
                vec_push(out, x->all.at[i]);
    }
}

bool filter_matches(const struct filter *f, const struct identity *who)
{
    size_t i;
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        if (f->like.dim[d].len && !bytes_equal(f->like.dim[d], who->dim[d]))
            return false;
    for (i = 0; i < f->excluded; i++)
        if (identity_equal(&f->exclude[i], who))
            return false;
    return true;
}
