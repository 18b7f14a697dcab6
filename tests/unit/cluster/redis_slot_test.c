#include "cluster/redis_slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void known_keys_have_known_slots(void **state)
{
    static const struct {
        const char *key;
        uint16_t slot;
    } known[] = {
        {"123456789", 0x31c3}, /* the check value of CRC-16/XMODEM */
        {"", 0},
        {"foo", 12182},
        {"bar", 5061},
        {"hello", 866},
        {"somekey", 11058},
        {"foo{hash_tag}", 2515},
        {"bar{hash_tag}", 2515},
        {"hash_tag", 2515},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        assert_int_equal(redis_slot(bytes_text(known[i].key)), known[i].slot);
}

static void only_what_is_in_the_first_braces_counts(void **state)
{
    static const char *const same[][2] = {
        {"{user1000}.following", "user1000"},
        {"{user1000}.followers", "user1000"},
        {"foo{{bar}}zap", "{bar"},
        {"foo{bar}{zap}", "bar"},
        {"}{a}", "a"},
        {"x{a", "x{a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
        assert_int_equal(redis_slot(bytes_text(same[i][0])), redis_slot(bytes_text(same[i][1])));
    /* An empty tag is none: the whole key counts. */
    assert_int_not_equal(redis_slot(BYTES("foo{}{bar}")), redis_slot(BYTES("bar")));
    assert_int_not_equal(redis_slot(BYTES("{}")), 0);
    assert_int_equal(redis_slot(bytes_of(NULL, 0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_keys_have_known_slots),
        cmocka_unit_test(only_what_is_in_the_first_braces_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
