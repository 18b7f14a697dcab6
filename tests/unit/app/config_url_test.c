#include "app/config_url.h"

#include "unit/app/load.h"

static void good_urls_pass(void **state)
{
    static const char *const good[] = {
        "ws://h",       "ws://h/",          "wss://h:1",       "ws://h:65535/a/b/",
        "ws://1.2.3.4", "ws://[::1]:8883/", "ws://[fe80::1]",  "wss://push.example.org/x-y~z%20",
        "ws://a-b.c:8", "ws://H.example/",  "ws://xn--4ca.de/"};
    struct problem why;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++)
        if (config_url_check(bytes_text(good[i]), "ws://", "wss://", &why))
            fail_msg("%s %s", good[i], why.text);
}

static void bad_urls_are_told_why(void **state)
{
    static const struct {
        const char *url, *why;
    } bad[] = {
        {"", "does not begin with ws:// or wss://"},
        {"ws:/h", "does not begin with"},
        {"WS://h", "does not begin with"},
        {"http://h", "does not begin with"},
        {"h:8883", "does not begin with"},
        {"ws://", "has no host"},
        {"ws:///a", "has no host"},
        {"ws://:80/", "has no host"},
        {"ws://a_b:80/", "'_'"},
        {"ws://-a/", "begins with '-'"},
        {"ws://.a/", "begins with '.'"},
        {"ws://a b/", "no URL may have"},
        {"ws://a/\"", "no URL may have"},
        {"ws://a/<x>", "no URL may have"},
        {"ws://a/\n", "no URL may have"},
        {"ws://\xc3\xa4/", "no URL may have"},
        {"ws://a!b/", "has a character in its host"},
        {"ws://u:p@h/", "'@'"},
        {"ws://h/?q", "'?'"},
        {"ws://h/#f", "'#'"},
        {"ws://h:/", "no port"},
        {"ws://h:0/", "no port"},
        {"ws://h:65536/", "no port"},
        {"ws://h:8x/", "no port"},
        {"ws://h:123456/", "no port"},
        {"ws://::1/", "no host"},
        {"ws://[::1/", "brackets"},
        {"ws://[]/", "brackets"},
        {"ws://[1.2.3.4]/", "brackets"},
        {"ws://[::1]x/", "after its ']'"},
        {"ws://[::1]:/", "no port"},
    };
    struct problem why;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        why.text[0] = '\0';
        assert_int_equal(config_url_check(bytes_text(bad[i].url), "ws://", "wss://", &why),
                         ERR_BAD);
        if (!strstr(why.text, bad[i].why))
            fail_msg("%s: expected %s, found %s", bad[i].url, bad[i].why, why.text);
    }
}

static void lengths_are_bounded(void **state)
{
    char text[2100] = "ws://h/";
    struct problem why;
    size_t len;

    (void)state;
    memset(text + 7, 'a', sizeof(text) - 7);
    for (len = 2047; len <= 2049; len++)
        assert_int_equal(config_url_check(bytes_of(text, len), "ws://", "wss://", &why),
                         len > 2048 ? ERR_BAD : ERR_OK);
    memset(text + 5, 'a', 300);
    for (len = 252; len <= 254; len++)
        assert_int_equal(config_url_check(bytes_of(text, 5 + len), "ws://", "wss://", &why),
                         len > 253 ? ERR_BAD : ERR_OK);
}

static void origins_have_scheme_and_host_alone(void **state)
{
    static const char *const good[] = {"https://a.example", "http://a:81", "null",
                                       "chrome-extension://abcdef", "http://[::1]:3000"};
    static const char *const bad[] = {"",           "a.example", "://a",      "https://",
                                      "https://a/", "https:a",   "h ttp://a", "http://a_b",
                                      "http://a:0", "*"};
    struct problem why;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++)
        assert_int_equal(config_origin_check(bytes_text(good[i]), &why), ERR_OK);
    for (i = 0; i < COUNT(bad); i++)
        assert_int_equal(config_origin_check(bytes_text(bad[i]), &why), ERR_BAD);
}

static void lists_of_networks(void **state)
{
    struct load l = {.file = "pushca.pusher.trusted-proxies: [10.0.0.0/8, '::1']\n"};
    struct load none = {.sets = {NULL}};

    (void)state;
    load_run(&l);
    assert_string_equal(l.s->proxies[0], "10.0.0.0/8");
    assert_string_equal(l.s->proxies[1], "::1");
    assert_null(l.s->proxies[2]);
    load_fini(&l);
    load_run(&none);
    assert_null(none.s->proxies);
    load_fini(&none);
    REFUSED("found \"10.0.0.1/8\": it has an entry that is neither an address "
            "nor a network",
            .sets = {"pushca.pusher.trusted-proxies=10.0.0.1/8", NULL});
    REFUSED("expected a list of addresses and networks such as 10.0.0.0/8, found ",
            .sets = {"pushca.pusher.trusted-proxies=proxy.example", NULL});
    REFUSED("found nothing", .file = "pushca.pusher.trusted-proxies: []\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_pass),      cmocka_unit_test(bad_urls_are_told_why),
        cmocka_unit_test(lengths_are_bounded), cmocka_unit_test(origins_have_scheme_and_host_alone),
        cmocka_unit_test(lists_of_networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
