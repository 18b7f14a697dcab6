#include "dice.h"
#include "dying.h"
#include "base/check.h"
#include "base/log.h"

struct outer {
    int before, member, after;
};

static int asked;

static void break_check(void)
{
    CHECK(asked < 0);
}

static void break_dcheck(void)
{
    DCHECK(++asked < 0);
    _exit(asked); /* 0: not even asked */
}

static void reach_the_unreachable(void)
{
    UNREACHABLE();
}

static void says_where_and_what(void **state)
{
    char said[1024];

    (void)state;
    assert_true(dies(break_check, said, sizeof(said)));
    assert_non_null(strstr(said, "check_test.c line="));
    assert_non_null(strstr(said, "asked < 0"));
    assert_true(dies(reach_the_unreachable, said, sizeof(said)));
    assert_non_null(strstr(said, "unreachable"));
}

static void break_check_in_json(void)
{
    log_setup(LOG_ERROR + 1, LOG_JSON); /* whatever is told of other things */
    CHECK(strcmp("quoted", "text") == 0);
}

static void says_it_in_one_line_of_json(void **state)
{
    char said[1024];

    (void)state;
    assert_true(dies(break_check_in_json, said, sizeof(said)));
    assert_int_equal(strncmp(said, "{\"time\":\"", 9), 0);
    assert_non_null(strstr(said, "\"level\":\"error\",\"event\":\"broken invariant\","
                                 "\"what\":\"strcmp(\\\"quoted\\\", \\\"text\\\") == 0\","));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
    assert_ptr_equal(strstr(said, "}\n"), said + strlen(said) - 2);
}

static void true_passes_and_is_asked_once(void **state)
{
    (void)state;
    asked = 0;
    CHECK(++asked == 1);
    assert_int_equal(asked, 1);
    asked = 0;
}

static void dcheck_only_with_assertions(void **state)
{
    char said[1024];
    bool died;

    (void)state;
    asked = 0;
    died = dies(break_dcheck, said, sizeof(said));
#ifdef NDEBUG
    assert_false(died);
    assert_string_equal(said, "");
#else
    assert_true(died);
    assert_non_null(strstr(said, "++asked < 0"));
#endif
}

static void container_of_finds_the_struct(void **state)
{
    struct outer o = {1, 2, 3};
    int *inner = &o.member;

    (void)state;
    assert_ptr_equal(container_of(inner, struct outer, member), &o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_where_and_what),
        cmocka_unit_test(says_it_in_one_line_of_json),
        cmocka_unit_test(true_passes_and_is_asked_once),
        cmocka_unit_test(dcheck_only_with_assertions),
        cmocka_unit_test(container_of_finds_the_struct),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
