#include "wire/json.h"

#include <stdio.h>
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "wire/json_dom.h"
#include "wire/json_keys.h"
#include "wire/json_tape.h"
#include "wire/json_values.h"
#include "wire/json_where.h"

/* How much of a key a message shows. */
enum { SHOWN_KEY = 40 };

_Static_assert((int)JSON_DOM_PADDING <= (int)JSON_PADDING, "what json.h asks of its callers");

struct json {
    struct json_dom *dom; /* owns */
    struct json_doc doc;  /* what values point to */
    struct hash_key key;
    size_t max_depth, max_values;
};

struct json *json_new(size_t max_depth)
{
    struct json *j = mem_new(struct json);
    struct rand r;

    rand_init(&r);
    rand_fill(&r, &j->key, sizeof(j->key));
    j->max_depth = max_depth;
    j->max_values = SIZE_MAX;
    j->dom = json_dom_new(max_depth);
    return j;
}

void json_free(struct json *j)
{
    if (!j)
        return;
    json_dom_free(j->dom);
    mem_free(j);
}

void json_limit_values(struct json *j, size_t most)
{
    j->max_values = most;
}

void json_rest(struct json *j)
{
    json_dom_rest(j->dom);
}

static enum err say(struct problem *why, struct bytes text, size_t at, const char *what)
{
    size_t line, column;

    json_where_line(text, at, &line, &column);
    return problem_set(why, ERR_BAD, "line %zu, column %zu: %s", line, column, what);
}

/* Text that the parser refused, or that it took though it is too deep. */
static enum err say_fault(const struct json *j, struct bytes text, struct problem *why)
{
    struct json_fault fault;
    char what[100];

    if (!json_where(text, j->max_depth, &fault))
        return problem_set(why, ERR_BAD, "this is not JSON");
    snprintf(what, sizeof(what), "%s%s%s", fault.expected ? "expected " : "", fault.what,
             fault.expected && fault.at == text.len ? ", found the end" : "");
    return say(why, text, fault.at, what);
}

/* The text is without faults: its strings are those of the tape, in the same order. */
static enum err say_twice(const struct json *j, struct bytes text, size_t twice,
                          struct problem *why)
{
    struct bytes key = tape_string(&j->doc, twice);
    char what[100];
    size_t strings = 0;

    for (size_t at = 1; at < twice;) {
        enum tape_type t = tape_type(&j->doc, at);

        strings += t == TAPE_STRING;
        at += tape_is_number(t) ? 2 : 1;
    }
    if (key.len > SHOWN_KEY) {
        key.len = SHOWN_KEY;
        while (((unsigned char)key.at[key.len] & 0xc0) == 0x80)
            key.len--;
    }
    snprintf(what, sizeof(what), "the key \"%.*s\" is there twice", (int)key.len, key.at);
    return say(why, text, json_where_string(text, strings), what);
}

/* What simdjson does not look at. *twice as json_keys_check; 0: too deep. */
static enum err check_tree(const struct json *j, size_t *twice)
{
    const struct json_doc *doc = &j->doc;
    size_t end = tape_payload(doc, 0), depth = 0;
    enum err e = ERR_OK;

    *twice = 0;
    for (size_t at = 1; at < end && !e;) {
        enum tape_type t = tape_type(doc, at);

        if (t == TAPE_OBJECT || t == TAPE_ARRAY) {
            if (++depth > j->max_depth)
                return ERR_BAD;
            if (t == TAPE_OBJECT)
                e = json_keys_check(doc, at, &j->key, twice);
        } else if (t == TAPE_OBJECT_END || t == TAPE_ARRAY_END) {
            depth--;
        }
        at += tape_is_number(t) ? 2 : 1;
    }
    return e;
}

enum err json_parse(struct json *j, struct bytes text, struct json_value *root, struct problem *why)
{
    size_t twice = 0;
    enum err e;

