#include "app/config_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include "net/network.h"

enum { URL_MAX = 2048, HOST_MAX = 253 };

static bool port_is_good(struct bytes port)
{
    unsigned value = 0;
    size_t i;

    if (port.len == 0 || port.len > 5)
        return false;
    for (i = 0; i < port.len; i++) {
        if (!isdigit((unsigned char)port.at[i]))
            return false;
        value = value * 10 + (unsigned)(port.at[i] - '0');
    }
    return value >= 1 && value <= 65535;
}

static bool literal_is_good(struct bytes host)
{
    unsigned char address[16];
    char text[INET6_ADDRSTRLEN];

    if (host.len == 0 || host.len >= sizeof(text))
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

static enum err check_name(struct bytes host, struct problem *why)
{
    size_t i;

    if (host.len == 0)
        return problem_set(why, ERR_BAD, "has no host");
    if (host.len > HOST_MAX)
        return problem_set(why, ERR_BAD, "has a host of more than %d bytes", HOST_MAX);
    if (memchr(host.at, '_', host.len))
        return problem_set(why, ERR_BAD, "has '_' in its host, which Java clients cannot read");
    for (i = 0; i < host.len; i++)
        if (!isalnum((unsigned char)host.at[i]) && !strchr("-.", host.at[i]))
            return problem_set(why, ERR_BAD, "has a character in its host that none may have");
    if (host.at[0] == '.' || host.at[0] == '-')
        return problem_set(why, ERR_BAD, "has a host that begins with '%c'", host.at[0]);
    return ERR_OK;
}

/* host[:port] or [IPv6][:port] */
static enum err check_authority(struct bytes authority, struct problem *why)
{
    struct bytes host, port, rest;
    bool has_port;

    if (bytes_starts(authority, BYTES("["))) {
        if (!bytes_cut(authority, BYTES("]"), &host, &rest) ||
            !literal_is_good(bytes_of(host.at + 1, host.len - 1)))
            return problem_set(why, ERR_BAD, "has no IPv6 address between its brackets");
        has_port = rest.len > 0;
        if (has_port && rest.at[0] != ':')
            return problem_set(why, ERR_BAD, "has something else than a port after its ']'");
        port = has_port ? bytes_of(rest.at + 1, rest.len - 1) : rest;
    } else {
        has_port = bytes_cut(authority, BYTES(":"), &host, &port);
        if (check_name(host, why))
            return ERR_BAD;
    }
    if (has_port && !port_is_good(port))
        return problem_set(why, ERR_BAD, "has no port from 1 to 65535 after its ':'");
    return ERR_OK;
}

static bool is_printable(struct bytes b)
{
    size_t i;

    for (i = 0; i < b.len; i++)
        if (!isgraph((unsigned char)b.at[i]) || strchr("\"<>\\^`{|}", b.at[i]))
            return false;
    return true;
}

static bool cut_scheme(struct bytes url, const char *scheme, struct bytes *rest)
{
    struct bytes prefix = bytes_text(scheme);

    if (!bytes_starts(url, prefix))
        return false;
    *rest = bytes_of(url.at + prefix.len, url.len - prefix.len);
    return true;
}

enum err config_url_check(struct bytes url, const char *scheme, const char *secure_scheme,
                          struct problem *why)
{
    struct bytes rest, authority, path;

    if (!cut_scheme(url, scheme, &rest) && !cut_scheme(url, secure_scheme, &rest))
        return problem_set(why, ERR_BAD, "does not begin with %s or %s", scheme, secure_scheme);
    if (url.len > URL_MAX)
        return problem_set(why, ERR_BAD, "is longer than %d bytes", URL_MAX);
    if (memchr(url.at, '?', url.len) || memchr(url.at, '#', url.len))
        return problem_set(why, ERR_BAD, "has a query or a fragment ('?' or '#')");
    if (!is_printable(url))
        return problem_set(why, ERR_BAD, "has a character that no URL may have");
    bytes_cut(rest, BYTES("/"), &authority, &path);
    if (memchr(rest.at, '@', authority.len))
        return problem_set(why, ERR_BAD, "has a user name ('@')");
    return check_authority(authority, why);
}

enum err config_origin_check(struct bytes origin, struct problem *why)
{
    struct bytes scheme, authority;
    size_t i;

    if (bytes_equal(origin, BYTES("null")))
        return ERR_OK;
    if (!bytes_cut(origin, BYTES("://"), &scheme, &authority) || scheme.len == 0)
        return problem_set(why, ERR_BAD, "has an entry without a scheme such as https://");
    for (i = 0; i < scheme.len; i++)
        if (!isalnum((unsigned char)scheme.at[i]) && !strchr("+-.", scheme.at[i]))
            return problem_set(why, ERR_BAD, "has an entry without a scheme such as https://");
    if (authority.len && memchr(authority.at, '/', authority.len))
        return problem_set(why, ERR_BAD, "has an entry with a '/' after its host");
    return check_authority(authority, why);
}

static bool node_name_is_good(struct bytes host)
{
    size_t i;

    if (host.len == 0 || host.len > HOST_MAX)
        return false;
    for (i = 0; i < host.len; i++)
        if (!isalnum((unsigned char)host.at[i]) && !strchr("-._", host.at[i]))
            return false;
    return true;
}

enum err config_node_check(struct bytes node, struct problem *why)
{
    struct bytes host, port, rest;
    bool is_good;

    if (bytes_starts(node, BYTES("["))) {
        is_good = bytes_cut(node, BYTES("]:"), &host, &rest) &&
                  literal_is_good(bytes_of(host.at + 1, host.len - 1));
        port = rest;
    } else {
        is_good = bytes_cut(node, BYTES(":"), &host, &port) && node_name_is_good(host);
    }
    if (!is_good || !port_is_good(port))
        return problem_set(why, ERR_BAD, "has an entry that is not host:port");
    return ERR_OK;
}

enum err config_network_check(struct bytes network, struct problem *why)
{
    struct network n;

    if (!network_read(network, &n))
        return problem_set(why, ERR_BAD,
                           "has an entry that is neither an address nor a network (of which the "
                           "bits behind its length are 0)");
    return ERR_OK;
}
