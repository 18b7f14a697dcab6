#include "app/token_verify.h"

#include "base/clock.h"
#include "unit/app/load.h"

#define KEY32 "0123456789abcdef0123456789abcdef"

static const struct token_key key = {{KEY32, 32}};

static void issue(struct buf *out, int64_t now_s)
{
    struct identity client = {{BYTES("w"), BYTES("a"), BYTES("device"), BYTES("app")}};
    struct tokens *tokens = tokens_new(&key);
    struct rand r;

    rand_init(&r);
    assert_int_equal(token_issue(tokens, &client, now_s, 100, &r, out), ERR_OK);
    tokens_free(tokens);
}

static void expect(struct bytes input, size_t dimension_bytes, int status, const char *word)
{
    FILE *in = tmpfile(), *out = tmpfile();
    char said[32] = "";

    assert_true(in && out);
    assert_int_equal(fwrite(input.at, 1, input.len, in), input.len);
    rewind(in);
    assert_int_equal(token_verify_run(&key, dimension_bytes, in, out), status);
    rewind(out);
    (void)!fread(said, 1, sizeof(said) - 1, out);
    assert_string_equal(said, word);
    fclose(in);
    fclose(out);
}

static void verdicts(void **state)
{
    struct buf good = {0}, old = {0};

    (void)state;
    issue(&good, clock_wall_ms() / 1000);
    issue(&old, clock_wall_ms() / 1000 - 10000);
    expect(buf_bytes(&good), 256, 0, "valid\n");
    expect(buf_bytes(&good), 6, 0, "valid\n");
    expect(buf_bytes(&good), 5, 1, "invalid\n");
    expect(buf_bytes(&old), 256, 1, "expired\n");
    buf_add(&good, BYTES("\r\n \n"));
    expect(buf_bytes(&good), 256, 0, "valid\n");
    good.at[good.len / 2] ^= 1;
    expect(buf_bytes(&good), 256, 1, "invalid\n");
    expect(BYTES("x"), 256, 1, "invalid\n");
    expect(BYTES(" \n"), 256, 2, "");
    expect(BYTES("\0"), 256, 1, "invalid\n");
    buf_fini(&good);
    buf_fini(&old);
}

static void a_huge_token_is_invalid(void **state)
{
    size_t len;

    (void)state;
    for (len = 65535; len <= 65537; len++) {
        char *text = malloc(len);

        assert_non_null(text);
        memset(text, 'x', len);
        expect(bytes_of(text, len), 256, 1, "invalid\n");
        free(text);
    }
}

static void secrets_are_pairs_of_digits(void **state)
{
    char out[8];
    size_t len;

    (void)state;
    assert_int_equal(token_verify_decode("00fFaB", out, &len), ERR_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(out, "\x00\xff\xab", 3);
    assert_int_equal(token_verify_decode("", out, &len), ERR_OK);
    assert_int_equal(len, 0);
    assert_int_equal(token_verify_decode("0", out, &len), ERR_BAD);
    assert_int_equal(token_verify_decode("0g", out, &len), ERR_BAD);
    assert_int_equal(token_verify_decode("g0", out, &len), ERR_BAD);
    assert_int_equal(token_verify_decode("0x00", out, &len), ERR_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(a_huge_token_is_invalid),
        cmocka_unit_test(secrets_are_pairs_of_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
