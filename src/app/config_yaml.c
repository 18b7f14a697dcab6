#include "app/config_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "app/config_schema.h"
#include "base/check.h"
#include "base/mem.h"

/* One mapping or list being read. */
struct level {
    bool is_map, wants_key;
    int number;      /* of the mapping, in order of appearance */
    int keys;        /* of the mapping, so far */
    size_t name_len; /* of the name of the mapping itself, without a dot */
};

/* A key as it stood in its mapping: the same one twice is wrong, and so are two ways to write one
   value ("a.b: 1" beside "a: {b: 2}"), but sections written in two ways only add up. */
struct seen {
    char *name;
    int map, line;
    bool has_value; /* not a section */
};

struct reader {
    yaml_parser_t parser;
    const char *file;
    struct bytes text;
    struct properties *out;
    struct buf *errors;
    int wrong, documents, maps, values;
    bool is_over;
    struct level levels[CONFIG_DEPTH_MAX];
    int depth;
    int skipped; /* levels inside a list, whose content nobody asks for */
    struct buf list;
    struct seen *seen;
    size_t seen_len;
    size_t name_len;
    char name[CONFIG_NAME_MAX + 1]; /* of the value to come */
};

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

/* A sentence about one line ends the reading: what follows would only be guessed at. */
static void refuse(struct reader *r, int line, const char *what)
{
    buf_printf(r->errors, "%s:%d: %s%s%s\n", r->file, line, r->name_len ? r->name : "",
               r->name_len ? ": " : "", what);
    r->wrong++;
    r->is_over = true;
}

/* Characters that no YAML may have are met while reading ahead: only their offset is known. */
static size_t line_at(struct bytes text, size_t offset)
{
    size_t i, line = 1;

    for (i = 0; i < offset && i < text.len; i++)
        line += text.at[i] == '\n';
    return line;
}

static void refuse_broken(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    bool is_character = p->error == YAML_READER_ERROR;
    size_t line = is_character ? line_at(r->text, p->problem_offset) : p->problem_mark.line + 1;

    buf_printf(r->errors, "%s:%zu: broken YAML", r->file, line);
    if (!is_character)
        buf_printf(r->errors, " in column %zu", p->problem_mark.column + 1);
    buf_printf(r->errors, ": %s%s%s\n", p->context ? p->context : "", p->context ? ", " : "",
               p->problem ? p->problem : "it cannot be read");
    r->wrong++;
    r->is_over = true;
}

static struct level *top(struct reader *r)
{
    return r->depth ? &r->levels[r->depth - 1] : NULL;
}

static struct property *add(struct reader *r, int line, struct bytes text)
{
    struct buf where = {0};
    struct property *p;

    buf_printf(&where, "%s:%d", r->file, line);
    buf_add_char(&where, '\0');
    p = properties_add(r->out, bytes_of(r->name, r->name_len), text, where.at);
    buf_fini(&where);
    return p;
}

static bool has_room(struct reader *r, int line)
{
    if (r->values++ < CONFIG_VALUES_MAX)
        return true;
    r->name_len = 0;
    refuse(r, line, "the file has more than 1000 keys and list entries");
    return false;
}

static void set_name_len(struct reader *r, size_t len)
{
    r->name_len = len;
    r->name[len] = '\0';
}

static void see(struct reader *r, int map, int line)
{
    if (r->seen_len % 64 == 0)
        r->seen = mem_resize(r->seen, (r->seen_len + 64) * sizeof(*r->seen));
    r->seen[r->seen_len++] =
        (struct seen){mem_copy(bytes_of(r->name, r->name_len)), map, line, false};
}

static void on_key(struct reader *r, const yaml_event_t *event, struct bytes key)
{
    struct level *l = top(r);
    size_t dot = l->name_len ? 1 : 0;
    size_t i;

    for (i = 0; i < key.len; i++)
        if ((unsigned char)key.at[i] < ' ' || key.at[i] == 0x7f)
            return refuse(r, line_of(event), "a key has a control character");
    if (key.len == 0)
        return refuse(r, line_of(event), "a key is empty");
    if (l->name_len + dot + key.len > CONFIG_NAME_MAX)
        return refuse(r, line_of(event), "a key is longer than 255 bytes");
    if (!has_room(r, line_of(event)))
        return;
    if (dot)
        r->name[l->name_len] = '.';
    memcpy(r->name + l->name_len + dot, key.at, key.len);
    set_name_len(r, l->name_len + dot + key.len);
    l->keys++;
    l->wants_key = false;
    see(r, l->number, line_of(event));
}

/* The value of the current key is whole: the next key comes. */
static void end_value(struct reader *r)
{
    struct level *l = top(r);

    if (l && l->is_map) {
        set_name_len(r, l->name_len);
        l->wants_key = true;
    }
}

static void on_list_entry(struct reader *r, const yaml_event_t *event, struct bytes text)
{
    if (!has_room(r, line_of(event)))
        return;
    if (r->list.len + text.len > CONFIG_LIST_MAX)
        return refuse(r, line_of(event), "the list is longer than 65536 bytes");
    if (r->list.len)
        buf_add_char(&r->list, ',');
    buf_add(&r->list, text);
}

static bool is_null(const yaml_event_t *event, struct bytes text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    size_t i;

    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (bytes_equal(text, bytes_text(words[i])))
            return true;
    return false;
}

