#include "wire/body.h"

#include <stdio.h>

/* Where an object stands in the body: "client", "filter.exclude[3]", "envelopes[2].client". */
struct place {
    const char *head; /* empty: the body itself */
    int64_t index;    /* of an array's element; -1: none */
    const char *tail;
};

static const struct place top = {"", -1, ""};

struct path {
    char text[80];
};

/* The path of a member of the object there; of the object itself when name is empty. */
static struct path path_of(const struct place *at, const char *name)
{
    struct path p;
    char index[32] = "";
    const char *dot = at->head[0] && name[0] ? "." : "";

    if (at->index >= 0)
        snprintf(index, sizeof(index), "[%lld]", (long long)at->index);
    snprintf(p.text, sizeof(p.text), "%s%s%s%s%s", at->head, index, at->tail, dot, name);
    return p;
}

static const char *article(enum json_type t)
{
    return t == JSON_ARRAY || t == JSON_OBJECT ? "an" : "a";
}

static bool is_absent(struct json_value v)
{
    enum json_type t = json_type(v);

    return t == JSON_ABSENT || t == JSON_NULL;
}

static enum err wrong_type(const struct body_reader *r, const char *path, enum json_type want,
                           enum json_type got)
{
    const char *is = got == JSON_NULL ? "" : article(got);

    return problem_set(r->why, ERR_BAD, "%s must be %s %s, not %s%s%s", path, article(want),
                       json_type_name(want), is, *is ? " " : "", json_type_name(got));
}

/* There at all, and of that type? */
static enum err need(const struct body_reader *r, const struct place *at, const char *name,
                     struct json_value v, enum json_type want)
{
    if (json_type(v) == want)
        return ERR_OK;
    if (is_absent(v))
        return problem_set(r->why, ERR_BAD, "%s is missing", path_of(at, name).text);
    return wrong_type(r, path_of(at, name).text, want, json_type(v));
}

/* Absent, or of that type? *given says which. */
static enum err allow(const struct body_reader *r, const struct place *at, const char *name,
                      struct json_value v, enum json_type want, bool *given)
{
    *given = !is_absent(v);
    return *given ? need(r, at, name, v, want) : ERR_OK;
}

/* The body itself; absent is an object without members, of which the first needed one is missing.
 */
static enum err need_body(const struct body_reader *r, struct json_value v)
{
    if (is_absent(v) || json_type(v) == JSON_OBJECT)
        return ERR_OK;
    return wrong_type(r, "the body", JSON_OBJECT, json_type(v));
}

struct text_rule {
    size_t most;
    const char *key; /* the configuration's name of that limit */
};

static struct text_rule dimension_rule(const struct body_reader *r)
{
    return (struct text_rule){r->limits->dimension_bytes, "pushca.limits.dimension-bytes"};
}

static struct text_rule id_rule(const struct body_reader *r)
{
    return (struct text_rule){r->limits->id_bytes, "pushca.limits.id-bytes"};
}

/* A name: absent, null and "" are empty; what there is obeys the rule. */
static enum err read_name(const struct body_reader *r, const struct place *at, const char *name,
                          struct json_value v, struct text_rule rule, struct bytes *out)
{
    bool given;
    enum err e = allow(r, at, name, v, JSON_STRING, &given);

    *out = (struct bytes){0};
    if (e || !given)
        return e;
    *out = json_string(v);
    if (out->len > rule.most)
        return problem_set(r->why, ERR_TOO_BIG, "%s is longer than %zu bytes (%s)",
                           path_of(at, name).text, rule.most, rule.key);
    if (!dimension_is_plain(*out))
        return problem_set(r->why, ERR_BAD, "%s must not contain control characters",
                           path_of(at, name).text);
    return ERR_OK;
}

static void pick_dimensions(struct json_value object, struct json_value out[DIMENSIONS])
{
    const char *names[DIMENSIONS];

    dimension_names(names);
    json_pick(object, names, out, DIMENSIONS);
}

/* The object at that place: a whole client. */
static enum err read_client(const struct body_reader *r, const struct place *at,
                            struct json_value v, struct identity *out)
{
    struct json_value dims[DIMENSIONS];
    enum err e = need(r, at, "", v, JSON_OBJECT);

    if (e)
        return e;
    pick_dimensions(v, dims);
    for (int d = 0; d < DIMENSIONS; d++) {
        const char *name = dimension_name((enum dimension)d);

        e = need(r, at, name, dims[d], JSON_STRING);
        if (e)
            return e;
        e = read_name(r, at, name, dims[d], dimension_rule(r), &out->dim[d]);
        if (e)
            return e;
        if (out->dim[d].len == 0)
            return problem_set(r->why, ERR_BAD, "%s must not be empty", path_of(at, name).text);
    }
    return ERR_OK;
}

