/* json - takes what a naive reader takes, with the same meaning; and what the writer makes of that
 * means the same once more. */
#include "wire/json.h"

#include "input.h"
#include "json/naive.h"
#include "wire/json_write.h"
#include "wire/utf8.h"

enum { DEPTH = 8 };

static void compare(struct json_value v, const struct node *n);

static bool has_zero(const struct buf *key)
{
    return key->len && memchr(key->at, 0, key->len);
}

/* Names given to json_pick end at a zero: a key that holds one cannot be asked for. */
static void compare_members(struct json_value v, const struct node *n)
{
    for (size_t i = 0; i < n->count; i++) {
        struct buf name = {0};
        const char *names[2] = {"not there, whatever came", NULL};
        struct json_value got[2];

        if (has_zero(&n->key[i]))
            continue;
        buf_add(&name, buf_bytes(&n->key[i]));
        buf_add_char(&name, '\0');
        names[1] = name.at;
        json_pick(v, names, got, 2);
        MUST(json_type(got[0]) == JSON_ABSENT);
        compare(got[1], n->child[i]);
        buf_fini(&name);
    }
}

static void compare_items(struct json_value v, const struct node *n)
{
    struct json_items it = json_items(v);
    struct json_value item;
    size_t i = 0;

    MUST(json_count(v) == n->count);
    for (; json_next(&it, &item); i++) {
        MUST(i < n->count);
        compare(item, n->child[i]);
    }
    MUST(i == n->count);
}

static void compare(struct json_value v, const struct node *n)
{
    int64_t number = 0;

    MUST(json_type(v) == n->type);
    if (n->type == JSON_BOOL) {
        MUST(json_bool(v) == n->flag);
    } else if (n->type == JSON_NUMBER) {
        MUST(json_int(v, &number) == n->whole);
        MUST(number == n->number);
    } else if (n->type == JSON_STRING) {
        MUST(bytes_equal(json_string(v), buf_bytes(&n->text)));
    } else if (n->type == JSON_ARRAY) {
        compare_items(v, n);
    } else if (n->type == JSON_OBJECT) {
        compare_members(v, n);
    }
}

static bool may_be_written(const struct node *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->type == JSON_OBJECT && has_zero(&n->key[i]))
            return false;
    return true;
}

static void write(struct json_writer *w, const struct node *n)
{
    bool object = n->type == JSON_OBJECT;

    if (n->type == JSON_NULL) {
        json_null(w);
    } else if (n->type == JSON_BOOL) {
        json_flag(w, n->flag);
    } else if (n->type == JSON_NUMBER && n->whole) {
        json_number(w, n->number);
    } else if (n->type == JSON_NUMBER) {
        json_real(w, 0.5);
    } else if (n->type == JSON_STRING) {
        json_text(w, buf_bytes(&n->text));
    } else if (!may_be_written(n)) {
        json_open_object(w);
        json_close_object(w);
    } else {
        (object ? json_open_object : json_open_array)(w);
        for (size_t i = 0; i < n->count; i++) {
            struct buf name = {0};

            buf_add(&name, buf_bytes(&n->key[i]));
            buf_add_char(&name, '\0');
            if (object)
                json_key(w, name.at);
            write(w, n->child[i]);
            buf_fini(&name);
        }
        (object ? json_close_object : json_close_array)(w);
    }
}

/* The parser's answer to text, which lies in memory of its own. */
static enum err parse(struct json *j, struct bytes text, char **piece, struct json_value *root)
{
    struct problem why = {.code = ERR_OK, .text = ""};
    enum err e;

    *piece = piece_new(text, JSON_PADDING);
    e = json_parse(j, bytes_of(*piece, text.len), root, &why);
    if (e) {
        MUST(why.code == e && why.text[0] != '\0');
        MUST(utf8_valid(bytes_text(why.text)));
    }
    return e;
}

static void write_and_compare(struct json *j, const struct node *n)
{
    struct buf out = {0}, again = {0};
    struct json_writer w = json_writer(&out);
    struct json_value root;
    struct node *same;
    char *piece;

    write(&w, n);
    MUST(!memmem(out.at, out.len, "@@", 2));
    MUST(parse(j, buf_bytes(&out), &piece, &root) == ERR_OK);
    same = naive_read(buf_bytes(&out), DEPTH);
    MUST(same);
    compare(root, same);
    w = json_writer(&again);
    write(&w, same);
    MUST(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
    naive_free(same);
    piece_free(piece);
    buf_fini(&out);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json *j;
    struct bytes text = bytes_of((const char *)data, size);
    struct node *n = naive_read(text, DEPTH);
    struct json_value root;
    char *piece;

    if (!j)
        j = json_new(DEPTH);
    MUST((parse(j, text, &piece, &root) == ERR_OK) == (n != NULL));
    if (n) {
        compare(root, n);
        write_and_compare(j, n);
    }
    piece_free(piece);
    naive_free(n);
    return 0;
}
