#include "wire/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { FIELDS = 20 };

/* The example of RFC 6455, section 1.3. */
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define GET     "GET /chat HTTP/1.1\r\nHost: a\r\n"

/* 101 with what it comes to in out, or the status of the refusal. */
static int check(const char *head, struct upgrade *out)
{
    static const struct deflate_settings deflate = {.enabled = true,
                                                    .server_bits = DEFLATE_BITS_MAX,
                                                    .client_bits = DEFLATE_BITS_MAX,
                                                    .server_forgets = true,
                                                    .memory_bytes = 65536};
    struct http1_limits limits = {8192, 16384, FIELDS};
    struct http1_field fields[FIELDS];
    struct http1_request r;
    struct http1_bad bad = {0, NULL};
    size_t scanned = 0, used = 0;
    enum http1_result result =
        http1_read_head(bytes_text(head), &limits, fields, &r, &scanned, &used, &bad);

    assert_int_equal(result, HTTP1_DONE);
    assert_int_equal(used, strlen(head));
    if (upgrade_check(&r, &deflate, out, &bad))
        return 101;
    assert_non_null(bad.why);
    assert_true(strlen(bad.why) > 10);
    return bad.status;
}

static void proper_handshakes_are_accepted(void **state)
{
    static const char *const heads[] = {
        GET UPGRADE KEY VERSION "\r\n",
        GET "connection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\n" KEY VERSION "\r\n",
        GET
        "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c, websocket\r\n" KEY VERSION
        "\r\n",
        GET UPGRADE KEY VERSION "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                "Sec-WebSocket-Protocol: chat, superchat\r\n\r\n",
        GET UPGRADE KEY VERSION "Content-Length: 0\r\n\r\n",
        GET UPGRADE "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  \r\n" VERSION "\r\n",
    };
    struct upgrade u;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        memset(&u, 'x', sizeof(u));
        assert_int_equal(check(heads[i], &u), 101);
        assert_string_equal(u.accept, ACCEPT);
        assert_int_equal(deflate_is_agreed(&u.deflate), strstr(heads[i], "-deflate") != NULL);
    }
}

static void anything_else_is_refused_with_its_status(void **state)
{
    static const struct {
        int status;
        const char *head;
    } cases[] = {
        {405, "POST /chat HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" UPGRADE KEY VERSION "\r\n"},
        {405, "HEAD /chat HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n"},
        {426, GET "\r\n"},
        {426, GET KEY VERSION "\r\n"},
        {426, GET "Upgrade: websocket\r\n" KEY VERSION "\r\n"},
        {426, GET "Connection: Upgrade\r\n" KEY VERSION "\r\n"},
        {426, GET "Connection: Upgrades\r\nUpgrade: websocket\r\n" KEY VERSION "\r\n"},
        {426, GET "Connection: Upgrade\r\nUpgrade: websockets\r\n" KEY VERSION "\r\n"},
        {426, GET "Connection: Upgrade\r\nUpgrade: h2c\r\n" KEY VERSION "\r\n"},
        {426, "GET /chat HTTP/1.0\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n"},
        {426, GET UPGRADE KEY "\r\n"},
        {426, GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n"},
        {426, GET UPGRADE KEY "Sec-WebSocket-Version: 013\r\n\r\n"},
        {426, GET UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n"},
        {426, GET UPGRADE KEY "Sec-WebSocket-Version:\r\n\r\n"},
        {400, GET UPGRADE KEY VERSION VERSION "\r\n"},
        {400, GET UPGRADE VERSION "\r\n"},
        {400, GET UPGRADE KEY KEY VERSION "\r\n"},
        {400, GET UPGRADE VERSION "Sec-WebSocket-Key:\r\n\r\n"},
        {400, GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n"},
        {400, GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n\r\n"},
        {400, GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEy\r\n\r\n"},
        {400, GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBs*SBub25jZQ==\r\n\r\n"},
        {400, GET UPGRADE KEY VERSION "Content-Length: 1\r\n\r\n"},
        {400, GET UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n\r\n"},
        {400, GET UPGRADE KEY VERSION "Sec-WebSocket-Extensions: permessage deflate\r\n\r\n"},
    };
    struct upgrade u;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = check(cases[i].head, &u);

        if (status != cases[i].status)
            fail_msg("%d instead of %d for\n%s", status, cases[i].status, cases[i].head);
    }
}

#define ANSWER                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\n"                                                         \
    "Upgrade: websocket\r\n"                                                                       \
    "Connection: Upgrade\r\n"                                                                      \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static void the_answer_is_complete(void **state)
{
    struct upgrade u = {.accept = ACCEPT};
    char out[UPGRADE_TEXT_MAX + 1];
    size_t len;

    (void)state;
    memset(out, 0, sizeof(out));
    len = upgrade_write(out, &u);
    assert_int_equal(len, strlen(out));
    assert_string_equal(out, ANSWER "\r\n");
    u.deflate = (struct deflate_terms){.server_bits = 15, .client_bits = 15};
    memset(out, 0, sizeof(out));
    len = upgrade_write(out, &u);
    assert_int_equal(len, strlen(out));
    assert_string_equal(out, ANSWER "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proper_handshakes_are_accepted),
        cmocka_unit_test(anything_else_is_refused_with_its_status),
        cmocka_unit_test(the_answer_is_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
