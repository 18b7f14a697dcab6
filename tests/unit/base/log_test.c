#include "dice.h"
#include <pthread.h>
#include <unistd.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/meter.h"
#include "log_lines.h"

enum { ROUNDS = 4000, LINE_MAX_BYTES = 4096, VALUE_MAX = 6000 };

static int real_stderr, ends[2];
static struct parsed parsed; /* large */
static char line[2 * LINE_MAX_BYTES];

/* Standard error becomes a socket that keeps the borders of writes, until release_lines. */
static void catch_lines(void)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
}

static void release_lines(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(ends[0]);
    close(ends[1]);
}

/* The next write(2), with a zero behind it; false when there is none. */
static bool next_write(char *to, size_t size, size_t *len)
{
    ssize_t n = recv(ends[0], to, size - 1, MSG_DONTWAIT);

    if (n <= 0)
        return false;
    to[n] = 0;
    *len = (size_t)n;
    return true;
}

/* What one call wrote: one write, one line, nothing in it that a terminal would obey. */
static void take_line(enum log_format format)
{
    size_t len, more, i;
    char second[64];

    assert_true(next_write(line, sizeof(line), &len));
    assert_false(next_write(second, sizeof(second), &more));
    assert_in_range(len, 1, LINE_MAX_BYTES);
    for (i = 0; i < len - 1; i++)
        assert_true((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
    if (format == LOG_JSON)
        parse_json(line, len, &parsed);
    else
        parse_text(line, len, &parsed);
}

static void text_line(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT);
    catch_lines();
    log_info("ready", LOG_STR("rest", "127.0.0.1:8080"), LOG_STR("note", "two words"),
             LOG_NUM("sockets", -5), LOG_STR("none", ""), LOG_VIEW("view", BYTES("a=b")));
    take_line(LOG_TEXT);
    release_lines();
    assert_string_equal(line + 24, " INFO  ready rest=127.0.0.1:8080 note=\"two words\" sockets=-5"
                                   " none=\"\" view=\"a=b\"\n");
}

static void json_line(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_JSON);
    catch_lines();
    log_warn("ready", LOG_STR("rest", "127.0.0.1:8080"), LOG_NUM("least", INT64_MIN),
             LOG_VIEW("none", bytes_of(NULL, 0)));
    take_line(LOG_JSON);
    release_lines();
    assert_memory_equal(line, "{\"time\":\"", 9);
    assert_string_equal(line + 33, "\",\"level\":\"warn\",\"event\":\"ready\","
                                   "\"rest\":\"127.0.0.1:8080\",\"least\":-9223372036854775808,"
                                   "\"none\":\"\"}\n");
}

static void time_is_now_in_utc(void **state)
{
    int64_t before = clock_wall_ms(), logged;
    struct tm tm = {0};
    char *end;

    (void)state;
    setenv("TZ", "EST+5", 1); /* of no consequence */
    tzset();
    log_setup(LOG_INFO, LOG_TEXT);
    catch_lines();
    log_info("e", LOG_NUM("n", 1));
    take_line(LOG_TEXT);
    release_lines();
    end = strptime(parsed.time, "%Y-%m-%dT%H:%M:%S.", &tm);
    assert_non_null(end);
    logged = (int64_t)timegm(&tm) * 1000 + strtol(end, &end, 10);
    assert_string_equal(end, "Z");
    assert_true(before <= logged && logged <= clock_wall_ms());
}

static void levels(void **state)
{
    static const char *const columns[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char nothing[8];
    size_t len;
    int least, level;

    (void)state;
    catch_lines();
    for (least = LOG_DEBUG; least <= LOG_ERROR; least++)
        for (level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            const struct log_field fields[] = {LOG_NUM("n", level), {0}};

            log_setup((enum log_level)least, level % 2 ? LOG_JSON : LOG_TEXT);
            log_write((enum log_level)level, "e", fields);
            if (level < least) {
                assert_false(next_write(nothing, sizeof(nothing), &len));
                continue;
            }
            take_line(level % 2 ? LOG_JSON : LOG_TEXT);
            assert_string_equal(parsed.level, level % 2 ? names[level] : columns[level]);
        }
    release_lines();
}

/* What a peer would try. Each stays inside its own value. */
static void forging_is_impossible(void **state)
{
    static const char *const tries[] = {
        "x\n2026-11-23T19:00:00.123Z ERROR forged account=1",
        "x\r\nforged",
        "x level=error",
        "x\" forged=\"1",
        "x\\\" forged=1",
        "\\",
        "\"}\n{\"time\":\"",
        "\x1b[2J\x1b]0;title\x07",
        "\xc2\x9b"
        "2J", /* the C1 form of the same */
        "a\xe2\x80\xa8"
        "b", /* line separator */
        "a\xe2\x80\xae"
        "b", /* right-to-left override */
        "\x7f\x08\x08",
        "\xff\xfe",
        "\xc0\x8a",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xe2\x82",
    };
    size_t i;
    int format;

    (void)state;
    catch_lines();
    for (format = LOG_TEXT; format <= LOG_JSON; format++)
        for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
            log_setup(LOG_INFO, (enum log_format)format);
            log_info("tried", LOG_STR("value", tries[i]), LOG_NUM("last", 1));
            take_line((enum log_format)format);
            assert_string_equal(parsed.event, "tried");
            assert_int_equal(parsed.fields, 2);
            assert_string_equal(parsed.field[1].key, "last");
            assert_true(parsed.field[0].quoted);
            assert_null(strstr(line, "\xe2\x80"));
            assert_null(strstr(line, "\xc2\x9b"));
        }
    release_lines();
}

