#include "wire/base64url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { LONGEST = 64 };

/* base64url written the slow way: bit by bit. */
static size_t encode(const unsigned char *at, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t bit, n = 0;

    for (bit = 0; bit < len * 8; bit += 6) {
        unsigned value = 0;
        size_t i;

        for (i = bit; i < bit + 6; i++)
            value = value << 1 | (i < len * 8 ? (unsigned)at[i / 8] >> (7 - i % 8) & 1 : 0);
        out[n++] = digits[value];
    }
    return n;
}

static void test_what_was_encoded_comes_back(void **state)
{
    unsigned seed = 20230911;
    int round;

    (void)state;
    print_message("seed %u\n", seed);
    for (round = 0; round < 20000; round++) {
        unsigned char raw[LONGEST];
        char text[2 * LONGEST], back[2 * LONGEST];
        size_t len = (size_t)(rand_r(&seed) % (LONGEST + 1)), i, n, got = 99;

        for (i = 0; i < len; i++)
            raw[i] = (unsigned char)rand_r(&seed);
        n = encode(raw, len, text);
        assert_int_equal(base64url_len(len), n);
        base64url_write(back, raw, len);
        assert_memory_equal(back, text, n);
        assert_true(base64url_read(bytes_of(text, n), back, &got));
        assert_int_equal(got, len);
        assert_memory_equal(back, raw, len);
        while (n % 4 != 0)
            text[n++] = '=';
        assert_true(base64url_read(bytes_of(text, n), back, &got));
        assert_int_equal(got, len);
    }
}

/* Each byte value stands for a digit or for none, wherever it stands. */
static void test_every_character_at_every_place(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[] = "AAAAAAAA", out[8];
    size_t place, len;
    int c;

    (void)state;
    for (place = 0; place < 8; place++) {
        for (c = 0; c < 256; c++) {
            bool is_digit = c && strchr(digits, c);

            text[place] = (char)c;
            if (place == 7 && c == '=') /* padding; a text for another test */
                continue;
            assert_int_equal(base64url_read(bytes_of(text, 8), out, &len), is_digit);
        }
        text[place] = 'A';
    }
}

static void test_what_is_no_base64url_is_refused(void **state)
{
    static const char *const bad[] = {"A",  "AAAAA", "A===", "AB+/", "AAA\n", " AAA",   "AA=A",
                                      "==", "AB",    "AAB",  "A=",   "AAA==", "AAA\xff"};
    char out[16];
    size_t len, i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(base64url_read(bytes_text(bad[i]), out, &len));
    assert_true(base64url_read(bytes_text(""), out, &len));
    assert_int_equal(len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_encoded_comes_back),
        cmocka_unit_test(test_every_character_at_every_place),
        cmocka_unit_test(test_what_is_no_base64url_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