static void on_scalar(struct reader *r, const yaml_event_t *event)
{
    struct bytes text = bytes_of((const char *)event->data.scalar.value, event->data.scalar.length);
    struct level *l = top(r);

    if (text.len && memchr(text.at, '\0', text.len))
        return refuse(r, line_of(event), "a zero byte stands in a text");
    if (r->skipped)
        return;
    if (l && l->is_map && l->wants_key)
        return on_key(r, event, text);
    if (l && !l->is_map)
        return on_list_entry(r, event, text);
    if (is_null(event, text))
        text.at = NULL;
    if (!l) {
        if (text.at)
            refuse(r, line_of(event), "expected keys and values, found a text");
        return;
    }
    r->seen[r->seen_len - 1].has_value = true;
    add(r, r->seen[r->seen_len - 1].line, text);
    end_value(r);
}

static bool may_go_deeper(struct reader *r, const yaml_event_t *event)
{
    const struct level *l = top(r);

    if (r->depth + r->skipped >= CONFIG_DEPTH_MAX)
        refuse(r, line_of(event), "more than 32 levels inside each other");
    else if (!r->skipped && l && l->is_map && l->wants_key)
        refuse(r, line_of(event), "a key must be a text");
    else if (!r->skipped && !l && event->type == YAML_SEQUENCE_START_EVENT)
        refuse(r, line_of(event), "expected keys and values, found a list");
    return !r->is_over;
}

static void on_start(struct reader *r, const yaml_event_t *event)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    const struct level *l = top(r);

    if (!may_go_deeper(r, event))
        return;
    if (r->skipped || (l && !l->is_map)) {
        if (!r->skipped)
            r->out->at[r->out->len - 1].shape = PROPERTY_SECTION;
        r->skipped++;
        return;
    }
    if (!is_map) {
        r->seen[r->seen_len - 1].has_value = true;
        add(r, r->seen[r->seen_len - 1].line, bytes_of(NULL, 0))->shape = PROPERTY_LIST;
        r->list.len = 0;
    }
    r->levels[r->depth++] = (struct level){
        .is_map = is_map, .wants_key = is_map, .number = r->maps++, .name_len = r->name_len};
}

static void on_end(struct reader *r, const yaml_event_t *event)
{
    struct level *l = top(r);

    if (r->skipped) {
        r->skipped--;
        return;
    }
    if (l->is_map && l->keys == 0 && r->depth > 1)
        add(r, line_of(event), bytes_of(NULL, 0))->shape = PROPERTY_SECTION;
    if (!l->is_map) {
        struct property *p = &r->out->at[r->out->len - 1];

        if (p->shape == PROPERTY_LIST && r->list.len)
            p->text = mem_copy(buf_bytes(&r->list));
    }
    r->depth--;
    end_value(r);
}

/* What makes a text mean more than it says. */
static const char *extra_of(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (event->type == YAML_ALIAS_EVENT)
        return "aliases (*name) are not read here";
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    if (anchor)
        return "anchors (&name) are not read here";
    return tag ? "tags (!name) are not read here" : NULL;
}

static void on_event(struct reader *r, const yaml_event_t *event)
{
    const char *extra = extra_of(event);

    if (extra)
        return refuse(r, line_of(event), extra);
    if (event->type == YAML_SCALAR_EVENT)
        on_scalar(r, event);
    else if (event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT)
        on_start(r, event);
    else if (event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT)
        on_end(r, event);
    else if (event->type == YAML_DOCUMENT_START_EVENT && r->documents++)
        refuse(r, line_of(event), "a second document begins: only one is read");
    else if (event->type == YAML_STREAM_END_EVENT)
        r->is_over = true;
}

static void read_events(struct reader *r)
{
    yaml_event_t event;

    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text.at, r->text.len);
    while (!r->is_over) {
        if (!yaml_parser_parse(&r->parser, &event)) {
            refuse_broken(r);
            return;
        }
        on_event(r, &event);
        yaml_event_delete(&event);
    }
}

static int by_name(const void *left, const void *right)
{
    const struct seen *a = left, *b = right;
    int order = strcmp(a->name, b->name);

    if (order == 0)
        order = a->map - b->map;
    return order ? order : a->line - b->line;
}

static void check_repeats(struct reader *r)
{
    const struct seen *value = NULL; /* the last one with a value */
    size_t i;

    if (r->seen_len == 0)
        return;
    qsort(r->seen, r->seen_len, sizeof(*r->seen), by_name);
    for (i = 0; i < r->seen_len; i++) {
        const struct seen *s = &r->seen[i], *before = i ? s - 1 : NULL;
        const struct seen *twin = NULL;

        if (before && strcmp(before->name, s->name) == 0 && before->map == s->map)
            twin = before;
        else if (value && s->has_value && strcmp(value->name, s->name) == 0)
            twin = value;
        if (twin) {
            buf_printf(r->errors,
                       "%s:%d: %s: expected this key once, it stands in line %d as well\n", r->file,
                       s->line > twin->line ? s->line : twin->line, s->name,
                       s->line > twin->line ? twin->line : s->line);
            r->wrong++;
        }
        if (s->has_value)
            value = s;
    }
}

int config_yaml_read(struct bytes text, const char *file, struct properties *out,
                     struct buf *errors)
{
    struct reader r = {.file = file, .text = text, .out = out, .errors = errors};
    size_t i;

    if (bytes_starts(text, BYTES("\xef\xbb\xbf"))) /* byte order mark of UTF-8 */
        r.text = bytes_of(text.at + 3, text.len - 3);
    CHECK(yaml_parser_initialize(&r.parser));
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    read_events(&r);
    check_repeats(&r);
    for (i = 0; i < r.seen_len; i++)
        mem_free(r.seen[i].name);
    mem_free(r.seen);
    if (r.list.at)
        explicit_bzero(r.list.at, r.list.cap);
    buf_fini(&r.list);
    yaml_parser_delete(&r.parser);
    return r.wrong;
}