/* Words of a peer: plain text, controls, whole characters of all lengths, torn ones, junk. */
static struct bytes random_value(struct dice *d, char *out, size_t size)
{
    size_t len = 0, end = dice_roll(d, 8) == 0 ? size - 4 : dice_roll(d, 60);
    static const uint32_t above[] = {0x80, 0x800, 0x10000, 0x110000};

    while (len < end) {
        uint32_t c = (uint32_t)dice_roll(d, above[dice_roll(d, 4)]);

        switch (dice_roll(d, 4)) {
        case 0:
            out[len++] = (char)dice_roll(d, 256);
            break;
        case 1:
            len += encode(out + len, c) - 1; /* torn, unless one byte long */
            break;
        case 2:
            len += encode(out + len, c); /* a surrogate at times */
            break;
        default:
            out[len++] = (char)(' ' + dice_roll(d, 95));
        }
    }
    return bytes_of(out, len);
}

/* Is what was read a beginning of what was logged? whole: all of it. */
static void compare(struct bytes logged, const struct word *read, bool json, bool whole)
{
    struct word expected = {.len = 0};
    uint32_t c;

    while (logged.len && (whole || expected.len < read->len)) {
        size_t n = sequence_at(logged, &c);

        if (n == 0 && json) {
            expected.len += encode(expected.at + expected.len, 0xfffd);
        } else {
            memcpy(expected.at + expected.len, logged.at, n ? n : 1);
            expected.len += n ? n : 1;
        }
        logged.at += n ? n : 1;
        logged.len -= n ? n : 1;
    }
    assert_int_equal(read->len, expected.len);
    assert_memory_equal(read->at, expected.at, expected.len);
}

static bool was_cut(void)
{
    return parsed.fields && strcmp(parsed.field[parsed.fields - 1].key, "cut") == 0;
}

/* Of three values in the order a, b, c, those before a cut are whole, and at the cut a beginning.
 */
static void compare_all(const struct bytes value[3], bool json)
{
    bool cut = was_cut();
    size_t n = parsed.fields - cut, i;

    assert_true(cut ? n <= 3 : n == 3);
    for (i = 0; i < n; i++) {
        assert_string_equal(parsed.field[i].key, ((const char *[]){"a", "b", "c"})[i]);
        compare(value[i], &parsed.field[i].value, json, !cut || i + 1 < n);
    }
}

static void any_bytes_are_read_back(void **state)
{
    static char space[3][VALUE_MAX];
    struct dice d = dice_new("log");
    int round, i;

    (void)state;
    catch_lines();
    for (round = 0; round < ROUNDS; round++) {
        enum log_format format = round % 2 ? LOG_JSON : LOG_TEXT;
        struct bytes value[3];

        for (i = 0; i < 3; i++)
            value[i] = random_value(&d, space[i], dice_roll(&d, 10) ? 2000 : VALUE_MAX);
        log_setup(LOG_INFO, format);
        log_info("e", LOG_VIEW("a", value[0]), LOG_VIEW("b", value[1]), LOG_VIEW("c", value[2]));
        take_line(format);
        compare_all(value, format == LOG_JSON);
    }
    release_lines();
}

/* Values that end just before, at and just past the end of the line, made of characters of every
   length: cut only when too long, never torn, and as much as fits is there. */
