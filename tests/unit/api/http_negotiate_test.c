#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/http_negotiate.h"

static struct http1_field field(const char *name, const char *value)
{
    return (struct http1_field){bytes_text(name), bytes_text(value)};
}

static bool accepts(const char *value)
{
    struct http1_field f = field("Accept", value);
    struct http1_request r = {.fields = &f, .field_count = 1};

    return http_accepts(&r, BYTES("application/json"));
}

static void test_no_accept_field_accepts_all(void **state)
{
    struct http1_request r = {.field_count = 0};

    (void)state;
    assert_true(http_accepts(&r, BYTES("application/json")));
}

static void test_ranges_that_cover_json(void **state)
{
    static const char *const yes[] = {"*/*",
                                      "application/*",
                                      "application/json",
                                      "APPLICATION/Json",
                                      "text/html, application/json",
                                      "text/html,*/*;q=0.1",
                                      "application/json;q=0.001",
                                      " application/json ; charset=utf-8 ",
                                      ""};
    static const char *const no[] = {"text/html",
                                     "text/*",
                                     "application/jsonx",
                                     "application/jso",
                                     "app/*",
                                     "*",
                                     "/",
                                     ",",
                                     "application/json;q=0",
                                     "application/json; q=0.000",
                                     "*/*;q=0",
                                     "*/json"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        assert_true(accepts(yes[i]));
    for (i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_false(accepts(no[i]));
}

static void test_several_accept_fields_add_up(void **state)
{
    struct http1_field f[] = {field("Accept", "text/html"), field("ACCEPT", "application/json")};
    struct http1_request r = {.fields = f, .field_count = 2};

    (void)state;
    assert_true(http_accepts(&r, BYTES("application/json")));
    r.field_count = 1;
    assert_false(http_accepts(&r, BYTES("application/json")));
}

static bool brings(const char *type)
{
    struct http1_field f = field("content-type", type);
    struct http1_request r = {.fields = &f, .field_count = 1};
    const char *why;

    return http_brings_json(&r, &why);
}

static void test_types_that_are_json(void **state)
{
    static const char *const yes[] = {"application/json",
                                      "application/json;charset=utf-8",
                                      "application/json; Charset=\"UTF-8\"; x=y",
                                      "application/problem+json",
                                      "Application/X+JSON",
                                      "application/json;"};
    static const char *const no[] = {"",
                                     "text/json",
                                     "application/+json",
                                     "application/xml",
                                     "application/jsonp",
                                     "application/json, application/json",
                                     "application/json; charset=latin1",
                                     "application/json; charset=",
                                     "application/json; charset=\""};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        assert_true(brings(yes[i]));
    for (i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_false(brings(no[i]));
}

static void test_two_types_or_an_encoding_are_refused(void **state)
{
    struct http1_field two[] = {field("Content-Type", "application/json"),
                                field("Content-Type", "application/json")};
    struct http1_field packed[] = {field("Content-Type", "application/json"),
                                   field("Content-Encoding", "gzip")};
    struct http1_request r = {.fields = two, .field_count = 2};
    const char *why;

    (void)state;
    assert_false(http_brings_json(&r, &why));
    r.fields = packed;
    assert_false(http_brings_json(&r, &why));
    assert_non_null(strstr(why, "Content-Encoding"));
    packed[1] = field("Content-Encoding", "identity");
    assert_true(http_brings_json(&r, &why));
}

static void test_lists_of_field_names(void **state)
{
    char name[1026];

    (void)state;
    assert_true(http_field_names_valid(BYTES("content-type, X_Custom-1")));
    assert_false(http_field_names_valid(BYTES("")));
    assert_false(http_field_names_valid(BYTES("a\r\nb: c")));
    assert_false(http_field_names_valid(BYTES("a;b")));
    memset(name, 'n', sizeof(name));
    assert_true(http_field_names_valid(bytes_of(name, 1023)));
    assert_true(http_field_names_valid(bytes_of(name, 1024)));
    assert_false(http_field_names_valid(bytes_of(name, 1025)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_accept_field_accepts_all),
        cmocka_unit_test(test_ranges_that_cover_json),
        cmocka_unit_test(test_several_accept_fields_add_up),
        cmocka_unit_test(test_types_that_are_json),
        cmocka_unit_test(test_two_types_or_an_encoding_are_refused),
        cmocka_unit_test(test_lists_of_field_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
