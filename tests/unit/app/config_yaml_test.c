#include "app/config_yaml.h"

#include <time.h>
#include "base/mem.h"
#include "unit/app/load.h"

/* What came out, as "name=text@line|", a list as [..], a section as {}; then the errors. */
static char *read_text(struct bytes text)
{
    struct properties found = {0};
    struct buf out = {0}, errors = {0};
    size_t i;
    int wrong = config_yaml_read(text, "f", &found, &errors), lines = 0;

    for (i = 0; i < found.len; i++) {
        const struct property *p = &found.at[i];
        const char *value = p->text ? p->text : p->shape == PROPERTY_VALUE ? "null" : "";

        assert_memory_equal(p->where, "f:", 2);
        buf_printf(&out, "%s=%s%s%s@%s|", p->name,
                   p->shape == PROPERTY_LIST      ? "["
                   : p->shape == PROPERTY_SECTION ? "{"
                                                  : "",
                   value,
                   p->shape == PROPERTY_LIST      ? "]"
                   : p->shape == PROPERTY_SECTION ? "}"
                                                  : "",
                   p->where + 2);
    }
    for (i = 0; i < errors.len; i++)
        lines += errors.at[i] == '\n';
    assert_int_equal(lines, wrong);
    buf_add(&out, buf_bytes(&errors));
    buf_add_char(&out, '\0');
    buf_fini(&errors);
    properties_fini(&found);
    return out.at;
}

static void expect(const char *text, const char *wanted)
{
    char *found = read_text(bytes_text(text));

    assert_string_equal(found, wanted);
    mem_free(found);
}

static void expect_part(const char *text, const char *wanted)
{
    char *found = read_text(bytes_text(text));

    if (!strstr(found, wanted))
        fail_msg("expected: %s\nfound: %s", wanted, found);
    mem_free(found);
}

static void nested_and_dotted_keys_mix(void **state)
{
    (void)state;
    expect("a: 1\n", "a=1@1|");
    expect("a:\n  b.c:\n    d: x\n  e: y\nf.g: z\n", "a.b.c.d=x@3|a.e=y@4|f.g=z@5|");
    expect("a: {b: {c: 1}, d.e: 2}\n", "a.b.c=1@1|a.d.e=2@1|");
    expect("a.b: 1\na:\n  c: 2\na.d: {e: 3}\n", "a.b=1@1|a.c=2@3|a.d.e=3@4|");
    expect("? a\n: b\n", "a=b@1|");
}

static void every_scalar_style_is_a_text(void **state)
{
    (void)state;
    expect("a: 'x: y'\nb: \"q\\t\\u00e4\"\nc: |\n  l1\n  l2\nd: >-\n  f1\n  f2\n",
           "a=x: y@1|b=q\t\xc3\xa4@2|c=l1\nl2\n@3|d=f1 f2@6|");
    expect("a: true\nb: 0x10\nc: 010\n", "a=true@1|b=0x10@2|c=010@3|");
    expect("a: ~\nb:\nc: null\nd: ''\ne: 'null'\n", "a=null@1|b=null@2|c=null@3|d=@4|e=null@5|");
    expect("\"a\": 1 # remark\n# remark\n'b.c': 2\n", "a=1@1|b.c=2@3|");
}

static void lists_keep_their_entries(void **state)
{
    (void)state;
    expect("a: [x, y]\nb:\n- 1\n- '2'\nc: []\n", "a=[x,y]@1|b=[1,2]@2|c=[]@5|");
    expect("a: [x, {b: [c, d]}, [e]]\nf: 1\n", "a={}@1|f=1@2|");
    expect("a:\n- b: 1\n  c: 2\n- d\ne: 1\n", "a={}@1|e=1@5|");
    expect("a: {}\nb: {c: {}}\n", "a={}@1|b.c={}@2|");
}

static void nothing_is_fine(void **state)
{
    (void)state;
    expect("", "");
    expect("# only a remark\n", "");
    expect("---\n", "");
    expect("---\na: 1\n...\n", "a=1@2|");
    expect("\xef\xbb\xbf"
           "a: 1\n",
           "a=1@1|");
    expect("\xef\xbb\xbf", "");
    expect("{}", "");
}

