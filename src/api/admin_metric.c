#include "api/admin.h"

#include "api/api_shard.h"
#include "api/http_reply.h"
#include "api/http_server.h"
#include "api/metrics.h"
#include "wire/json_write.h"

enum { TAGS_MAX = 2 }; /* as many as a metric has labels */

/* ?tag=class:plain&tag=entry:rest - only what carries all of these is summed. */
struct choice {
    struct bytes tag, value;
};

static bool has_label(const struct metric *m, const struct choice *c)
{
    int i;

    for (i = 0; i < TAGS_MAX; i++) {
        const struct metric_label *l = &m->labels[i];

        if (l->tag && bytes_equal(bytes_text(l->tag), c->tag) &&
            bytes_equal(bytes_text(l->value), c->value))
            return true;
    }
    return false;
}

static bool is_chosen(const struct metric *m, struct bytes name, const struct choice *choices,
                      size_t count)
{
    size_t i;

    if (!bytes_equal(bytes_text(m->name), name))
        return false;
    for (i = 0; i < count; i++) {
        if (!has_label(m, &choices[i]))
            return false;
    }
    return true;
}

/* False: more or other choices than any metric could meet. */
static bool read_choices(struct request *q, struct choice out[TAGS_MAX], size_t *count)
{
    struct bytes query = q->head->query, one, key, value;
    size_t len = 0;

    *count = 0;
    while (query.len) {
        char *text;

        (void)bytes_cut(query, BYTES("&"), &one, &query);
        if (!bytes_cut(one, BYTES("="), &key, &value) || !bytes_equal(key, BYTES("tag")))
            continue;
        text = arena_alloc(&api_of(q->shard)->arena, value.len + 1);
        if (*count == TAGS_MAX || !http1_decode_path(value, text, &len) ||
            !bytes_cut(bytes_of(text, len), BYTES(":"), &out[*count].tag, &out[*count].value))
            return false;
        (*count)++;
    }
    return true;
}

/* The distinct values of one label over all metrics of first's name. */
static void write_values(struct json_writer *w, const struct metric *first, int label)
{
    const struct metric *m, *seen, *end = metrics + metric_count;

    for (m = first; m < end && strcmp(m->name, first->name) == 0; m++) {
        const char *value = m->labels[label].value;

        for (seen = first; seen < m && strcmp(seen->labels[label].value, value) != 0; seen++)
            ;
        if (seen == m)
            json_text(w, bytes_text(value));
    }
}

static void write_tags(struct json_writer *w, const struct metric *first)
{
    int i;

    json_key(w, "availableTags");
    json_open_array(w);
    for (i = 0; i < TAGS_MAX; i++) {
        if (!first->labels[i].tag)
            continue;
        json_open_object(w);
        json_member(w, "tag", bytes_text(first->labels[i].tag));
        json_key(w, "values");
        json_open_array(w);
        write_values(w, first, i);
        json_close_array(w);
        json_close_object(w);
    }
    json_close_array(w);
}

static void write_metric(struct json_writer *w, const struct metric *first, int64_t sum)
{
    json_open_object(w);
    json_member(w, "name", bytes_text(first->name));
    json_member(w, "description", bytes_text(first->help));
    if (first->unit)
        json_member(w, "baseUnit", bytes_text(first->unit));
    json_key(w, "measurements");
    json_open_array(w);
    json_open_object(w);
    json_member(w, "statistic", first->is_counter ? BYTES("COUNT") : BYTES("VALUE"));
    json_key(w, "value");
    json_number(w, sum);
    json_close_object(w);
    json_close_array(w);
    write_tags(w, first);
    json_close_object(w);
}

static const struct metric *find_first(struct bytes name)
{
    size_t i;

    for (i = 0; i < metric_count; i++) {
        if (bytes_equal(bytes_text(metrics[i].name), name))
            return &metrics[i];
    }
    return NULL;
}

void admin_metric(struct request *q)
{
    struct buf *out = &api_of(q->shard)->out;
    const struct metric *first = find_first(q->rest);
    struct choice choices[TAGS_MAX];
    struct json_writer w;
    size_t count = 0, met = 0, i;
    int64_t sum = 0;

    if (first && read_choices(q, choices, &count)) {
        for (i = 0; i < metric_count; i++) {
            if (!is_chosen(&metrics[i], q->rest, choices, count))
                continue;
            sum += metric_value(&metrics[i]);
            met++;
        }
    }
    if (met == 0) {
        http_reply_error(q->conn, q->head->path, 404, "there is no metric of that name and tags");
        return;
    }
    out->len = 0;
    w = json_writer(out);
    write_metric(&w, first, sum);
    http_reply_json(q->conn, 200, buf_bytes(out));
}
