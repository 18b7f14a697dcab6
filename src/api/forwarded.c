#include "api/forwarded.h"

#include <ctype.h>
#include <string.h>

enum { HOST_MAX = 255, PREFIX_MAX = 255 };

static const char proto[] = "x-forwarded-proto";
static const char host[] = "x-forwarded-host";
static const char prefix[] = "x-forwarded-prefix";

bool forwarded_is(const struct http1_request *r)
{
    return http1_field_count(r, bytes_text(proto)) || http1_field_count(r, bytes_text(host)) ||
           http1_field_count(r, bytes_text(prefix));
}

/* Twice is nobody's: one of them may be the asker's own. */
static struct bytes only_value(const struct http1_request *r, const char *name)
{
    if (http1_field_count(r, bytes_text(name)) != 1)
        return (struct bytes){0};
    return http1_field(r, bytes_text(name));
}

static bool all_are(struct bytes text, const char *beside_letters)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (!text.at[i] ||
            (!isalnum((unsigned char)text.at[i]) && !strchr(beside_letters, text.at[i])))
            return false;
    return true;
}

static bool is_port(struct bytes text)
{
    unsigned value = 0;
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.at[i]))
            return false;
        value = value * 10 + (unsigned)(text.at[i] - '0');
    }
    return text.len >= 1 && text.len <= 5 && value >= 1 && value <= 65535;
}

/* name, name:port, [IPv6], [IPv6]:port. No list: that has a comma. */
static bool is_host(struct bytes text)
{
    struct bytes name = text, rest = {0};

    if (text.len == 0 || text.len > HOST_MAX)
        return false;
    if (text.at[0] == '[') {
        if (!bytes_cut(text, BYTES("]"), &name, &rest) || name.len < 3)
            return false;
        name = bytes_of(name.at + 1, name.len - 1);
        if (rest.len && rest.at[0] != ':')
            return false;
        return all_are(name, ":.") && (!rest.len || is_port(bytes_of(rest.at + 1, rest.len - 1)));
    }
    if (bytes_cut(text, BYTES(":"), &name, &rest) && !is_port(rest))
        return false;
    return name.len && all_are(name, "-._");
}

/* Segments behind single slashes, none of them "." or "..": "//" would begin a host. */
static bool is_prefix(struct bytes text)
{
    struct bytes segment, rest = text;

    if (text.len == 0 || text.len > PREFIX_MAX || text.at[0] != '/' || !all_are(text, "/-._~"))
        return false;
    rest = bytes_of(text.at + 1, text.len - 1);
    while (rest.len) {
        bytes_cut(rest, BYTES("/"), &segment, &rest);
        if (!segment.len || bytes_equal(segment, BYTES(".")) || bytes_equal(segment, BYTES("..")))
            return false;
    }
    return true;
}

static bool ends_with(struct bytes text, char last)
{
    return text.len && text.at && text.at[text.len - 1] == last;
}

void forwarded_read(const struct http1_request *r, struct own_address *own)
{
    struct bytes value = only_value(r, proto);

    if (bytes_equal_nocase(value, BYTES("https")) || bytes_equal_nocase(value, BYTES("http")))
        own->is_secure = value.len == 5;
    value = only_value(r, host);
    if (is_host(value))
        own->host = value;
    value = only_value(r, prefix);
    if (is_prefix(value))
        own->prefix = bytes_of(value.at, value.len - ends_with(value, '/'));
}