static void what_is_no_mapping_is_refused(void **state)
{
    (void)state;
    expect("hello\n", "f:1: expected keys and values, found a text\n");
    expect("- a\n", "f:1: expected keys and values, found a list\n");
    expect("[a]: 1\n", "f:1: a key must be a text\n");
    expect("a: 1\n? {b: c}\n: 2\n", "a=1@1|f:2: a key must be a text\n");
    expect("'': 1\n", "f:1: a key is empty\n");
    expect("\"a\\n\": 1\n", "f:1: a key has a control character\n");
}

static void broken_yaml_has_a_line(void **state)
{
    (void)state;
    expect_part("a: 1\n b: 2\n", "f:2: broken YAML in column 3: ");
    expect_part("a: [1, 2\n", "f:2: broken YAML in column 1: ");
    expect_part("a: 'x\n", "broken YAML");
    expect_part("a: 1\nb: \xff\n", "f:2: broken YAML: invalid leading UTF-8 octet");
    expect_part("a: 1\n\nb: \x01\n", "f:3: broken YAML: control characters");
    expect_part("a:\tb: c\n", "broken YAML");
    expect_part("a: 1\n}\n", "f:2: broken YAML");
    expect_part("%YAML 9.0\n---\na: 1\n", "f:1: broken YAML");
}

static void what_means_more_than_it_says_is_refused(void **state)
{
    (void)state;
    expect("a: &x 1\n", "f:1: a: anchors (&name) are not read here\n");
    expect("a: &x {b: 1}\n", "f:1: a: anchors (&name) are not read here\n");
    expect("a: &x [1]\n", "f:1: a: anchors (&name) are not read here\n");
    expect("a: *x\n", "f:1: a: aliases (*name) are not read here\n");
    expect("a: !!str 1\n", "f:1: a: tags (!name) are not read here\n");
    expect("a: !b {c: 1}\n", "f:1: a: tags (!name) are not read here\n");
    expect("a: [[&x 1]]\n", "a={}@1|f:1: a: anchors (&name) are not read here\n");
    expect("a: 1\n---\nb: 2\n", "a=1@1|f:2: a second document begins: only one is read\n");
    expect("a: \"x\\0y\"\n", "f:1: a: a zero byte stands in a text\n");
}

static void a_key_stands_once(void **state)
{
    (void)state;
    expect_part("a: 1\nb: 2\na: 3\n",
                "f:3: a: expected this key once, it stands in line 1 as well\n");
    expect_part("a.b: 1\na:\n  b: 2\n", "f:3: a.b: expected this key once, it stands in line 1");
    expect_part("a:\n  b: 2\na.b: 1\n", "f:3: a.b: expected this key once, it stands in line 2");
    expect_part("a:\n  b: 1\na:\n  c: 2\n", "f:3: a: expected this key once, it stands in line 1");
    expect_part("a:\na: {b: 1}\n", "f:2: a: expected this key once");
    expect_part("a: [1]\na: [2]\n", "f:2: a: expected this key once");
    expect_part("a: 1\na: 1\na: 1\n", "f:3: a: expected this key once, it stands in line 2");
    expect("a.b: {c: 1}\na: {b.d: 2, b: {e: 3}}\n", "a.b.c=1@1|a.b.d=2@2|a.b.e=3@2|");
}

static char *repeated(const char *one, int times, const char *end)
{
    struct buf b = {0};

    while (times--)
        buf_add(&b, bytes_text(one));
    buf_add(&b, bytes_text(end));
    buf_add_char(&b, '\0');
    return b.at;
}

/* n levels: open n - 1 times inside a mapping, and closed again. */
static char *levels(const char *open, const char *close, int n)
{
    char *opens = repeated(open, n - 1, ""), *closes = repeated(close, n - 1, "\n");
    struct buf b = {0};

    buf_printf(&b, "k: %s1%s", opens, closes);
    buf_add_char(&b, '\0');
    mem_free(opens);
    mem_free(closes);
    return b.at;
}

static void levels_are_bounded(void **state)
{
    static const int depths[] = {31, 32, 33, 200, 100000};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(depths); i++) {
        char *maps = levels("{a: ", "}", depths[i]), *lists = levels("[", "]", depths[i]);
        char *of_maps = read_text(bytes_text(maps)), *of_lists = read_text(bytes_text(lists));
        static const char says[] = "f:1: ";

        assert_int_equal(strstr(of_maps, says) != NULL, depths[i] > 32);
        assert_int_equal(strstr(of_lists, says) != NULL, depths[i] > 32);
        if (depths[i] > 32) {
            assert_non_null(strstr(of_maps, "more than 32 levels inside each other"));
            assert_non_null(strstr(of_lists, "more than 32 levels inside each other"));
        }
        mem_free(of_maps);
        mem_free(of_lists);
        mem_free(maps);
        mem_free(lists);
    }
}

