#include "wire/upgrade.h"

#include <assert.h>

static bool refuse(struct http1_bad *bad, int status, const char *why)
{
    *bad = (struct http1_bad){status, why};
    return false;
}

static bool is_upgrade(const struct http1_request *r)
{
    return r->minor >= 1 && http1_list_has(r, BYTES("connection"), BYTES("upgrade")) &&
           http1_list_has(r, BYTES("upgrade"), BYTES("websocket"));
}

bool upgrade_check(const struct http1_request *r, const struct deflate_settings *deflate,
                   struct upgrade *out, struct http1_bad *bad)
{
    static const struct bytes version = {"sec-websocket-version", 21};
    static const struct bytes key = {"sec-websocket-key", 17};
    enum err e;

    if (r->method != HTTP1_GET)
        return refuse(bad, 405, "a WebSocket handshake is a GET request");
    if (!is_upgrade(r))
        return refuse(bad, 426,
                      "this address speaks WebSocket: Connection: Upgrade and Upgrade: "
                      "websocket are expected");
    if (http1_field_count(r, version) > 1)
        return refuse(bad, 400, "Sec-WebSocket-Version is given more than once");
    if (!bytes_equal(http1_field(r, version), BYTES("13")))
        return refuse(bad, 426, "Sec-WebSocket-Version must be 13");
    if (http1_field_count(r, key) != 1)
        return refuse(bad, 400, "exactly one Sec-WebSocket-Key is expected");
    if (r->chunked || (r->has_length && r->length > 0))
        return refuse(bad, 400, "a WebSocket handshake has no body");
    e = ws_accept_key(http1_field(r, key), out->accept);
    if (e == ERR_FULL)
        return refuse(bad, 503, "the system has no memory left");
    if (e)
        return refuse(bad, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    return deflate_negotiate(r, deflate, &out->deflate, bad);
}

size_t upgrade_write(char out[UPGRADE_TEXT_MAX], const struct upgrade *u)
{
    static const char before[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: ";
    static const char end[] = "\r\n";
    enum { ACCEPT_AT = sizeof(before) - 1, LINE_END = sizeof(end) - 1 };
    size_t len = ACCEPT_AT + WS_ACCEPT_TEXT;

    static_assert(ACCEPT_AT + WS_ACCEPT_TEXT + 2 * LINE_END + DEFLATE_ANSWER_MAX ==
                      UPGRADE_TEXT_MAX,
                  "as long as promised");
    memcpy(out, before, ACCEPT_AT);
    memcpy(out + ACCEPT_AT, u->accept, WS_ACCEPT_TEXT);
    memcpy(out + len, end, LINE_END);
    len += LINE_END;
    len += deflate_write_answer(out + len, &u->deflate);
    memcpy(out + len, end, LINE_END);
    return len + LINE_END;
}
