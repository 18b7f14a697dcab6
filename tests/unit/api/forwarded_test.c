#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/forwarded.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct http1_field field(const char *name, const char *value)
{
    return (struct http1_field){bytes_text(name), bytes_text(value)};
}

/* What is made of one field by a server that calls itself http://own/. */
static struct own_address after(const char *name, const char *value)
{
    struct http1_field f = field(name, value);
    struct http1_request r = {.fields = &f, .field_count = 1};
    struct own_address own = {.host = BYTES("own")};

    assert_true(forwarded_is(&r));
    forwarded_read(&r, &own);
    return own;
}

static void expect(struct bytes found, const char *wanted)
{
    if (!bytes_equal(found, bytes_text(wanted)))
        fail_msg("expected \"%s\", found \"%.*s\"", wanted, (int)found.len, found.at);
}

static void the_scheme_is_one_of_two(void **state)
{
    static const char *const others[] = {
        "http", "", "htt", "ftp", "https://", "https,http", "https, https", "javascript", " https"};
    size_t i;

    (void)state;
    assert_true(after("X-Forwarded-Proto", "https").is_secure);
    assert_true(after("x-forwarded-proto", "HTTPS").is_secure);
    for (i = 0; i < COUNT(others); i++)
        assert_false(after("X-Forwarded-Proto", others[i]).is_secure);
}

static void a_tls_listener_behind_a_plain_proxy_is_plain(void **state)
{
    struct http1_field f = field("X-Forwarded-Proto", "http");
    struct http1_request r = {.fields = &f, .field_count = 1};
    struct own_address own = {.is_secure = true};

    (void)state;
    forwarded_read(&r, &own);
    assert_false(own.is_secure);
    own.is_secure = true;
    f.value = BYTES("gopher");
    forwarded_read(&r, &own);
    assert_true(own.is_secure);
}

static void hosts_are_names_or_addresses(void **state)
{
    static const char *const good[] = {"push.example.org", "push.example.org:8050", "a_b-c:1",
                                       "192.0.2.1:65535",  "[2001:db8::1]",         "[::1]:8080"};
    static const char *const bad[] = {
        "",        "a,b",    "a, b",     "a b",     "a/b",     "u@a",  "a:0",
        "a:65536", "a:",     ":80",      "a:80:80", "a:-1",    "[]",   "[::1",
        "[::1]80", "[::1]:", "[a]:1x",   "a\"b",    "a<b",     "a%41", "http://a",
        "a?b",     "a#b",    "\xc3\xa9", "a\tb",    "[::1]:0", "a;b",  "a\\b"};
    char longest[257];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++)
        expect(after("X-Forwarded-Host", good[i]).host, good[i]);
    for (i = 0; i < COUNT(bad); i++)
        expect(after("X-Forwarded-Host", bad[i]).host, "own");
    memset(longest, 'a', sizeof(longest) - 1);
    longest[256] = '\0';
    expect(after("X-Forwarded-Host", longest).host, "own");
    longest[255] = '\0';
    expect(after("X-Forwarded-Host", longest).host, longest);
}

static void prefixes_are_paths(void **state)
{
    static const char *const bad[] = {"",        "pushca",   "//evil.example", "/a//b",   "/..",
                                      "/a/../b", "/a/.",     "/a b",           "/a,/b",   "/a?b",
                                      "/a#b",    "/a%2fb",   "/a\\b",          "/a\r\nb", "/\"",
                                      "/<",      "http://a/"};
    char longest[257] = "/";
    size_t i;

    (void)state;
    expect(after("X-Forwarded-Prefix", "/pushca").prefix, "/pushca");
    expect(after("X-Forwarded-Prefix", "/pushca/").prefix, "/pushca");
    expect(after("X-Forwarded-Prefix", "/a/b-c_d.e~1").prefix, "/a/b-c_d.e~1");
    expect(after("X-Forwarded-Prefix", "/").prefix, "");
    for (i = 0; i < COUNT(bad); i++)
        expect(after("X-Forwarded-Prefix", bad[i]).prefix, "");
    memset(longest + 1, 'a', sizeof(longest) - 2);
    longest[256] = '\0';
    expect(after("X-Forwarded-Prefix", longest).prefix, "");
}

/* One of them may be what the asker itself wrote. */
static void twice_is_never(void **state)
{
    struct http1_field f[] = {field("X-Forwarded-Host", "a"), field("X-Forwarded-Host", "a"),
                              field("X-Forwarded-Proto", "https"),
                              field("X-Forwarded-Prefix", "/a"), field("x-forwarded-prefix", "/b")};
    struct http1_request r = {.fields = f, .field_count = COUNT(f)};
    struct own_address own = {.host = BYTES("own")};

    (void)state;
    forwarded_read(&r, &own);
    expect(own.host, "own");
    expect(own.prefix, "");
    assert_true(own.is_secure);
}

static void others_do_not_count(void **state)
{
    struct http1_field f[] = {field("Forwarded", "host=a;proto=https"),
                              field("X-Forwarded-For", "192.0.2.1"),
                              field("X-Real-IP", "192.0.2.1")};
    struct http1_request r = {.fields = f, .field_count = COUNT(f)};

    (void)state;
    assert_false(forwarded_is(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scheme_is_one_of_two),
        cmocka_unit_test(a_tls_listener_behind_a_plain_proxy_is_plain),
        cmocka_unit_test(hosts_are_names_or_addresses),
        cmocka_unit_test(prefixes_are_paths),
        cmocka_unit_test(twice_is_never),
        cmocka_unit_test(others_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
