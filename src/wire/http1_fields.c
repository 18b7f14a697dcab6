#include "wire/http1_syntax.h"

struct bytes http1_field(const struct http1_request *r, struct bytes name)
{
    for (size_t i = 0; i < r->field_count; i++) {
        if (bytes_equal_nocase(r->fields[i].name, name))
            return r->fields[i].value;
    }
    return (struct bytes){NULL, 0};
}

size_t http1_field_count(const struct http1_request *r, struct bytes name)
{
    size_t n = 0;

    for (size_t i = 0; i < r->field_count; i++)
        n += bytes_equal_nocase(r->fields[i].name, name);
    return n;
}

static bool is_member(struct bytes list, struct bytes token)
{
    struct bytes member;

    while (list.len > 0) {
        (void)bytes_cut(list, BYTES(","), &member, &list);
        if (bytes_equal_nocase(bytes_trim(member), token))
            return true;
    }
    return false;
}

bool http1_list_has(const struct http1_request *r, struct bytes name, struct bytes token)
{
    for (size_t i = 0; i < r->field_count; i++) {
        if (bytes_equal_nocase(r->fields[i].name, name) && is_member(r->fields[i].value, token))
            return true;
    }
    return false;
}

static bool read_host(const struct http1_request *r, struct http1_bad *bad)
{
    size_t count = http1_field_count(r, BYTES("host"));

    if (count > 1)
        return http1_refuse(bad, 400, "Host is given more than once");
    if (count == 0 && r->minor > 0)
        return http1_refuse(bad, 400, "HTTP/1.1 requires a Host field");
    if (!http1_is_host(http1_field(r, BYTES("host"))))
        return http1_refuse(bad, 400, "Host is not a host name or address with an optional port");
    return true;
}

/* Digits alone, at least one. */
static bool read_number(struct bytes text, uint64_t *out)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text.at[i] - '0'), &n))
            return false;
    }
    *out = n;
    return text.len > 0;
}

/* Equal lengths twice are refused too: who repeats one may mean another (RFC 9112, 6.3). */
static bool read_length(struct http1_request *r, struct http1_bad *bad)
{
    size_t count = http1_field_count(r, BYTES("content-length"));

    if (count > 1)
        return http1_refuse(bad, 400, "Content-Length is given more than once");
    r->has_length = count == 1;
    if (r->has_length && !read_number(http1_field(r, BYTES("content-length")), &r->length))
        return http1_refuse(bad, 400, "Content-Length is not a number of at most 64 bits");
    return true;
}

/* What the members of the list say, all fields taken together. A list that does not end with
   chunked leaves open where the body ends: RFC 9112, 6.3 wants 400 then. Nor is anything forgiven
   that one reader takes for chunked and the next one does not: an empty member, a parameter,
   quotes. */
static bool read_codings(const struct http1_request *r, struct http1_bad *bad)
{
    size_t members = 0, chunked = 0;
    bool is_chunked = false, is_last;

    for (size_t i = 0; i < r->field_count; i++) {
        struct bytes list = r->fields[i].value, member;

        if (!bytes_equal_nocase(r->fields[i].name, BYTES("transfer-encoding")))
            continue;
        do {
            is_last = !bytes_cut(list, BYTES(","), &member, &list);
            members++;
            is_chunked = bytes_equal_nocase(bytes_trim(member), BYTES("chunked"));
            chunked += is_chunked;
        } while (!is_last);
    }
    if (!is_chunked)
        return http1_refuse(bad, 400, "Transfer-Encoding does not end with chunked");
    if (chunked > 1)
        return http1_refuse(bad, 400, "Transfer-Encoding names chunked more than once");
    if (members > 1)
        return http1_refuse(bad, 501, "the only Transfer-Encoding understood is chunked");
    return true;
}

static bool read_coding(struct http1_request *r, struct http1_bad *bad)
{
    size_t count = http1_field_count(r, BYTES("transfer-encoding"));

    if (count == 0)
        return true;
    if (r->has_length)
        return http1_refuse(bad, 400, "both Content-Length and Transfer-Encoding are given");
    if (r->minor == 0)
        return http1_refuse(bad, 400, "HTTP/1.0 has no Transfer-Encoding");
    r->chunked = read_codings(r, bad);
    return r->chunked;
}

/* An HTTP/1.0 sender cannot wait for 100 (RFC 9110, 10.1.1). */
static bool read_expect(struct http1_request *r, struct http1_bad *bad)
{
    size_t count = http1_field_count(r, BYTES("expect"));

    if (count == 0)
        return true;
    if (count > 1 || !bytes_equal_nocase(http1_field(r, BYTES("expect")), BYTES("100-continue")))
        return http1_refuse(bad, 417, "the only expectation understood is 100-continue");
    r->expects_continue = r->minor > 0;
    return true;
}

bool http1_read_meaning(struct http1_request *r, struct http1_bad *bad)
{
    if (!read_host(r, bad) || !read_length(r, bad) || !read_coding(r, bad) || !read_expect(r, bad))
        return false;
    r->keep_alive = !http1_list_has(r, BYTES("connection"), BYTES("close")) &&
                    (r->minor > 0 || http1_list_has(r, BYTES("connection"), BYTES("keep-alive")));
    return true;
}