    *root = (struct json_value){0};
    switch (json_excess(text, j->max_values, j->max_depth)) {
    case JSON_FITS:
        break;
    case JSON_MANY:
        return problem_set(why, ERR_BAD, "more values than pushca.limits.json-values (%zu) allows",
                           j->max_values);
    case JSON_DEEP:
        return say_fault(j, text, why);
    }
    e = text.len ? json_dom_parse(j->dom, text, &j->doc) : ERR_BAD;
    if (!e)
        e = check_tree(j, &twice);
    if (e == ERR_BAD)
        return twice ? say_twice(j, text, twice, why) : say_fault(j, text, why);
    if (e)
        return problem_set(why, e, "no memory for a JSON text of %zu bytes", text.len);
    *root = (struct json_value){&j->doc, 1};
    return ERR_OK;
}

enum json_type json_type(struct json_value v)
{
    if (!v.doc)
        return JSON_ABSENT;
    switch (tape_type(v.doc, v.at)) {
    case TAPE_OBJECT:
        return JSON_OBJECT;
    case TAPE_ARRAY:
        return JSON_ARRAY;
    case TAPE_STRING:
        return JSON_STRING;
    case TAPE_INT:
    case TAPE_UINT:
    case TAPE_DOUBLE:
        return JSON_NUMBER;
    case TAPE_TRUE:
    case TAPE_FALSE:
        return JSON_BOOL;
    case TAPE_NULL:
        return JSON_NULL;
    case TAPE_OBJECT_END:
    case TAPE_ARRAY_END:
        break;
    }
    UNREACHABLE();
}

const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {
        [JSON_ABSENT] = "nothing", [JSON_NULL] = "null",     [JSON_BOOL] = "boolean",
        [JSON_NUMBER] = "number",  [JSON_STRING] = "string", [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object",
    };

    return names[t];
}

bool json_bool(struct json_value v)
{
    return tape_type(v.doc, v.at) == TAPE_TRUE;
}

struct bytes json_string(struct json_value v)
{
    return tape_string(v.doc, v.at);
}

bool json_int(struct json_value v, int64_t *out)
{
    const struct json_doc *doc = v.doc;

    if (!doc || tape_type(doc, v.at) != TAPE_INT)
        return false;
    memcpy(out, &doc->tape[v.at + 1], sizeof(*out));
    return true;
}

/* Most members are told apart by their first bytes; behind a key on the tape is a zero. */
static bool is_named(struct bytes key, const char *name)
{
    return key.at[0] == name[0] && bytes_equal(key, bytes_text(name));
}

void json_pick(struct json_value object, const char *const names[], struct json_value out[],
               size_t count)
{
    const struct json_doc *doc = object.doc;
    size_t end;

    for (size_t i = 0; i < count; i++)
        out[i] = (struct json_value){0};
    if (json_type(object) != JSON_OBJECT)
        return;
    end = tape_behind(doc, object.at) - 1;
    for (size_t at = object.at + 1; at < end; at = tape_skip(doc, at + 1)) {
        struct bytes key = tape_string(doc, at);

        for (size_t i = 0; i < count; i++) {
            if (is_named(key, names[i])) {
                out[i] = (struct json_value){doc, at + 1};
                break;
            }
        }
    }
}

struct json_items json_items(struct json_value array)
{
    return (struct json_items){array.doc, array.at + 1, tape_behind(array.doc, array.at) - 1};
}

bool json_next(struct json_items *it, struct json_value *out)
{
    if (it->at >= it->end)
        return false;
    *out = (struct json_value){it->doc, it->at};
    it->at = tape_skip(it->doc, it->at);
    return true;
}

size_t json_count(struct json_value array)
{
    struct json_items it;
    struct json_value v;
    size_t count = tape_count(array.doc, array.at);

    if (count < TAPE_MANY)
        return count;
    count = 0;
    for (it = json_items(array); json_next(&it, &v);)
        count++;
    return count;
}
