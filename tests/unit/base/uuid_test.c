#include "dice.h"
#include "base/uuid.h"

enum { DRAWS = 2000 };

/* The 16 bytes again; fails on anything but the shape of RFC 9562, section 4. */
static void parse(const char text[UUID_TEXT + 1], unsigned char out[16])
{
    static const char digits[] = "0123456789abcdef";
    int i, n = 0;

    assert_int_equal(strlen(text), UUID_TEXT);
    for (i = 0; i < UUID_TEXT; i++) {
        const char *digit = strchr(digits, text[i]);

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            assert_int_equal(text[i], '-');
            continue;
        }
        assert_non_null(digit);
        out[n / 2] = (unsigned char)(n % 2 ? out[n / 2] | (digit - digits) : (digit - digits) << 4);
        n++;
    }
    assert_int_equal(n, 32);
}

static int64_t milliseconds(const unsigned char b[16])
{
    int64_t ms = 0;
    int i;

    for (i = 0; i < 6; i++)
        ms = ms << 8 | b[i];
    return ms;
}

static void laid_out_as_version_7(void **state)
{
    static const int64_t times[] = {0, 1, 0xff, 0x0123456789ab, 1795460400123, 0xffffffffffff};
    struct rand r;
    size_t i;

    (void)state;
    rand_init(&r);
    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char text[UUID_TEXT + 2] = {0};
        unsigned char b[16];

        text[UUID_TEXT + 1] = '!'; /* behind the end: not ours to write */
        uuid7_write(text, times[i], &r);
        assert_int_equal(text[UUID_TEXT + 1], '!');
        parse(text, b);
        assert_int_equal(milliseconds(b), times[i]);
        assert_int_equal(b[6] >> 4, 7);
        assert_int_equal(b[8] >> 6, 2);
    }
}

static void example(void **state)
{
    char text[UUID_TEXT + 1];
    struct rand r;

    (void)state;
    rand_init(&r);
    uuid7_write(text, 0x019abcdef012, &r);
    assert_memory_equal(text, "019abcde-f012-7", 15);
}

/* Each of the other 74 bits is sometimes set and sometimes not. */
static void the_rest_is_random(void **state)
{
    unsigned char any[16] = {0}, all[16], b[16];
    char text[UUID_TEXT + 1];
    struct rand r;
    int i, k;

    (void)state;
    memset(all, 0xff, sizeof(all));
    rand_init(&r);
    for (i = 0; i < DRAWS; i++) {
        uuid7_write(text, 1, &r);
        parse(text, b);
        for (k = 0; k < 16; k++) {
            any[k] |= b[k];
            all[k] &= b[k];
        }
    }
    for (k = 6; k < 16; k++) {
        assert_int_equal(any[k], k == 6 ? 0x7f : k == 8 ? 0xbf : 0xff);
        assert_int_equal(all[k], k == 6 ? 0x70 : k == 8 ? 0x80 : 0);
    }
}

static void text_sorts_by_time(void **state)
{
    char last[UUID_TEXT + 1] = "", text[UUID_TEXT + 1];
    struct rand r;
    int64_t ms;

    (void)state;
    rand_init(&r);
    for (ms = 0x1000 - 50; ms < 0x1000 + 50; ms++) {
        uuid7_write(text, ms, &r);
        assert_true(strcmp(last, text) < 0);
        memcpy(last, text, sizeof(last));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laid_out_as_version_7),
        cmocka_unit_test(example),
        cmocka_unit_test(the_rest_is_random),
        cmocka_unit_test(text_sorts_by_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
