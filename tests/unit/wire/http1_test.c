#include "wire/http1.h"

#include "unit/wire/split.h"

static const struct http1_limits usual = {.line_bytes = 8192, .head_bytes = 16384, .fields = 100};

#define HOST "Host: h\r\n"
/* BYTES for tables */
#define B(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A head as one readable line, for comparison. */
static void describe(struct buf *out, const struct http1_request *r, size_t used)
{
    buf_printf(out, "%d %.*s %.*s %.*s?%.*s 1.%d", r->method, (int)r->method_name.len,
               r->method_name.at, (int)r->target.len, r->target.at, (int)r->path.len, r->path.at,
               (int)r->query.len, r->query.len ? r->query.at : "", r->minor);
    buf_printf(out, "%s%s%s", r->keep_alive ? " keep" : "", r->chunked ? " chunked" : "",
               r->expects_continue ? " continue" : "");
    if (r->authority.len)
        buf_printf(out, " at=%.*s", (int)r->authority.len, r->authority.at);
    if (r->has_length)
        buf_printf(out, " length=%llu", (unsigned long long)r->length);
    for (size_t i = 0; i < r->field_count; i++)
        buf_printf(out, " %.*s=[%.*s]", (int)r->fields[i].name.len, r->fields[i].name.at,
                   (int)r->fields[i].value.len, r->fields[i].value.at);
    buf_printf(out, " used=%zu", used);
}

/* Of a good head: behind the first empty line that is not the first line. */
static size_t head_len(const char *head)
{
    return (size_t)(strstr(head + 2, "\r\n\r\n") + 4 - head);
}

/* What the parser makes of `in`, handed over in growing prefixes, each in memory of its own that
   ends where the prefix ends. */
static void outcome(struct buf *out, struct bytes in, const struct http1_limits *limits,
                    enum split how, struct dice *d)
{
    enum http1_result result = HTTP1_MORE;
    size_t scanned = 0, used = 0, have = 0;

    while (result == HTTP1_MORE && have < in.len) {
        struct http1_field *fields = malloc((limits->fields + 1) * sizeof *fields);
        struct http1_request *r = malloc(sizeof *r);
        struct http1_bad bad;
        char *prefix;

        have += split_next(how, d, in.len - have);
        prefix = malloc(have);
        assert_true(fields && r && prefix);
        memcpy(prefix, in.at, have);
        result = http1_read_head(bytes_of(prefix, have), limits, fields, r, &scanned, &used, &bad);
        if (result == HTTP1_DONE)
            describe(out, r, used);
        else if (result == HTTP1_BAD)
            buf_printf(out, "%d %s", bad.status, bad.why);
        free(prefix);
        free(r);
        free(fields);
    }
    if (result == HTTP1_MORE)
        buf_printf(out, "more");
}

/* Whole, byte by byte and in random pieces alike; the result is appended to out. */
static void outcome_of_all(struct buf *out, struct bytes in, const struct http1_limits *limits,
                           struct dice *d)
{
    size_t start = out->len;

    outcome(out, in, limits, SPLIT_NEVER, d);
    for (int i = 0; i < 4; i++) {
        struct buf split = {0};

        outcome(&split, in, limits, i == 0 ? SPLIT_BYTES : SPLIT_RANDOM, d);
        assert_text(buf_bytes(&split), bytes_of(out->at + start, out->len - start), in.at);
        buf_fini(&split);
    }
}

