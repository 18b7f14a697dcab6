#include "app/options.h"

#include "unit/app/load.h"

enum { WORDS = 8 };

static enum err read_words(const char *const *words, struct options *o, struct problem *why)
{
    static char storage[WORDS][100];
    char *argv[WORDS + 1] = {NULL};
    int argc = 1;

    argv[0] = storage[0];
    for (; *words; words++, argc++) {
        assert_true(argc < WORDS);
        snprintf(storage[argc], sizeof(storage[argc]), "%s", *words);
        argv[argc] = storage[argc];
    }
    return options_read(argc, argv, o, why);
}

#define READ(o, ...)                                                                               \
    do {                                                                                           \
        struct problem why_ = {0};                                                                 \
        if (read_words((const char *const[]){__VA_ARGS__, NULL}, (o), &why_))                      \
            fail_msg("%s", why_.text);                                                             \
    } while (0)

#define WRONG(words, ...)                                                                          \
    do {                                                                                           \
        struct problem why_ = {0};                                                                 \
        struct options o_;                                                                         \
        assert_int_equal(read_words((const char *const[]){__VA_ARGS__, NULL}, &o_, &why_),         \
                         ERR_BAD);                                                                 \
        if (!strstr(why_.text, (words)))                                                           \
            fail_msg("expected: %s, found: %s", (words), why_.text);                               \
    } while (0)

static void serve_is_meant_without_a_word(void **state)
{
    struct options o;

    (void)state;
    READ(&o, NULL);
    assert_int_equal(o.command, COMMAND_SERVE);
    assert_null(o.config);
    assert_int_equal(o.set_count, 0);
    assert_false(o.check_config || o.version || o.help || o.help_config);
    options_fini(&o);
    READ(&o, "serve");
    assert_int_equal(o.command, COMMAND_SERVE);
    options_fini(&o);
}

static void options_of_serve(void **state)
{
    struct options o;

    (void)state;
    READ(&o, "serve", "--config", "f", "--set", "a=b", "--set=c=d", "--check-config");
    assert_string_equal(o.config, "f");
    assert_int_equal(o.set_count, 2);
    assert_string_equal(o.sets[0], "a=b");
    assert_string_equal(o.sets[1], "c=d");
    assert_true(o.check_config);
    options_fini(&o);
    READ(&o, "--config=f", "--set", "--config=x");
    assert_string_equal(o.config, "f");
    assert_string_equal(o.sets[0], "--config=x");
    options_fini(&o);
}

static void questions(void **state)
{
    struct options o;

    (void)state;
    READ(&o, "--version");
    assert_true(o.version);
    options_fini(&o);
    READ(&o, "--help");
    assert_true(o.help);
    options_fini(&o);
    READ(&o, "-h");
    assert_true(o.help);
    options_fini(&o);
    READ(&o, "--help-config");
    assert_true(o.help_config && !o.help);
    options_fini(&o);
}

static void token_verify_has_its_own(void **state)
{
    struct options o;

    (void)state;
    READ(&o, "token", "verify", "--secret-hex", "00ff");
    assert_int_equal(o.command, COMMAND_TOKEN_VERIFY);
    assert_string_equal(o.secret_hex, "00ff");
    options_fini(&o);
    READ(&o, "token", "verify", "--config=f", "--set=a=b");
    assert_string_equal(o.config, "f");
    assert_int_equal(o.set_count, 1);
    options_fini(&o);
    WRONG("--check-config does not go", "token", "verify", "--check-config");
    WRONG("--secret-hex does not go", "--secret-hex", "00");
    WRONG("exclude each other", "token", "verify", "--secret-hex=00", "--config=f");
    WRONG("exclude each other", "token", "verify", "--secret-hex=00", "--set=a=b");
}

static void wrong_lines_are_told_why(void **state)
{
    (void)state;
    WRONG("unknown command start", "start");
    WRONG("token needs a verb", "token");
    WRONG("token needs a verb", "token", "make");
    WRONG("unknown option --confg", "--confg", "f");
    WRONG("unknown option -x", "-x");
    WRONG("unknown option --", "--");
    WRONG("unknown option --conf", "--conf=f");
    WRONG("unexpected argument f", "serve", "f");
    WRONG("unexpected argument serve", "--check-config", "serve");
    WRONG("unexpected argument ", "serve", "");
    WRONG("--config needs a value", "--config");
    WRONG("--config needs a value", "--config", "");
    WRONG("--config needs a value", "--config=");
    WRONG("--set needs a value", "--check-config", "--set");
    WRONG("--config is given twice", "--config=a", "--config=b");
    WRONG("--check-config takes no value", "--check-config=yes");
}

static void help_names_every_option(void **state)
{
    static const char *const names[] = {"--config",      "--set",       "--check-config",
                                        "--version",     "--help",      "--secret-hex",
                                        "--help-config", "token verify"};
    struct buf text = {0};
    size_t i;

    (void)state;
    options_help(&text);
    buf_add_char(&text, '\0');
    for (i = 0; i < COUNT(names); i++)
        assert_non_null(strstr(text.at, names[i]));
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serve_is_meant_without_a_word),
        cmocka_unit_test(options_of_serve),
        cmocka_unit_test(questions),
        cmocka_unit_test(token_verify_has_its_own),
        cmocka_unit_test(wrong_lines_are_told_why),
        cmocka_unit_test(help_names_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
