#include "wire/json.h"

#include "unit/wire/padded.h"
#include "wire/json_where.h"

enum { ROUNDS = 2000, MUTATIONS = 20, NODES = 400, CHILDREN = 24, PARTS = 8, DEEPEST = 6 };

/* A piece of text and two ways to write it in a JSON string. */
static const struct part {
    struct bytes text, plain, escaped;
} parts[] = {
    {BYTES("a"), BYTES("a"), BYTES("\\u0061")},
    {BYTES("@@"), BYTES("@@"), BYTES("@\\u0040")},
    {BYTES("\n"), BYTES("\\n"), BYTES("\\u000A")},
    {BYTES("\0"), BYTES("\\u0000"), BYTES("\\u0000")},
    {BYTES("\""), BYTES("\\\""), BYTES("\\u0022")},
    {BYTES("\\"), BYTES("\\\\"), BYTES("\\u005c")},
    {BYTES("/"), BYTES("/"), BYTES("\\/")},
    {BYTES("\xc3\xa9"), BYTES("\xc3\xa9"), BYTES("\\u00e9")},
    {BYTES("\xe2\x82\xac"), BYTES("\xe2\x82\xac"), BYTES("\\u20AC")},
    {BYTES("\xf0\x9f\x98\x80"), BYTES("\xf0\x9f\x98\x80"), BYTES("\\uD83d\\uDE00")},
    {BYTES("{[,:]}"), BYTES("{[,:]}"), BYTES("{\\u005b,:]}")},
};

struct text {
    unsigned char part[PARTS];
    size_t count, number; /* parts, then the number in decimal: makes keys differ */
};

/* The model: what a text means, before it is written. */
struct node {
    enum json_type type;
    bool flag; /* of a boolean; of a number: a whole one */
    int64_t number;
    struct text text;
    struct text keys[CHILDREN];
    struct node *child[CHILDREN];
    size_t count;
};

struct maker {
    struct dice dice;
    struct node nodes[NODES];
    size_t used;
    struct buf out;
};

static struct text make_text(struct maker *m, size_t number)
{
    struct text t = {.count = dice_roll(&m->dice, PARTS), .number = number};

    for (size_t i = 0; i < t.count; i++)
        t.part[i] = (unsigned char)dice_roll(&m->dice, sizeof(parts) / sizeof(parts[0]));
    return t;
}

/* Levels are limited by DEEPEST, nodes by NODES. */
static struct node *make_node(struct maker *m, size_t level)
{
    static const enum json_type types[] = {JSON_NULL,   JSON_BOOL,  JSON_NUMBER, JSON_NUMBER,
                                           JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_OBJECT};
    struct node *n = &m->nodes[m->used++];

    *n = (struct node){.type = types[dice_roll(&m->dice, level < DEEPEST ? 8 : 5)]};
    n->flag = dice_roll(&m->dice, 2);
    n->number =
        (int64_t)((uint64_t)dice_roll(&m->dice, (size_t)1 << 53) << dice_roll(&m->dice, 12));
    if (dice_roll(&m->dice, 2))
        n->number = -n->number;
    n->text = make_text(m, dice_roll(&m->dice, 100));
    if (n->type != JSON_ARRAY && n->type != JSON_OBJECT)
        return n;
    for (size_t want = dice_roll(&m->dice, CHILDREN); n->count < want && m->used < NODES;) {
        n->keys[n->count] = make_text(m, n->count);
        n->child[n->count] = make_node(m, level + 1);
        n->count++;
    }
    return n;
}

static void write_space(struct maker *m)
{
    while (dice_roll(&m->dice, 4) == 0)
        buf_add_char(&m->out, " \t\r\n"[dice_roll(&m->dice, 4)]);
}

static void write_text(struct maker *m, const struct text *t)
{
    buf_add_char(&m->out, '"');
    for (size_t i = 0; i < t->count; i++) {
        const struct part *p = &parts[t->part[i]];

        buf_add(&m->out, dice_roll(&m->dice, 2) ? p->plain : p->escaped);
    }
    buf_printf(&m->out, "%zu\"", t->number);
}

static void write_node(struct maker *m, const struct node *n)
{
    bool object = n->type == JSON_OBJECT;

    write_space(m);
    if (n->type == JSON_NULL)
        buf_add(&m->out, BYTES("null"));
    if (n->type == JSON_BOOL)
        buf_add(&m->out, n->flag ? BYTES("true") : BYTES("false"));
    if (n->type == JSON_NUMBER)
        buf_printf(&m->out, n->flag ? "%lld" : "%lld.5e1", (long long)n->number);
    if (n->type == JSON_STRING)
        write_text(m, &n->text);
    if (object || n->type == JSON_ARRAY) {
        buf_add_char(&m->out, object ? '{' : '[');
        write_space(m);
        for (size_t i = 0; i < n->count; i++) {
            if (i)
                buf_add_char(&m->out, ',');
            write_space(m);
            if (object) {
                write_text(m, &n->keys[i]);
                write_space(m);
                buf_add_char(&m->out, ':');
            }
            write_node(m, n->child[i]);
        }
        buf_add_char(&m->out, object ? '}' : ']');
    }
    write_space(m);
}