static const struct {
    const char *head, *wanted;
} accepted[] = {
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "0 GET / /? 1.1 keep Host=[h]"},
    {"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "0 GET / /? 1.1 keep Host=[h]"},
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\nrest", "0 GET / /? 1.1 keep Host=[h]"},
    {"GET / HTTP/1.1\r\nhOST:h\r\n\r\n", "0 GET / /? 1.1 keep hOST=[h]"},
    {"GET / HTTP/1.1\r\nHost: \t h \t\r\n\r\n", "0 GET / /? 1.1 keep Host=[h]"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "0 GET / /? 1.1 keep Host=[]"},
    {"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", "0 GET / /? 1.1 keep Host=[127.0.0.1:8080]"},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "0 GET / /? 1.1 keep Host=[[::1]:80]"},
    {"GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "0 GET / /? 1.1 keep Host=[h:]"},
    {"HEAD /a?b HTTP/1.1\r\nHost: h\r\n\r\n", "1 HEAD /a?b /a?b 1.1 keep Host=[h]"},
    {"POST /a??b HTTP/1.1\r\nHost: h\r\n\r\n", "2 POST /a??b /a??b 1.1 keep Host=[h]"},
    {"PUT /a? HTTP/1.1\r\nHost: h\r\n\r\n", "3 PUT /a? /a? 1.1 keep Host=[h]"},
    {"DELETE //a HTTP/1.1\r\nHost: h\r\n\r\n", "4 DELETE //a //a? 1.1 keep Host=[h]"},
    {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "5 OPTIONS * *? 1.1 keep Host=[h]"},
    {"OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\n", "5 OPTIONS /a /a? 1.1 keep Host=[h]"},
    {"PATCH /%41 HTTP/1.1\r\nHost: h\r\n\r\n", "6 PATCH /%41 /%41? 1.1 keep Host=[h]"},
    {"get / HTTP/1.1\r\nHost: h\r\n\r\n", "7 get / /? 1.1 keep Host=[h]"},
    {"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "7 TRACE / /? 1.1 keep Host=[h]"},
    {"a!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: h\r\n\r\n",
     "7 a!#$%&'*+-.^_`|~9 / /? 1.1 keep Host=[h]"},
    {"GET /\"<>[]{}|^`\\;@:!$ HTTP/1.1\r\nHost: h\r\n\r\n",
     "0 GET /\"<>[]{}|^`\\;@:!$ /\"<>[]{}|^`\\;@:!$? 1.1 keep Host=[h]"},
    {"GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n",
     "0 GET http://h/a?b /a?b 1.1 keep at=h Host=[h]"},
    {"GET HTTPS://h:1 HTTP/1.1\r\nHost: x\r\n\r\n",
     "0 GET HTTPS://h:1 /? 1.1 keep at=h:1 Host=[x]"},
    {"OPTIONS http://h HTTP/1.1\r\nHost: x\r\n\r\n",
     "5 OPTIONS http://h *? 1.1 keep at=h Host=[x]"},
    {"OPTIONS http://h? HTTP/1.1\r\nHost: x\r\n\r\n",
     "5 OPTIONS http://h? /? 1.1 keep at=h Host=[x]"},
    {"OPTIONS http://h/ HTTP/1.1\r\nHost: x\r\n\r\n",
     "5 OPTIONS http://h/ /? 1.1 keep at=h Host=[x]"},
    {"GET / HTTP/1.1\r\nHost: a_b,c%2d%C3\r\n\r\n", "0 GET / /? 1.1 keep Host=[a_b,c%2d%C3]"},
    {"GET http://[::1]:1?q HTTP/1.1\r\nHost: x\r\n\r\n",
     "0 GET http://[::1]:1?q /?q 1.1 keep at=[::1]:1 Host=[x]"},
    {"GET http://a:81/ HTTP/1.0\r\n\r\n", "0 GET http://a:81/ /? 1.0 at=a:81"},
    {"GET / HTTP/1.2\r\nHost: x\r\n\r\n", "0 GET / /? 1.1 keep Host=[x]"},
    {"GET / HTTP/1.9\r\nHost: x\r\n\r\n", "0 GET / /? 1.1 keep Host=[x]"},
    {"GET / HTTP/1.1\r\nHost: [fe80::0:1.2.3.4]:9099\r\n\r\n",
     "0 GET / /? 1.1 keep Host=[[fe80::0:1.2.3.4]:9099]"},
    /* versions and connections */
    {"GET / HTTP/1.0\r\n\r\n", "0 GET / /? 1.0"},
    {"GET / HTTP/1.0\r\nHost: h\r\n\r\n", "0 GET / /? 1.0 Host=[h]"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "0 GET / /? 1.0 keep Connection=[keep-alive]"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
     "0 GET / /? 1.0 Connection=[keep-alive, close]"},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: x ,, CLOSE\r\n\r\n",
     "0 GET / /? 1.1 Host=[h] Connection=[x ,, CLOSE]"},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: a\r\nConnection: close\r\n\r\n",
     "0 GET / /? 1.1 Host=[h] Connection=[a] Connection=[close]"},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n",
     "0 GET / /? 1.1 keep Host=[h] Connection=[closed]"},
    /* bodies */
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
     "2 POST / /? 1.1 keep length=0 Host=[h] Content-Length=[0]"},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\n\r\n1234567",
     "2 POST / /? 1.1 keep length=7 Host=[h] Content-Length=[007]"},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n",
     "2 POST / /? 1.1 keep length=18446744073709551615 Host=[h] "
     "Content-Length=[18446744073709551615]"},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n",
     "2 POST / /? 1.1 keep chunked Host=[h] Transfer-Encoding=[Chunked]"},
    {"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n",
     "2 POST / /? 1.1 keep continue length=5 Host=[h] Expect=[100-Continue] Content-Length=[5]"},
    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "2 POST / /? 1.0 Expect=[100-continue]"},
    /* values */
    {"GET / HTTP/1.1\r\nHost: h\r\nX: a\tb \x80\xFF: \"'\r\n\r\n",
     "0 GET / /? 1.1 keep Host=[h] X=[a\tb \x80\xFF: \"']"},
    {"GET / HTTP/1.1\r\nHost: h\r\nX:\r\nX: \r\n\r\n", "0 GET / /? 1.1 keep Host=[h] X=[] X=[]"},
};