static void cut_at_the_end_of_the_line(void **state)
{
    static const char *const units[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\n"};
    static char space[LINE_MAX_BYTES + 64];
    size_t unit, len, i;
    int format;

    (void)state;
    catch_lines();
    for (format = LOG_TEXT; format <= LOG_JSON; format++)
        for (unit = 0; unit < sizeof(units) / sizeof(units[0]); unit++)
            for (len = 3900; len <= LINE_MAX_BYTES + 8; len++) {
                struct bytes value[3] = {{space, len}, BYTES("b"), BYTES("c d")};
                size_t size = strlen(units[unit]);

                memset(space, 'x', sizeof(space));
                for (i = 3890; i + size <= len; i += size)
                    memcpy(space + i, units[unit], size);
                log_setup(LOG_INFO, (enum log_format)format);
                log_info("e", LOG_VIEW("a", value[0]), LOG_VIEW("b", value[1]),
                         LOG_VIEW("c", value[2]));
                take_line((enum log_format)format);
                compare_all(value, format == LOG_JSON);
                assert_true(!was_cut() || strlen(line) > LINE_MAX_BYTES - 32);
            }
    release_lines();
}

/* A number is there whole or not at all, and nothing follows what was left out. */
static void numbers_are_never_cut(void **state)
{
    static char space[LINE_MAX_BYTES];
    size_t len, whole = 0, left_out = 0;

    (void)state;
    memset(space, 'x', sizeof(space));
    log_setup(LOG_INFO, LOG_JSON);
    catch_lines();
    for (len = 3900; len < LINE_MAX_BYTES; len++) {
        log_info("e", LOG_VIEW("a", bytes_of(space, len)), LOG_NUM("b", 1234567890),
                 LOG_NUM("c", 1));
        take_line(LOG_JSON);
        if (parsed.fields > 1 && strcmp(parsed.field[1].key, "b") == 0) {
            whole++;
            assert_int_equal(parsed.field[1].value.len, 10);
            assert_memory_equal(parsed.field[1].value.at, "1234567890", 10);
        } else {
            left_out++;
            assert_true(was_cut());
            assert_int_equal(parsed.fields, 2);
        }
    }
    release_lines();
    assert_true(whole > 0 && left_out > 0);
}

static void one_line_a_second_from_one_place(void **state)
{
    struct log_limit limit = {0};
    int64_t held = -1, t;

    (void)state;
    assert_true(log_may(&limit, 5000, &held));
    assert_int_equal(held, 0);
    held = -1;
    for (t = 5000; t < 6000; t++)
        assert_false(log_may(&limit, t, &held));
    assert_int_equal(held, -1);
    assert_true(log_may(&limit, 6000, &held));
    assert_int_equal(held, 1000);
    assert_false(log_may(&limit, 6999, &held));
    assert_true(log_may(&limit, 9000, &held));
    assert_int_equal(held, 1);
}

struct asker {
    struct log_limit *limit;
    int64_t allowed, held_back;
};

static void *ask_often(void *given)
{
    struct asker *a = given;
    int64_t now;

    for (now = 1; now <= 20000; now++) {
        int64_t held;

        if (log_may(a->limit, now, &held)) {
            a->allowed++;
            a->held_back += held;
        }
    }
    return NULL;
}

/* Whatever the threads' order: each call was either allowed or held back, and said to be. */
static void no_call_is_lost_between_threads(void **state)
{
    struct log_limit limit = {0};
    struct asker askers[4];
    pthread_t threads[4];
    int64_t allowed = 0, held_back = 0, last;
    int i;

    (void)state;
    for (i = 0; i < 4; i++) {
        askers[i] = (struct asker){.limit = &limit};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
    }
    for (i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        allowed += askers[i].allowed;
        held_back += askers[i].held_back;
    }
    assert_true(log_may(&limit, 1000000, &last));
    assert_int_equal(allowed + held_back + last, 4 * 20000);
    assert_in_range(allowed, 1, 20); /* one for each second of the fullest 20 */
}

/* A blocking write to a pipe that nobody reads would never come back. */
static void a_full_pipe_loses_lines_and_blocks_nobody(void **state)
{
    int64_t lost = meter_sum(METER_LOG_LOST);
    int i, pipes[2], kept = dup(STDERR_FILENO);

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    log_setup(LOG_INFO, LOG_TEXT);
    for (i = 0; i < 4000; i++) /* a pipe holds 64 KiB */
        log_info("filling", LOG_STR("word", "0123456789012345678901234567890123456789"));
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(pipes[0]);
    close(pipes[1]);
    assert_true(meter_sum(METER_LOG_LOST) > lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_line),
        cmocka_unit_test(json_line),
        cmocka_unit_test(time_is_now_in_utc),
        cmocka_unit_test(levels),
        cmocka_unit_test(forging_is_impossible),
        cmocka_unit_test(any_bytes_are_read_back),
        cmocka_unit_test(cut_at_the_end_of_the_line),
        cmocka_unit_test(numbers_are_never_cut),
        cmocka_unit_test(one_line_a_second_from_one_place),
        cmocka_unit_test(no_call_is_lost_between_threads),
        cmocka_unit_test(a_full_pipe_loses_lines_and_blocks_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
