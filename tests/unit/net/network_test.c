#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/network.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool reads(const char *text)
{
    struct network n;

    return network_read(bytes_text(text), &n);
}

static void networks_are_read_strictly(void **state)
{
    static const char *const good[] = {
        "127.0.0.1", "10.0.0.0/8", "0.0.0.0/0",     "1.2.3.4/32", "::1",
        "::/0",      "fe80::/10",  "2001:db8::/33", "::1/128",    "::ffff:10.0.0.0/104"};
    static const char *const bad[] = {"",
                                      "/",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.0/-1",
                                      "10.0.0.1/8",
                                      "10.0.0.0/08",
                                      "10.0.0/8",
                                      "010.0.0.0/8",
                                      "::/129",
                                      "::1/64",
                                      "::1/1280",
                                      "localhost",
                                      "10.0.0.0/8/8",
                                      " 10.0.0.1",
                                      "10.0.0.1 ",
                                      "fe80::1%lo",
                                      "[::1]",
                                      "1.2.3.4:80",
                                      "10.0.0.0/8x",
                                      "10.0.0.0/+8",
                                      "::ffff:1.2.3.4.5/128"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++)
        assert_true(reads(good[i]));
    for (i = 0; i < COUNT(bad); i++)
        if (reads(bad[i]))
            fail_msg("taken: %s", bad[i]);
    assert_false(network_read(BYTES("1.2.3.4\0/8"), &(struct network){.bits = 0}));
}

static void members_begin_alike(void **state)
{
    static const struct {
        const char *network, *address;
        bool has;
    } table[] = {
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"192.168.1.4/30", "192.168.1.7", true},
        {"192.168.1.4/30", "192.168.1.8", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "203.0.113.9", true}, /* all there are */
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
    };
    struct network n, one;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        assert_true(network_read(bytes_text(table[i].network), &n));
        assert_true(network_read(bytes_text(table[i].address), &one));
        if (network_has(&n, &one.first) != table[i].has)
            fail_msg("%s and %s", table[i].network, table[i].address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_are_read_strictly),
        cmocka_unit_test(members_begin_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