static void takes_what_is_right(void **state)
{
    struct dice d = dice_new("http1 accepted");

    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        struct bytes head = bytes_text(accepted[i].head);
        struct buf got = {0}, wanted = {0};

        buf_printf(&wanted, "%s used=%zu", accepted[i].wanted, head_len(accepted[i].head));
        outcome_of_all(&got, head, &usual, &d);
        assert_text(buf_bytes(&got), buf_bytes(&wanted), accepted[i].head);
        buf_fini(&got);
        buf_fini(&wanted);
    }
}

/* No proper beginning of a good head is refused or taken for a whole one. */
static void wants_more_until_the_end(void **state)
{
    struct dice d = dice_new("http1 beginnings");

    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        const char *head = accepted[i].head;
        size_t len = head_len(head);

        for (size_t n = 0; n < len; n++) {
            struct buf got = {0};

            outcome(&got, bytes_of(head, n), &usual, SPLIT_NEVER, &d);
            assert_text(buf_bytes(&got), BYTES("more"), head);
            buf_fini(&got);
        }
    }
}

#define REQUEST(fields) "POST / HTTP/1.1\r\nHost: h\r\n" fields "\r\n\r\n"

static const struct {
    int status;
    struct bytes head;
} refused[] = {
    /* beginnings and line ends */
    {400, B("\n")},
    {400, B("\r\r\n")},
    {400, B("\r\n\r\n")},
    {400, B("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n")},
    {400, B(" GET / HTTP/1.1\r\n" HOST "\r\n")},
    {400, B("\0")},
    {400, B("\x16\x03\x01\x02")},
    {400, B("GET / HTTP/1.1\n" HOST "\r\n")},
    {400, B("GET / HTTP/1.1\n")},
    {400, B("GET / HTTP/1.1\r\r\n" HOST "\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: h\n")},
    {400, B("GET / HTTP/1.1\r\nHost: h\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: h\r\n\n")},
    {400, B("GET / HTTP/1.1\r\nHost: h\r\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: h\r\n\r\r\n\r\n")},
    {400, B(REQUEST("X: a\rb"))},
    {400, B(REQUEST("X: a\rb: c"))},
    {400, B(REQUEST("\rX: a"))},
    /* request lines */
    {400, B("GET\r\n")},
    {400, B("GET /\r\n")},
    {400, B("GET / \r\n")},
    {400, B("GET /  HTTP/1.1\r\n")},
    {400, B("GET  / HTTP/1.1\r\n")},
    {400, B("GET  HTTP/1.1\r\n")},
    {400, B("GET\t/ HTTP/1.1\r\n")},
    {400, B("GET /\tHTTP/1.1\r\n")},
    {400, B("GET / HTTP/1.1 \r\n")},
    {400, B("GET / HTTP/1.1\t\r\n")},
    {400, B("GET /a b HTTP/1.1\r\n")},
    {400, B("G@T / HTTP/1.1\r\n")},
    {400, B("G\xC3\x89T / HTTP/1.1\r\n")},
    {400, B("GET: / HTTP/1.1\r\n")},
    {400, B("GET / http/1.1\r\n")},
    {400, B("GET / HTTP/1\r\n")},
    {400, B("GET / HTTP/1.\r\n")},
    {400, B("GET / HTTP/1.10\r\n")},
    {400, B("GET / HTTP/01.1\r\n")},
    {400, B("GET / HTTP/1,1\r\n")},
    {400, B("GET / HTTP/a.1\r\n")},
    {400, B("GET / HTTP/1.a\r\n")},
    {400, B("GET / HTTP/ 1.1\r\n")},
    {400, B("GET / HTTPS/1.1\r\n")},
    {400, B("GET / ICY/1.1.1\r\n")},
    {505, B("GET / HTTP/0.9\r\n")},
    {505, B("GET / HTTP/2.0\r\n")},
    {505, B("GET / HTTP/9.1\r\n")},
    {505, B("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    /* targets */
    {400, B("GET a HTTP/1.1\r\n")},
    {400, B("GET ?a HTTP/1.1\r\n")},
    {400, B("GET * HTTP/1.1\r\n")},
    {400, B("OPTIONS ** HTTP/1.1\r\n")},
    {400, B("GET /a#b HTTP/1.1\r\n")},
    {400, B("GET /# HTTP/1.1\r\n")},
    {400, B("GET /\x7F HTTP/1.1\r\n")},
    {400, B("GET /\0 HTTP/1.1\r\n")},
    {400, B("GET /\x01 HTTP/1.1\r\n")},
    {400, B("GET /\ra HTTP/1.1\r\n")},
    {400, B("GET /\xC3\xA4 HTTP/1.1\r\n")},
    {400, B("CONNECT h:1 HTTP/1.1\r\n")},
    {400, B("GET ftp://h/ HTTP/1.1\r\n")},
    {400, B("GET http:/h/ HTTP/1.1\r\n")},
    {400, B("GET http:// HTTP/1.1\r\n")},
    {400, B("GET http:///a HTTP/1.1\r\n")},
    {400, B("GET http://?a HTTP/1.1\r\n")},
    {400, B("GET http://:80/ HTTP/1.1\r\n")},
    {400, B("GET http://u@h/ HTTP/1.1\r\n")},
    {400, B("GET http://h:a/ HTTP/1.1\r\n")},
    {400, B("GET http://[::1/ HTTP/1.1\r\n")},
    {400, B("GET http://[1]/ HTTP/1.1\r\n")},
    {400, B("GET http://%4/ HTTP/1.1\r\n")},
    {400, B("GET ://h/ HTTP/1.1\r\n")},
    /* hosts */
    {400, B("GET / HTTP/1.1\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHosts: h\r\n\r\n")},
    {400, B(REQUEST("Host: h"))},
    {400, B(REQUEST("host: i"))},
    {400, B("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: \xC3\xA4\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: h:80a\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: []\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [g]\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [1]\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [:::]\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [1111:2222:3333:4444:5555:6666:7777:8888:9999:0000]\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: a%zzb\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: a%2\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: %\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n")},
    /* header lines */
    {400, B("GET / HTTP/1.1\r\n Host: h\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost : h\r\n\r\n")},
    {400, B("GET / HTTP/1.1\r\nHost\t: h\r\n\r\n")},
    {400, B(REQUEST("X: a\r\n b"))},
    {400, B(REQUEST("X: a\r\n\tb: c"))},
    {400, B(REQUEST("X: a\r\n "))},
    {400, B(REQUEST("X : a"))},
    {400, B(REQUEST("X"))},
    {400, B(REQUEST(": a"))},
    {400, B(REQUEST(":"))},
    {400, B(REQUEST("X Y: a"))},
    {400, B(REQUEST("X(: a"))},
    {400, B(REQUEST("\xC3\xA4: a"))},
    {400, B(REQUEST("X\0: a"))},
    {400, B(REQUEST("X: a\0b"))},
    {400, B(REQUEST("X: \x01"))},
    {400, B(REQUEST("X: a\x7F"))},
    {400, B(REQUEST("X: a\x1B[0m"))},
    {400, B(REQUEST("X: a\x0B"))},
    /* lengths and codings */
    {400, B(REQUEST("Content-Length:"))},
    {400, B(REQUEST("Content-Length: +5"))},
    {400, B(REQUEST("Content-Length: -5"))},
    {400, B(REQUEST("Content-Length: 5 5"))},
    {400, B(REQUEST("Content-Length: 5,5"))},
    {400, B(REQUEST("Content-Length: 5, 5"))},
    {400, B(REQUEST("Content-Length: 0x5"))},
    {400, B(REQUEST("Content-Length: 5.0"))},
    {400, B(REQUEST("Content-Length: \"5\""))},
    {400, B(REQUEST("Content-Length: five"))},
    {400, B(REQUEST("Content-Length: 18446744073709551616"))},
    {400, B(REQUEST("Content-Length: 18446744073709551620"))},
    {400, B(REQUEST("Content-Length: 99999999999999999999999"))},
    {400, B(REQUEST("Content-Length: 5\r\nContent-Length: 5"))},
    {400, B(REQUEST("Content-Length: 5\r\ncontent-length: 6"))},
    {400, B(REQUEST("Content-Length: 5\r\nTransfer-Encoding: chunked"))},
    {400, B(REQUEST("Transfer-Encoding: chunked\r\nContent-Length: 5"))},
    {400, B(REQUEST("Transfer-Encoding: gzip\r\nContent-Length: 5"))},
    {400, B("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {400, B(REQUEST("Transfer-Encoding:"))},
    {400, B(REQUEST("Transfer-Encoding: ,"))},
    {400, B(REQUEST("Transfer-Encoding: gzip"))},
    {400, B(REQUEST("Transfer-Encoding: identity"))},
    {400, B(REQUEST("Transfer-Encoding: chunked, gzip"))},
    {400, B(REQUEST("Transfer-Encoding: chunked, identity"))},
    {400, B(REQUEST("Transfer-Encoding: chunked, chunked"))},
    {400, B(REQUEST("Transfer-Encoding: chunked, gzip, chunked"))},
    {400, B(REQUEST("Transfer-Encoding: chunked,"))},
    {400, B(REQUEST("Transfer-Encoding: chunked;a=b"))},
    {400, B(REQUEST("Transfer-Encoding: \"chunked\""))},
    {400, B(REQUEST("Transfer-Encoding: chunked chunked"))},
    {400, B(REQUEST("Transfer-Encoding: xchunked"))},
    {400, B(REQUEST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"))},
    {400, B(REQUEST("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip"))},
    {400, B(REQUEST("Transfer-Encoding: chunked\r\nTransfer-Encoding:"))},
    {501, B(REQUEST("Transfer-Encoding: gzip, chunked"))},
    {501, B(REQUEST("Transfer-Encoding: , chunked"))},
    {501, B(REQUEST("Transfer-Encoding: identity, Chunked"))},
    {501, B(REQUEST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"))},
    /* expectations */
    {417, B(REQUEST("Expect:"))},
    {417, B(REQUEST("Expect: 200-ok"))},
    {417, B(REQUEST("Expect: 100-continue, x"))},
    {417, B(REQUEST("Expect: 100-continue\r\nExpect: x"))},
};

static void refuses_what_is_wrong(void **state)
{
    struct dice d = dice_new("http1 refused");

    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct buf got = {0};
        char status[8];

        outcome_of_all(&got, refused[i].head, &usual, &d);
        snprintf(status, sizeof status, "%d ", refused[i].status);
        if (!bytes_starts(buf_bytes(&got), bytes_text(status)))
            fail_msg("%s\ngave %.*s", refused[i].head.at, (int)got.len, got.at);
        buf_fini(&got);
    }
}

/* Any head with a few bytes changed, taken away or doubled gives the same in any pieces. */
static void says_the_same_of_spoilt_heads(void **state)
{
    static const char bytes[] = "\r\n \t:/?#*,%aH1\0\x80\x7F";
    static const struct http1_limits tight = {.line_bytes = 30, .head_bytes = 60, .fields = 3};
    struct dice d = dice_new("http1 spoilt");

    (void)state;
    for (int i = 0; i < 30000; i++) {
        struct bytes head = dice_roll(&d, 2)
                                ? bytes_text(accepted[dice_roll(&d, COUNT(accepted))].head)
                                : refused[dice_roll(&d, COUNT(refused))].head;
        struct buf spoilt = {0}, got = {0};

        buf_add(&spoilt, head);
        for (size_t n = dice_roll(&d, 4); n > 0 && spoilt.len > 0; n--) {
            size_t at = dice_roll(&d, spoilt.len);

            if (dice_roll(&d, 3) == 0) {
                memmove(spoilt.at + at, spoilt.at + at + 1, --spoilt.len - at);
                continue;
            }
            if (dice_roll(&d, 2) == 0) {
                buf_add_char(&spoilt, 0);
                memmove(spoilt.at + at + 1, spoilt.at + at, spoilt.len - 1 - at);
            }
            spoilt.at[at] = bytes[dice_roll(&d, sizeof bytes - 1)];
        }
        outcome_of_all(&got, buf_bytes(&spoilt), dice_roll(&d, 2) ? &usual : &tight, &d);
        buf_fini(&spoilt);
        buf_fini(&got);
    }
}

/* Is `in` DONE (0), MORE (1), or refused with this status by a sentence that has the key in it? */
static void expect(struct bytes in, const struct http1_limits *limits, int status, const char *key,
                   struct dice *d)
{
    struct buf got = {0};
    char wanted[8];

    outcome_of_all(&got, in, limits, d);
    buf_add_char(&got, 0);
    snprintf(wanted, sizeof wanted, "%d ", status);
    if (status == 0)
        assert_non_null(strstr(got.at, " used="));
    else if (status == 1)
        assert_string_equal(got.at, "more");
    else if (!bytes_starts(buf_bytes(&got), bytes_text(wanted)) || !strstr(got.at, key))
        fail_msg("%s instead of %d and %s", got.at, status, key);
    buf_fini(&got);
}

static void fill(struct buf *out, char c, size_t n)
{
    memset(buf_reserve(out, n), c, n);
    out->len += n;
}

static void holds_the_line_limit(void **state)
{
    static const char key[] = "pushca.limits.request-line-bytes";
    static const size_t limits[] = {14, 15, 100, 8192};
    struct dice d = dice_new("http1 line limit");

    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        for (int lead = 0; lead < 2; lead++) {
            for (int more = -1; more <= 1; more++) {
                struct http1_limits l = {.line_bytes = limits[i], .head_bytes = 100, .fields = 5};
                size_t len = limits[i] + (size_t)more;
                struct buf head = {0};

                if (len < 14)
                    continue;
                buf_add(&head, bytes_of("\r\n", lead ? 2 : 0));
                buf_add(&head, BYTES("GET /"));
                fill(&head, 'a', len - 14);
                buf_add(&head, BYTES(" HTTP/1.1"));
                /* certain before its end was seen */
                expect(buf_bytes(&head), &l, more > 0 ? 414 : 1, key, &d);
                buf_add(&head, BYTES("\r\n" HOST "\r\n"));
                expect(buf_bytes(&head), &l, more > 0 ? 414 : 0, key, &d);
                buf_fini(&head);
            }
        }
    }
}

static void holds_the_head_limit(void **state)
{
    static const char key[] = "pushca.limits.head-bytes";
    static const size_t limits[] = {14, 60, 16384};
    struct dice d = dice_new("http1 head limit");

    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        for (int more = -1; more <= 1; more++) {
            struct http1_limits l = {.line_bytes = 100, .head_bytes = limits[i], .fields = 5};
            size_t len = limits[i] + (size_t)more;
            struct buf head = {0};

            buf_add(&head, BYTES("GET / HTTP/1.1\r\n" HOST));
            if (len >= 9 + 4) {
                buf_add(&head, BYTES("X:"));
                fill(&head, 'a', len - 9 - 4);
            }
            expect(buf_bytes(&head), &l, more > 0 ? 431 : 1, key, &d);
            buf_add(&head, BYTES("\r\n\r\n"));
            expect(buf_bytes(&head), &l, more > 0 ? 431 : 0, key, &d);
            buf_fini(&head);
        }
    }
}

/* The empty line at the end is no header line. */
static void counts_the_lines_alone(void **state)
{
    static const struct http1_limits exact = {.line_bytes = 14, .head_bytes = 9, .fields = 1};
    static const struct http1_limits nothing = {.line_bytes = 14, .head_bytes = 0, .fields = 0};
    struct dice d = dice_new("http1 exact limits");

    (void)state;
    expect(BYTES("GET / HTTP/1.1\r\n" HOST "\r\n"), &exact, 0, "", &d);
    expect(BYTES("GET / HTTP/1.0\r\n\r\n"), &nothing, 0, "", &d);
    expect(BYTES("GET / HTTP/1.0\r\n\r"), &nothing, 1, "", &d);
    expect(BYTES("GET / HTTP/1.0\r\na"), &nothing, 431, "pushca.limits.head-fields", &d);
}

static void holds_the_field_limit(void **state)
{
    static const char key[] = "pushca.limits.head-fields";
    static const size_t limits[] = {1, 2, 100};
    struct dice d = dice_new("http1 field limit");

    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        for (int more = -1; more <= 1; more++) {
            struct http1_limits l = {.line_bytes = 100, .head_bytes = 1000, .fields = limits[i]};
            size_t count = limits[i] + (size_t)more;
            struct buf head = {0};

            buf_add(&head, BYTES("GET / HTTP/1.0\r\n"));
            for (size_t n = 1; n < count; n++)
                buf_add(&head, BYTES("a:\r\n"));
            if (count > 0)
                buf_add(&head, BYTES("a"));
            expect(buf_bytes(&head), &l, more > 0 ? 431 : 1, key, &d);
            buf_add(&head, count > 0 ? BYTES(":\r\n\r\n") : BYTES("\r\n"));
            expect(buf_bytes(&head), &l, more > 0 ? 431 : 0, key, &d);
            buf_fini(&head);
        }
    }
}

/* Feeds a long input byte by byte from one place, as a caller with a growing buffer does. */
static int status_when_dripping(struct bytes in, const struct http1_limits *limits)
{
    static struct http1_field fields[16001];
    size_t scanned = 0, used;

    for (size_t n = 1; n <= in.len; n++) {
        struct http1_request r;
        struct http1_bad bad;

        switch (http1_read_head(bytes_of(in.at, n), limits, fields, &r, &scanned, &used, &bad)) {
        case HTTP1_MORE:
            break;
        case HTTP1_BAD:
            return bad.status;
        case HTTP1_DONE:
            return 200;
        }
    }
    return 100;
}

/* Larger limits than the reader's memory between calls can count to are cut to what it can. */
static void bounds_boundless_limits(void **state)
{
    static const struct http1_limits none = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
    enum { LINE = 2 << 20, FIELDS = 16000 };

    (void)state;
    for (int more = 0; more <= 1; more++) {
        struct buf head = {0};

        buf_add(&head, BYTES("GET /"));
        fill(&head, 'a', (size_t)(LINE - 14 + more));
        buf_add(&head, BYTES(" HTTP/1.0\r\n"));
        for (int i = 0; i < FIELDS; i++)
            buf_add(&head, BYTES("abc: defghijklmnopqrstuvwxyz\r\n"));
        buf_add(&head, BYTES("\r\n"));
        assert_int_equal(status_when_dripping(buf_bytes(&head), &none), more ? 414 : 200);
        head.len -= 2;
        buf_add(&head, BYTES("a:\r\n\r\n"));
        assert_int_equal(status_when_dripping(buf_bytes(&head), &none), more ? 414 : 431);
        buf_fini(&head);
    }
}

static void starts_anew_after_a_head(void **state)
{
    static const char two[] = "GET /a HTTP/1.0\r\nX: y\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
    struct http1_field fields[100];
    struct http1_request r;
    struct http1_bad bad;
    size_t scanned = 0, used;

    (void)state;
    assert_int_equal(http1_read_head(bytes_of(two, 20), &usual, fields, &r, &scanned, &used, &bad),
                     HTTP1_MORE);
    assert_int_equal(http1_read_head(bytes_text(two), &usual, fields, &r, &scanned, &used, &bad),
                     HTTP1_DONE);
    assert_text(r.path, BYTES("/a"), two);
    assert_int_equal(
        http1_read_head(bytes_text(two + used), &usual, fields, &r, &scanned, &used, &bad),
        HTTP1_DONE);
    assert_text(r.path, BYTES("/b"), two);
    assert_int_equal(r.field_count, 0);
}

static void finds_fields(void **state)
{
    struct http1_field fields[] = {
        {B("Accept"), B("a, b;q=1 ,\tc")},
        {B("Empty"), B("")},
        {B("ACCEPT"), B("d")},
        {B("Odd"), B(",,x,")},
    };
    struct http1_request r = {.fields = fields, .field_count = COUNT(fields)};

    (void)state;
    assert_text(http1_field(&r, BYTES("accept")), BYTES("a, b;q=1 ,\tc"), "accept");
    assert_non_null(http1_field(&r, BYTES("empty")).at);
    assert_int_equal(http1_field(&r, BYTES("empty")).len, 0);
    assert_null(http1_field(&r, BYTES("accep")).at);
    assert_null(http1_field(&r, BYTES("accepts")).at);
    assert_int_equal(http1_field_count(&r, BYTES("Accept")), 2);
    assert_int_equal(http1_field_count(&r, BYTES("empty")), 1);
    assert_int_equal(http1_field_count(&r, BYTES("none")), 0);

    assert_true(http1_list_has(&r, BYTES("accept"), BYTES("A")));
    assert_true(http1_list_has(&r, BYTES("accept"), BYTES("b;q=1")));
    assert_true(http1_list_has(&r, BYTES("accept"), BYTES("c")));
    assert_true(http1_list_has(&r, BYTES("accept"), BYTES("d")));
    assert_true(http1_list_has(&r, BYTES("odd"), BYTES("x")));
    assert_false(http1_list_has(&r, BYTES("accept"), BYTES("b")));
    assert_false(http1_list_has(&r, BYTES("accept"), BYTES("x")));
    assert_false(http1_list_has(&r, BYTES("empty"), BYTES("x")));
    assert_false(http1_list_has(&r, BYTES("none"), BYTES("x")));
}

static void decodes_paths(void **state)
{
    static const struct {
        struct bytes path;
        struct bytes wanted; /* null: refused */
    } table[] = {
        {B(""), B("")},
        {B("/a+b"), B("/a+b")},
        {B("/%41%2e%2E%C3%a4"), B("/A..\xC3\xA4")},
        {B("/a%2fb%2F%41"), B("/a%2fb%2FA")},
        {B("%252F"), B("%2F")},
        {B("%01%10%ff"), B("\x01\x10\xFF")},
        {B("%25%2541"), B("%%41")},
        {B("%00"), {NULL, 0}},
        {B("a%"), {NULL, 0}},
        {B("a%4"), {NULL, 0}},
        {B("a%4g"), {NULL, 0}},
        {B("a%g4"), {NULL, 0}},
        {B("a% 4"), {NULL, 0}},
        {B("%%41"), {NULL, 0}},
        {B("%+1"), {NULL, 0}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char *path = malloc(table[i].path.len + 1), *out = malloc(table[i].path.len + 1);
        size_t len = 0;

        assert_true(path && out);
        memcpy(path, table[i].path.at, table[i].path.len);
        assert_int_equal(http1_decode_path(bytes_of(path, table[i].path.len), out, &len),
                         table[i].wanted.at != NULL);
        if (table[i].wanted.at)
            assert_text(bytes_of(out, len), table[i].wanted, table[i].path.at);
        free(path);
        free(out);
    }
}

static void writes_heads(void **state)
{
    struct buf out = {0};

    (void)state;
    http1_write_status(&out, 404);
    http1_write_field(&out, BYTES("Connection"), BYTES("close"));
    http1_write_field(&out, BYTES("Empty"), bytes_of(NULL, 0));
    http1_write_number(&out, BYTES("Content-Length"), 0);
    http1_write_number(&out, BYTES("X"), UINT64_MAX);
    http1_write_end(&out);
    assert_text(buf_bytes(&out),
                BYTES("HTTP/1.1 404 Not Found\r\nConnection: close\r\nEmpty: \r\n"
                      "Content-Length: 0\r\nX: 18446744073709551615\r\n\r\n"),
                "head");
    buf_fini(&out);
}

static void knows_the_reasons(void **state)
{
    static const int sent[] = {100, 101, 200, 204, 400, 401, 403, 404, 405, 406, 408, 411,
                               413, 414, 415, 417, 426, 429, 431, 500, 501, 503, 505};

    (void)state;
    assert_string_equal(http1_reason(404), "Not Found");
    assert_string_equal(http1_reason(0), "Unknown");
    assert_string_equal(http1_reason(299), "Unknown");
    for (size_t i = 0; i < COUNT(sent); i++)
        assert_string_not_equal(http1_reason(sent[i]), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(wants_more_until_the_end),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(says_the_same_of_spoilt_heads),
        cmocka_unit_test(holds_the_line_limit),
        cmocka_unit_test(holds_the_head_limit),
        cmocka_unit_test(counts_the_lines_alone),
        cmocka_unit_test(holds_the_field_limit),
        cmocka_unit_test(bounds_boundless_limits),
        cmocka_unit_test(starts_anew_after_a_head),
        cmocka_unit_test(finds_fields),
        cmocka_unit_test(decodes_paths),
        cmocka_unit_test(writes_heads),
        cmocka_unit_test(knows_the_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
