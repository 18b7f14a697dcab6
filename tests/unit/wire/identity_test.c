#include "wire/identity.h"

#include "unit/wire/split.h"

static struct identity whole(void)
{
    return (struct identity){{BYTES("ws"), BYTES("bob"), BYTES("phone"), BYTES("app")}};
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(dimension_name(WORKSPACE), "workSpaceId");
    assert_string_equal(dimension_name(ACCOUNT), "accountId");
    assert_string_equal(dimension_name(DEVICE), "deviceId");
    assert_string_equal(dimension_name(APPLICATION), "applicationId");
}

static void test_equal_only_when_all_four_are(void **state)
{
    char copy[] = "bob";
    struct identity a = whole(), b = whole();

    (void)state;
    b.dim[ACCOUNT] = bytes_text(copy); /* by bytes, not by address */
    assert_true(identity_equal(&a, &b));
    for (int d = 0; d < DIMENSIONS; d++) {
        b = whole();
        b.dim[d] = BYTES("other");
        assert_false(identity_equal(&a, &b));
        b.dim[d] = bytes_of(a.dim[d].at, a.dim[d].len - 1);
        assert_false(identity_equal(&a, &b));
        assert_false(identity_equal(&b, &a));
    }
    b = whole();
    b.dim[DEVICE] = BYTES("Phone"); /* case counts */
    assert_false(identity_equal(&a, &b));
}

static void test_direct_only_when_all_four_are_given(void **state)
{
    struct filter f = {.like = whole()};

    (void)state;
    assert_true(filter_is_direct(&f));
    for (int d = 0; d < DIMENSIONS; d++) {
        f.like = whole();
        f.like.dim[d] = (struct bytes){0};
        assert_false(filter_is_direct(&f));
    }
    f.like = (struct identity){0};
    assert_false(filter_is_direct(&f));
}

static void test_plain_means_no_control_character(void **state)
{
    (void)state;
    assert_true(dimension_is_plain((struct bytes){0}));
    for (unsigned c = 0; c < 0x80; c++) {
        char text[] = {'a', (char)c, 'b'};

        assert_int_equal(dimension_is_plain(bytes_of(text, 3)), c >= 0x20 && c != 0x7f);
        assert_int_equal(dimension_is_plain(bytes_of(text, 2)), c >= 0x20 && c != 0x7f);
    }
    for (unsigned c = 0x80; c < 0x800; c++) {
        char text[] = {'a', (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)), 'b'};

        assert_int_equal(dimension_is_plain(bytes_of(text, 4)), c >= 0xa0);
        assert_int_equal(dimension_is_plain(bytes_of(text, 3)), c >= 0xa0);
    }
    assert_true(dimension_is_plain(BYTES("\xe2\x82\x80 \xf0\x9f\x98\x80")));
}

/* The definition, a byte at a time. */
static bool has_control(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)at[i];

        if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < len && (unsigned char)at[i + 1] < 0xa0))
            return true;
    }
    return false;
}

/* Any byte at any place of any length up to some words, and every pair of bytes across their edges:
   eight are looked at together. */
static void test_plain_at_every_place(void **state)
{
    enum { LONGEST = 26 };
    char text[LONGEST];

    (void)state;
    for (size_t len = 1; len <= LONGEST; len++) {
        for (size_t at = 0; at < len; at++) {
            memset(text, 'x', sizeof(text));
            for (unsigned c = 0; c < 0x100; c++) {
                text[at] = (char)c;
                assert_int_equal(dimension_is_plain(bytes_of(text, len)), !has_control(text, len));
            }
        }
    }
    memset(text, 'x', sizeof(text));
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        text[15] = (char)(pair >> 8);
        text[16] = (char)pair;
        assert_int_equal(dimension_is_plain(bytes_of(text, 24)), !has_control(text, 24));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_equal_only_when_all_four_are),
        cmocka_unit_test(test_direct_only_when_all_four_are_given),
        cmocka_unit_test(test_plain_means_no_control_character),
        cmocka_unit_test(test_plain_at_every_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