static char *keys(int count)
{
    struct buf b = {0};
    int i;

    for (i = 0; i < count; i++)
        buf_printf(&b, "k%d: 1\n", i);
    buf_add_char(&b, '\0');
    return b.at;
}

static void keys_and_entries_are_bounded(void **state)
{
    int n;

    (void)state;
    for (n = 999; n <= 1001; n++) {
        char *text = keys(n), *list = repeated("- 1\n", n - 1, ""), *found;
        struct buf b = {0};

        found = read_text(bytes_text(text));
        assert_int_equal(strstr(found, "more than 1000 keys and list entries") != NULL, n > 1000);
        mem_free(found);
        buf_printf(&b, "a:\n%s", list);
        found = read_text(buf_bytes(&b));
        assert_int_equal(strstr(found, "more than 1000 keys and list entries") != NULL, n > 1000);
        mem_free(found);
        mem_free(text);
        mem_free(list);
        buf_fini(&b);
    }
}

static void names_are_bounded(void **state)
{
    int n;

    (void)state;
    for (n = 254; n <= 256; n++) {
        char *text = repeated("k", n, ": 1\n"), *found = read_text(bytes_text(text));
        struct buf b = {0};

        assert_int_equal(strstr(found, "a key is longer than 255 bytes") != NULL, n > 255);
        mem_free(found);
        buf_printf(&b, "k: {%.*s: 1}\n", n - 2, text);
        found = read_text(buf_bytes(&b));
        assert_int_equal(strstr(found, "a key is longer than 255 bytes") != NULL, n > 255);
        mem_free(found);
        mem_free(text);
        buf_fini(&b);
    }
}

static void lists_are_bounded_in_bytes(void **state)
{
    int n;

    (void)state;
    for (n = 65535; n <= 65537; n++) {
        char *entry = repeated("k", n, "]"), *found;
        struct buf b = {0};

        buf_printf(&b, "a: [%s", entry);
        found = read_text(buf_bytes(&b));
        assert_int_equal(strstr(found, "the list is longer than 65536 bytes") != NULL, n > 65536);
        mem_free(found);
        mem_free(entry);
        buf_fini(&b);
    }
}

static void any_bytes_are_read_or_refused(void **state)
{
    static const char sample[] = "management:\n  endpoint.health.show-details: always\n"
                                 "pushca:\n  pusher: {a: [1, 'x'], b: \"\\t\"}\n  c: |\n    text\n"
                                 "  d: &e !f *g\n---\n? h\n: ~\n";
    static const char odd[] = "{}[]:,-?#&*!|>'\"%@` \n\t\\~\0\xff\xef\xbb\xbf<=";
    unsigned seed = (unsigned)time(NULL);
    int round;

    (void)state;
    print_message("seed %u\n", seed);
    for (round = 0; round < 20000; round++) {
        size_t len = (size_t)rand_r(&seed) % sizeof(sample), i;
        char *text = malloc(len + 1);

        assert_non_null(text);
        memcpy(text, sample, len);
        for (i = (size_t)rand_r(&seed) % 6; len && i > 0; i--)
            text[(size_t)rand_r(&seed) % len] = odd[(size_t)rand_r(&seed) % sizeof(odd)];
        mem_free(read_text(bytes_of(text, len)));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_and_dotted_keys_mix),
        cmocka_unit_test(every_scalar_style_is_a_text),
        cmocka_unit_test(lists_keep_their_entries),
        cmocka_unit_test(nothing_is_fine),
        cmocka_unit_test(what_is_no_mapping_is_refused),
        cmocka_unit_test(broken_yaml_has_a_line),
        cmocka_unit_test(what_means_more_than_it_says_is_refused),
        cmocka_unit_test(a_key_stands_once),
        cmocka_unit_test(levels_are_bounded),
        cmocka_unit_test(keys_and_entries_are_bounded),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(lists_are_bounded_in_bytes),
        cmocka_unit_test(any_bytes_are_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