static enum err read_top_client(const struct body_reader *r, const char *name, struct json_value v,
                                struct identity *out)
{
    return read_client(r, &(struct place){name, -1, ""}, v, out);
}

static enum err read_text(const struct body_reader *r, const struct place *at, const char *name,
                          struct json_value v, struct bytes *out)
{
    enum err e = need(r, at, name, v, JSON_STRING);

    if (!e)
        *out = json_string(v);
    return e;
}

static enum err read_flag(const struct body_reader *r, const struct place *at, const char *name,
                          struct json_value v, bool *out)
{
    bool given;
    enum err e = allow(r, at, name, v, JSON_BOOL, &given);

    *out = !e && given && json_bool(v);
    return e;
}

static enum err check_count(const struct body_reader *r, const char *path, size_t count,
                            size_t most, const char *key)
{
    if (count <= most)
        return ERR_OK;
    return problem_set(r->why, ERR_TOO_BIG, "%s has more than %zu entries (%s)", path, most, key);
}

static enum err read_exclude(const struct body_reader *r, const struct place *filter,
                             struct json_value v, struct filter *out)
{
    struct place at = {"filter.exclude", 0, ""};
    struct identity *to;
    struct json_items it;
    struct json_value entry;
    bool given;
    enum err e = allow(r, filter, "exclude", v, JSON_ARRAY, &given);

    out->exclude = NULL;
    out->excluded = 0;
    if (e || !given)
        return e;
    e = check_count(r, at.head, json_count(v), r->limits->exclude, "pushca.limits.exclude-entries");
    if (e)
        return e;
    to = arena_alloc(r->arena, json_count(v) * sizeof(*to));
    for (it = json_items(v); json_next(&it, &entry); at.index++) {
        e = read_client(r, &at, entry, &to[at.index]);
        if (e)
            return e;
    }
    out->exclude = to;
    out->excluded = (size_t)at.index;
    return ERR_OK;
}

static enum err read_filter(const struct body_reader *r, struct json_value v, struct filter *out)
{
    static const struct place at = {"filter", -1, ""};
    const char *names[DIMENSIONS + 2];
    struct json_value dims[DIMENSIONS + 2], *more = dims + DIMENSIONS;
    enum err e = need(r, &at, "", v, JSON_OBJECT);

    if (e)
        return e;
    dimension_names(names);
    names[DIMENSIONS] = "findAny";
    names[DIMENSIONS + 1] = "exclude";
    json_pick(v, names, dims, DIMENSIONS + 2);
    for (int d = 0; d < DIMENSIONS; d++) {
        e = read_name(r, &at, dimension_name((enum dimension)d), dims[d], dimension_rule(r),
                      &out->like.dim[d]);
        if (e)
            return e;
    }
    e = read_flag(r, &at, names[DIMENSIONS], more[0], &out->find_any);
    if (e)
        return e;
    return read_exclude(r, &at, more[1], out);
}

static enum err read_pool(const struct body_reader *r, struct json_value v, int64_t *out)
{
    static const char name[] = "poolSize";
    enum err e = need(r, &top, name, v, JSON_NUMBER);

    if (e)
        return e;
    if (!json_int(v, out) || *out < 1)
        return problem_set(r->why, ERR_BAD, "%s must be a whole number from 1 to %lld", name,
                           (long long)r->limits->pool);
    if (*out > r->limits->pool)
        return problem_set(r->why, ERR_TOO_BIG, "%s is more than %lld (pushca.limits.pool-size)",
                           name, (long long)r->limits->pool);
    return ERR_OK;
}

enum err body_read_open(const struct body_reader *r, struct json_value v, bool pooled,
                        struct open_body *out)
{
    static const char *const names[] = {"client", "Client", "pusherInstanceId", "poolSize"};
    struct json_value m[4];
    int which;
    bool given;
    enum err e = need_body(r, v);

    if (e)
        return e;
    json_pick(v, names, m, 4);
    which = is_absent(m[0]) && !is_absent(m[1]);
    e = read_top_client(r, names[which], m[which], &out->client);
    if (e)
        return e;
    e = allow(r, &top, names[2], m[2], JSON_STRING, &given);
    if (e)
        return e;
    out->instance_id = given ? json_string(m[2]) : (struct bytes){0};
    out->pool_size = 1;
    return pooled ? read_pool(r, m[3], &out->pool_size) : ERR_OK;
}

