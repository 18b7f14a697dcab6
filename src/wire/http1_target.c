#include "wire/http1_syntax.h"

#include <arpa/inet.h>

/* [v6 address]; *len is its length with the brackets. */
static bool is_bracketed(struct bytes b, size_t *len)
{
    const char *end = memchr(b.at, ']', b.len);
    size_t inside = end ? (size_t)(end - b.at) - 1 : 0;
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (inside == 0 || inside >= sizeof(text) || memchr(b.at, '\0', inside))
        return false;
    memcpy(text, b.at + 1, inside);
    text[inside] = '\0';
    *len = inside + 2;
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* A registered name or an IPv4 address; *len is how far it goes. */
static bool is_name(struct bytes b, size_t *len)
{
    size_t i = 0;

    while (i < b.len && http1_is(b.at[i], HTTP1_HOST)) {
        if (b.at[i] == '%' &&
            (b.len - i < 3 || http1_hex(b.at[i + 1]) < 0 || http1_hex(b.at[i + 2]) < 0))
            return false;
        i++;
    }
    *len = i;
    return true;
}

bool http1_is_host(struct bytes b)
{
    size_t i = 0;

    if (b.len > 0 && b.at[0] == '[' ? !is_bracketed(b, &i) : !is_name(b, &i))
        return false;
    if (i == b.len)
        return true;
    if (b.at[i] != ':')
        return false;
    for (i++; i < b.len; i++) {
        if (b.at[i] < '0' || b.at[i] > '9')
            return false;
    }
    return true;
}

/* From "http://host/path?query" to "/path?query"; what is left may lack the path. */
static bool take_authority(struct bytes *target, struct bytes *authority)
{
    struct bytes scheme, rest;
    size_t len = 0;

    if (!bytes_cut(*target, BYTES("://"), &scheme, &rest))
        return false;
    if (!bytes_equal_nocase(scheme, BYTES("http")) && !bytes_equal_nocase(scheme, BYTES("https")))
        return false;
    while (len < rest.len && rest.at[len] != '/' && rest.at[len] != '?')
        len++;
    if (len == 0 || rest.at[0] == ':' || !http1_is_host(bytes_of(rest.at, len)))
        return false;
    *authority = bytes_of(rest.at, len);
    *target = bytes_of(rest.at + len, rest.len - len);
    return true;
}

bool http1_read_target(struct http1_request *r, struct http1_bad *bad)
{
    struct bytes rest = r->target;

    if (!http1_all(rest, HTTP1_TARGET))
        return http1_refuse(bad, 400,
                            "the target holds '#' or a byte that must be percent-encoded: a "
                            "control character, or one outside ASCII");
    if (bytes_equal(rest, BYTES("*"))) {
        if (r->method != HTTP1_OPTIONS)
            return http1_refuse(bad, 400, "the target * is for OPTIONS alone");
        r->path = rest;
        return true;
    }
    if (!bytes_starts(rest, BYTES("/")) && !take_authority(&rest, &r->authority))
        return http1_refuse(bad, 400,
                            "the target is neither a path that begins with / nor an "
                            "absolute http or https address");
    (void)bytes_cut(rest, BYTES("?"), &r->path, &r->query);
    /* OPTIONS http://host is what a proxy makes OPTIONS * of (RFC 9112, 3.2.4) */
    if (r->path.len == 0)
        r->path = r->method == HTTP1_OPTIONS && rest.len == 0 ? BYTES("*") : BYTES("/");
    return true;
}

bool http1_decode_path(struct bytes path, char *out, size_t *len)
{
    const char *escape = path.len ? memchr(path.at, '%', path.len) : NULL;
    size_t n = escape ? (size_t)(escape - path.at) : path.len;

    if (n)
        memcpy(out, path.at, n);
    for (size_t i = n; i < path.len; i++) {
        int high, low;

        if (path.at[i] != '%') {
            out[n++] = path.at[i];
            continue;
        }
        if (path.len - i < 3)
            return false;
        high = http1_hex(path.at[i + 1]);
        low = http1_hex(path.at[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return false;
        if (high * 16 + low == '/') {
            memcpy(out + n, path.at + i, 3);
            n += 3;
        } else {
            out[n++] = (char)(high * 16 + low);
        }
        i += 2;
    }
    *len = n;
    return true;
}
