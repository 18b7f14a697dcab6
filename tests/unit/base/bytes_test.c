#include "dice.h"
#include "base/bytes.h"

enum { ROUNDS = 20000 };

static void views_of_nothing(void **state)
{
    struct bytes none = {NULL, 0}, head, tail;

    (void)state;
    assert_true(bytes_equal(none, BYTES("")));
    assert_true(bytes_equal_nocase(none, BYTES("")));
    assert_true(bytes_starts(none, none));
    assert_true(bytes_starts(BYTES("a"), none));
    assert_false(bytes_starts(none, BYTES("a")));
    assert_int_equal(bytes_trim(none).len, 0);
    assert_false(bytes_cut(none, BYTES(","), &head, &tail));
    assert_int_equal(head.len, 0);
    assert_int_equal(tail.len, 0);
}

static void equal_is_exact(void **state)
{
    (void)state;
    assert_true(bytes_equal(BYTES("a\0b"), BYTES("a\0b")));
    assert_false(bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
    assert_false(bytes_equal(BYTES("ab"), BYTES("abc")));
    assert_true(bytes_equal(bytes_text("abc"), bytes_of("abcd", 3)));
    assert_true(bytes_starts(BYTES("abc"), BYTES("ab")));
    assert_true(bytes_starts(BYTES("abc"), BYTES("abc")));
    assert_false(bytes_starts(BYTES("abc"), BYTES("abcd")));
    assert_false(bytes_starts(BYTES("abc"), BYTES("b")));
}

/* Every pair of bytes: equal, or the two cases of one ASCII letter, and nothing else. */
static void case_is_ignored_in_letters_alone(void **state)
{
    int a, b;

    (void)state;
    for (a = 0; a < 256; a++)
        for (b = 0; b < 256; b++) {
            char one = (char)a, two = (char)b;
            int low = a < b ? a : b, high = a < b ? b : a;
            bool same = a == b || (low >= 'A' && low <= 'Z' && high == low + 32);

            assert_int_equal(bytes_equal_nocase(bytes_of(&one, 1), bytes_of(&two, 1)), same);
        }
    assert_true(bytes_equal_nocase(BYTES("Content-LENGTH"), BYTES("content-length")));
    assert_false(bytes_equal_nocase(BYTES("content-length"), BYTES("content-lengt")));
    assert_false(bytes_equal_nocase(BYTES("host1"), BYTES("host2")));
}

static void trim_takes_both_ends(void **state)
{
    struct bytes all = BYTES("\t  a \t b\r \t"), inner = bytes_trim(all);

    (void)state;
    assert_ptr_equal(inner.at, all.at + 3);
    assert_true(bytes_equal(inner, BYTES("a \t b\r")));
    assert_true(bytes_equal(bytes_trim(BYTES("ab")), BYTES("ab")));
    assert_int_equal(bytes_trim(BYTES(" \t ")).len, 0);
}

/* Where a naive search finds the separator first, b.len when nowhere. */
static size_t first_place(struct bytes b, struct bytes separator)
{
    size_t i;

    for (i = 0; i + separator.len <= b.len; i++)
        if (memcmp(b.at + i, separator.at, separator.len) == 0)
            return i;
    return b.len;
}

static void cut_finds_the_first_separator(void **state)
{
    struct dice d = dice_new("bytes_cut");
    int round;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        char text[12], mark[3];
        struct bytes b = {text, dice_roll(&d, sizeof(text) + 1)};
        struct bytes separator = {mark, 1 + dice_roll(&d, sizeof(mark))}, head, tail;
        size_t i, place;

        for (i = 0; i < sizeof(text); i++)
            text[i] = (char)('a' + dice_roll(&d, 2));
        for (i = 0; i < sizeof(mark); i++)
            mark[i] = (char)('a' + dice_roll(&d, 2));
        place = first_place(b, separator);
        assert_int_equal(bytes_cut(b, separator, &head, &tail), place < b.len);
        assert_ptr_equal(head.at, b.at);
        assert_int_equal(head.len, place);
        if (place < b.len) {
            assert_ptr_equal(tail.at, b.at + place + separator.len);
            assert_int_equal(tail.len, b.len - place - separator.len);
        } else {
            assert_int_equal(tail.len, 0);
        }
    }
}

/* The parts may land in the variable that was cut. */
static void cut_in_place(void **state)
{
    struct bytes rest = BYTES("a,b,,c"), head;
    char seen[16];
    size_t n = 0;
    bool more;

    (void)state;
    do {
        more = bytes_cut(rest, BYTES(","), &head, &rest);
        n += (size_t)snprintf(seen + n, sizeof(seen) - n, "[%.*s]", (int)head.len, head.at);
    } while (more);
    assert_string_equal(seen, "[a][b][][c]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_of_nothing),
        cmocka_unit_test(equal_is_exact),
        cmocka_unit_test(case_is_ignored_in_letters_alone),
        cmocka_unit_test(trim_takes_both_ends),
        cmocka_unit_test(cut_finds_the_first_separator),
        cmocka_unit_test(cut_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
