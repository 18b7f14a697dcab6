#include "dice.h"
#include <errno.h>
#include "base/err.h"

enum { TEXT_MAX = sizeof(((struct problem *)0)->text) - 1 };

static void every_name_is_its_own(void **state)
{
    int a, b;

    (void)state;
    for (a = ERR_OK; a <= ERR_IO; a++) {
        assert_true(strlen(err_name((enum err)a)) > 0);
        for (b = ERR_OK; b < a; b++)
            assert_string_not_equal(err_name((enum err)a), err_name((enum err)b));
    }
    assert_string_equal(err_name(ERR_OK), "ok");
    assert_string_equal(err_name(ERR_TOO_BIG), "too big");
}

static void errno_in_our_words(void **state)
{
    static const struct {
        int number;
        enum err e;
    } known[] = {
        {0, ERR_OK},
        {EAGAIN, ERR_AGAIN},
        {EWOULDBLOCK, ERR_AGAIN},
        {EINTR, ERR_AGAIN},
        {ENOMEM, ERR_FULL},
        {EMFILE, ERR_FULL},
        {ENFILE, ERR_FULL},
        {ENOBUFS, ERR_FULL},
        {ENOSPC, ERR_FULL},
        {EPIPE, ERR_GONE},
        {ECONNRESET, ERR_GONE},
        {ENOENT, ERR_GONE},
        {EACCES, ERR_DENIED},
        {EPERM, ERR_DENIED},
        {ETIMEDOUT, ERR_TIMEOUT},
        {EADDRINUSE, ERR_BUSY},
        {EBUSY, ERR_BUSY},
        {EINVAL, ERR_BAD},
        {EIO, ERR_IO},
        {EBADF, ERR_IO},
        {12345, ERR_IO},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(err_from_errno(known[i].number), known[i].e);
}

static void problem_is_worded(void **state)
{
    struct problem p;

    (void)state;
    assert_int_equal(problem_set(&p, ERR_BAD, "line %d: %s", 7, "no"), ERR_BAD);
    assert_int_equal(p.code, ERR_BAD);
    assert_string_equal(p.text, "line 7: no");
    assert_int_equal(problem_set(&p, ERR_TOO_BIG, "%s", ""), ERR_TOO_BIG);
    assert_string_equal(p.text, "");
}

static void problem_fills_its_text_and_no_more(void **state)
{
    char all[TEXT_MAX + 2];
    size_t len;

    (void)state;
    for (len = TEXT_MAX - 1; len <= TEXT_MAX + 1; len++) {
        struct problem p;

        memset(all, 'x', len);
        all[len] = 0;
        problem_set(&p, ERR_BAD, "%s", all);
        assert_int_equal(strlen(p.text), len < TEXT_MAX ? len : TEXT_MAX);
        assert_memory_equal(p.text, all, strlen(p.text));
    }
}

/* A sequence moved over the end byte by byte is there whole or not at all. */
static void problem_never_tears_a_sequence(void **state)
{
    static const char *const signs[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    size_t i, before;

    (void)state;
    for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        for (before = TEXT_MAX - 6; before <= TEXT_MAX; before++) {
            size_t len = strlen(signs[i]);
            struct problem p;

            problem_set(&p, ERR_BAD, "%*s%s%s", (int)before, "", signs[i], "tail of the text");
            if (before + len <= TEXT_MAX) {
                assert_int_equal(strlen(p.text), TEXT_MAX);
                assert_memory_equal(p.text + before, signs[i], len);
            } else {
                assert_int_equal(strlen(p.text), before);
            }
        }
}

/* Bytes that are no UTF-8 cost themselves, not the words before them. */
static void problem_keeps_its_words_before_junk(void **state)
{
    char junk[2 * TEXT_MAX];
    struct problem p;
    int byte;

    (void)state;
    for (byte = 0x80; byte <= 0xff; byte++) {
        memset(junk, byte, sizeof(junk) - 1);
        junk[sizeof(junk) - 1] = 0;
        problem_set(&p, ERR_BAD, "unknown key %s", junk);
        assert_memory_equal(p.text, "unknown key ", 12);
        assert_in_range(strlen(p.text), TEXT_MAX - 3, TEXT_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_its_own),
        cmocka_unit_test(errno_in_our_words),
        cmocka_unit_test(problem_is_worded),
        cmocka_unit_test(problem_fills_its_text_and_no_more),
        cmocka_unit_test(problem_never_tears_a_sequence),
        cmocka_unit_test(problem_keeps_its_words_before_junk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