/* preserveOrder in v, and whose: of a sender only what tells it apart from others counts. */
static enum err read_order(const struct body_reader *r, struct json_value v, struct json_value flag,
                           struct order_body *out)
{
    static const char *const name = "sender";
    struct json_value sender, dims[DIMENSIONS];
    enum err e = read_flag(r, &top, "preserveOrder", flag, &out->preserved);

    out->sender = (struct identity){0};
    if (e || !out->preserved)
        return e;
    json_pick(v, &name, &sender, 1);
    if (json_type(sender) != JSON_OBJECT)
        return ERR_OK;
    pick_dimensions(sender, dims);
    for (int d = 0; d < DIMENSIONS; d++)
        if (json_type(dims[d]) == JSON_STRING)
            out->sender.dim[d] = json_string(dims[d]);
    return ERR_OK;
}

enum err body_read_send(const struct body_reader *r, struct json_value v, struct send_body *out)
{
    static const char *const names[] = {"id", "filter", "message", "preserveOrder"};
    struct json_value m[4];
    enum err e = need_body(r, v);

    if (e)
        return e;
    json_pick(v, names, m, 4);
    e = read_name(r, &top, names[0], m[0], id_rule(r), &out->id);
    if (e)
        return e;
    e = read_filter(r, m[1], &out->filter);
    if (e)
        return e;
    e = read_text(r, &top, names[2], m[2], &out->message);
    if (e)
        return e;
    return read_order(r, v, m[3], &out->order);
}

enum err body_read_acked(const struct body_reader *r, struct json_value v, struct acked_body *out)
{
    static const char *const names[] = {"id", "client", "message", "preserveOrder"};
    struct json_value m[4];
    enum err e = need_body(r, v);

    if (e)
        return e;
    json_pick(v, names, m, 4);
    e = read_name(r, &top, names[0], m[0], id_rule(r), &out->id);
    if (e)
        return e;
    e = read_top_client(r, names[1], m[1], &out->client);
    if (e)
        return e;
    e = read_text(r, &top, names[2], m[2], &out->message);
    if (e)
        return e;
    return read_order(r, v, m[3], &out->order);
}

static enum err read_envelope(const struct body_reader *r, int64_t index, struct json_value v,
                              struct envelope_body *out)
{
    static const char *const names[] = {"client", "message"};
    struct place self = {"envelopes", index, ""}, client = {"envelopes", index, ".client"};
    struct json_value m[2];
    enum err e = need(r, &self, "", v, JSON_OBJECT);

    if (e)
        return e;
    json_pick(v, names, m, 2);
    e = read_client(r, &client, m[0], &out->client);
    if (e)
        return e;
    return read_text(r, &self, names[1], m[1], &out->message);
}

enum err body_read_envelopes(const struct body_reader *r, struct json_value v,
                             struct envelopes_body *out)
{
    static const char *const names[] = {"envelopes"};
    struct json_value list, entry;
    struct json_items it;
    struct envelope_body *to;
    size_t count;
    enum err e = need_body(r, v);

    if (e)
        return e;
    json_pick(v, names, &list, 1);
    e = need(r, &top, names[0], list, JSON_ARRAY);
    if (e)
        return e;
    count = json_count(list);
    if (count == 0)
        return problem_set(r->why, ERR_BAD, "%s must not be empty", names[0]);
    e = check_count(r, names[0], count, r->limits->envelopes, "pushca.limits.envelopes");
    if (e)
        return e;
    to = arena_alloc(r->arena, count * sizeof(*to));
    count = 0;
    for (it = json_items(list); json_next(&it, &entry); count++) {
        e = read_envelope(r, (int64_t)count, entry, &to[count]);
        if (e)
            return e;
    }
    *out = (struct envelopes_body){to, count};
    return ERR_OK;
}

enum err body_read_ack(const struct body_reader *r, struct json_value v, struct bytes *message_id)
{
    static const char *const names[] = {"messageId"};
    struct json_value id;
    enum err e = need_body(r, v);

    if (e)
        return e;
    json_pick(v, names, &id, 1);
    e = need(r, &top, names[0], id, JSON_STRING);
    if (e)
        return e;
    e = read_name(r, &top, names[0], id, id_rule(r), message_id);
    if (e)
        return e;
    if (message_id->len == 0)
        return problem_set(r->why, ERR_BAD, "%s must not be empty", names[0]);
    return ERR_OK;
}
