#include "cluster/redis_reader.h"

#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/bytes.h"
#include "base/mem.h"
#include "unit/base/dice.h"

static struct redis_reader reader;

static int begin(void **state)
{
    (void)state;
    redis_reader_init(&reader);
    redis_reader_reset(&reader);
    return 0;
}

static int end(void **state)
{
    (void)state;
    redis_reader_fini(&reader);
    return 0;
}

static enum err feed(const char *text)
{
    return redis_reader_feed(&reader, text, strlen(text));
}

static const struct redisReply *next(void)
{
    const struct redisReply *reply = NULL;

    assert_int_equal(redis_reader_next(&reader, &reply), ERR_OK);
    return reply;
}

static void expect(enum err e)
{
    const struct redisReply *reply = NULL;

    assert_int_equal(redis_reader_next(&reader, &reply), e);
}

static void all_types_are_read(void **state)
{
    const struct redisReply *reply;

    (void)state;
    assert_int_equal(feed("+OK\r\n-ERR no\r\n:-7\r\n$-1\r\n*-1\r\n$3\r\na\0b\r\n*0\r\n"), ERR_OK);
    assert_string_equal(next()->str, "OK");
    reply = next();
    assert_int_equal(reply->type, REDIS_REPLY_ERROR);
    assert_string_equal(reply->str, "ERR no");
    assert_int_equal(next()->integer, -7);
    assert_int_equal(next()->type, REDIS_REPLY_NIL);
    assert_int_equal(next()->type, REDIS_REPLY_NIL);
    expect(ERR_AGAIN); /* the zero ended our text */
    assert_int_equal(redis_reader_feed(&reader, "\0b\r\n*0\r\n", 8), ERR_OK);
    reply = next();
    assert_int_equal(reply->len, 3);
    assert_memory_equal(reply->str, "a\0b", 4);
    reply = next();
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_int_equal(reply->elements, 0);
    expect(ERR_AGAIN);
}

static void a_nested_reply_comes_byte_by_byte(void **state)
{
    static const char text[] = "*2\r\n*3\r\n:1\r\n$2\r\nhi\r\n*-1\r\n+yes\r\n";
    const struct redisReply *reply;

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        expect(ERR_AGAIN);
        assert_int_equal(redis_reader_feed(&reader, text + i, 1), ERR_OK);
    }
    reply = next();
    assert_int_equal(reply->elements, 2);
    assert_int_equal(reply->element[0]->elements, 3);
    assert_string_equal(reply->element[0]->element[1]->str, "hi");
    assert_int_equal(reply->element[0]->element[2]->type, REDIS_REPLY_NIL);
    assert_string_equal(reply->element[1]->str, "yes");
}

static void what_is_none_is_refused(void **state)
{
    static const char *const bad[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "$-2\r\n",
        "*-2\r\n",
        "*1048577\r\n",
        "*2147483647\r\n",
        "*99999999999999999999\r\n",
        "$99999999999999999999\r\n",
        ":abc\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "*1000\r\n*1048000\r\n*1048000\r\n",
        "\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        redis_reader_reset(&reader);
        if (!feed(bad[i]))
            expect(ERR_BAD);
    }
}

/* Without an end, or longer than its bound. */
static void endless_replies_are_refused(void **state)
{
    enum { PIECE = 1024 * 1024 };
    static const char *const begins[] = {
        "+", ":", "*", "$", "$1000000000\r\n", "*2\r\n$40000000\r\n"};
    char *piece = mem_alloc(PIECE);

    (void)state;
    memset(piece, '1', PIECE);
    for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
        const struct redisReply *reply;
        enum err e = ERR_OK;
        int n = 0;

        redis_reader_reset(&reader);
        assert_int_equal(feed(begins[i]), ERR_OK);
        while (!e && n++ < 100) {
            e = redis_reader_feed(&reader, piece, PIECE);
            if (!e)
                e = redis_reader_next(&reader, &reply);
            if (e == ERR_AGAIN)
                e = ERR_OK;
        }
        assert_int_equal(e, ERR_BAD);
        assert_true(n < 70);
    }
    mem_free(piece);
}

/* By us: hiredis would assert that there is memory for the next buffer. */
static void a_large_buffer_is_given_back(void **state)
{
    enum { LARGE = 100000 };
    char *text = mem_alloc(LARGE + 64);
    int head = snprintf(text, 64, "$%d\r\n", LARGE);

    (void)state;
    memset(text + head, 'x', LARGE);
    memcpy(text + head + LARGE, "\r\n", 2);
    assert_int_equal(redis_reader_feed(&reader, text, (size_t)head + LARGE + 2), ERR_OK);
    assert_int_equal(next()->len, LARGE);
    expect(ERR_AGAIN);
    assert_true(sdsalloc(reader.reader->buf) >= LARGE);
    assert_int_equal(reader.reader->maxbuf, 0);
    assert_int_equal(feed("+OK\r\n+mo"), ERR_OK);
    assert_true(sdsalloc(reader.reader->buf) < LARGE / 2);
    assert_string_equal(next()->str, "OK");
    expect(ERR_AGAIN);
    assert_int_equal(feed("re\r\n"), ERR_OK);
    assert_string_equal(next()->str, "more");
    mem_free(text);
}

/* Anything at all: an end is found without harm. */
static void garbage_does_no_harm(void **state)
{
    static const char letters[] = "*$+-:\r\n\r\n\r\n0123459ab";
    struct dice d = dice_new("garbage");

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const struct redisReply *reply;
        char text[64];
        size_t len = 1 + dice_roll(&d, sizeof(text) - 1);
        enum err e;

        for (size_t j = 0; j < len; j++)
            text[j] = letters[dice_roll(&d, sizeof(letters) - 1)];
        e = redis_reader_feed(&reader, text, len);
        while (!e)
            e = redis_reader_next(&reader, &reply);
        if (e == ERR_BAD)
            redis_reader_reset(&reader);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_types_are_read),      TEST(a_nested_reply_comes_byte_by_byte),
        TEST(what_is_none_is_refused), TEST(endless_replies_are_refused),
        TEST(garbage_does_no_harm),    TEST(a_large_buffer_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