static void plain_text(const struct text *t, struct buf *out)
{
    out->len = 0;
    for (size_t i = 0; i < t->count; i++)
        buf_add(out, parts[t->part[i]].text);
    buf_printf(out, "%zu", t->number);
}

static void compare(struct json_value v, const struct node *n);

/* Names given to json_pick end at a zero: members whose keys hold one are not asked for. */
static void compare_members(struct json_value v, const struct node *n)
{
    struct json_value got[CHILDREN + 1];
    const char *names[CHILDREN + 1];
    struct buf key[CHILDREN + 1] = {{0}};
    size_t asked[CHILDREN + 1], count = 0;

    for (size_t i = n->count; i-- > 0;) { /* in another order than written */
        plain_text(&n->keys[i], &key[i]);
        if (memchr(key[i].at, 0, key[i].len))
            continue;
        buf_add_char(&key[i], 0);
        names[count] = key[i].at;
        asked[count++] = i;
    }
    names[count] = "not there";
    json_pick(v, names, got, count + 1);
    for (size_t i = 0; i < count; i++)
        compare(got[i], n->child[asked[i]]);
    assert_int_equal(json_type(got[count]), JSON_ABSENT);
    for (size_t i = 0; i < n->count; i++)
        buf_fini(&key[i]);
}

static void compare(struct json_value v, const struct node *n)
{
    struct buf wanted = {0};
    struct json_items it;
    struct json_value item;
    int64_t number = 0;
    size_t i = 0;

    assert_int_equal(json_type(v), n->type);
    if (n->type == JSON_BOOL)
        assert_int_equal(json_bool(v), n->flag);
    if (n->type == JSON_NUMBER) {
        assert_int_equal(json_int(v, &number), n->flag);
        assert_true(number == (n->flag ? n->number : 0));
    }
    if (n->type == JSON_STRING) {
        plain_text(&n->text, &wanted);
        assert_text(json_string(v), buf_bytes(&wanted), "string");
    }
    if (n->type == JSON_ARRAY) {
        assert_int_equal(json_count(v), n->count);
        for (it = json_items(v); json_next(&it, &item); i++)
            compare(item, n->child[i]);
        assert_int_equal(i, n->count);
    }
    if (n->type == JSON_OBJECT)
        compare_members(v, n);
    buf_fini(&wanted);
}

/* One byte changed, added or taken out. */
static void mutate(struct dice *d, struct buf *b)
{
    static const char bytes[] = "{}[]:,\"\\u0eE.-+ \n@tfn\x01\x80\xc3\xed\xff";
    char c = bytes[dice_roll(d, sizeof(bytes))]; /* its final zero too */
    size_t at = dice_roll(d, b->len);

    switch (dice_roll(d, 3)) {
    case 0:
        b->at[at] = c;
        break;
    case 1:
        buf_add_char(b, 0);
        memmove(b->at + at + 1, b->at + at, b->len - 1 - at);
        b->at[at] = c;
        break;
    default:
        memmove(b->at + at, b->at + at + 1, b->len - 1 - at);
        b->len--;
    }
}

/* The parser and the search for the place of an error are two readers of one grammar: they agree,
   but for the few numbers that only the parser can judge, and for keys that are there twice. */
static void check_agreement(struct json *j, struct bytes text, size_t depth)
{
    struct bytes p = padded(text);
    struct json_value root;
    struct json_fault fault = {0, "", false};
    struct problem why = {0};
    enum err e = json_parse(j, p, &root, &why);
    bool found = json_where(p, depth, &fault);

    if (e == ERR_OK && found && strcmp(fault.what, "a number out of range"))
        fail_msg("taken, but %s at %zu: %.*s", fault.what, fault.at, (int)text.len, text.at);
    if (e && (strncmp(why.text, "line ", 5) || (!found && !strstr(why.text, "there twice"))))
        fail_msg("refused, %s: %.*s", why.text, (int)text.len, text.at);
    padded_free(p);
}

static void test_random_texts(void **state)
{
    struct maker *m = calloc(1, sizeof(*m));
    struct json *j = json_new(DEEPEST + 1);

    (void)state;
    assert_non_null(m);
    m->dice = dice_new("random JSON");
    for (int round = 0; round < ROUNDS; round++) {
        struct node *root;
        struct json_value v;
        struct problem why;
        struct bytes text;

        m->used = 0;
        m->out.len = 0;
        root = make_node(m, 0);
        write_node(m, root);
        text = padded(buf_bytes(&m->out));
        if (json_parse(j, text, &v, &why))
            fail_msg("%s: %.*s", why.text, (int)text.len, text.at);
        compare(v, root);
        padded_free(text);
        for (int i = 0; i < MUTATIONS && m->out.len; i++) {
            mutate(&m->dice, &m->out);
            check_agreement(j, buf_bytes(&m->out), DEEPEST + 1);
        }
    }
    json_free(j);
    buf_fini(&m->out);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
