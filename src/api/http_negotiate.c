#include "api/http_negotiate.h"

enum { FIELD_NAMES_MAX = 1024 };

static bool covers(struct bytes range, struct bytes type)
{
    struct bytes head, tail;

    if (bytes_equal(range, BYTES("*/*")) || bytes_equal_nocase(range, type))
        return true;
    if (!bytes_cut(range, BYTES("/"), &head, &tail) || !bytes_equal(tail, BYTES("*")))
        return false;
    return type.len > head.len && type.at[head.len] == '/' &&
           bytes_equal_nocase(head, bytes_of(type.at, head.len));
}

/* Next of a list separated by `separator`, trimmed; false at the end. */
static bool next(struct bytes *list, struct bytes separator, struct bytes *out)
{
    struct bytes item, rest;

    if (list->len == 0)
        return false;
    (void)bytes_cut(*list, separator, &item, &rest);
    *list = rest;
    *out = bytes_trim(item);
    return true;
}

/* "q=0", "q=0.0", "q=0.000": by the weight it is not wanted at all. */
static bool is_unwanted(struct bytes parameters)
{
    struct bytes one, name, value;

    while (next(&parameters, BYTES(";"), &one)) {
        size_t i;

        if (!bytes_cut(one, BYTES("="), &name, &value) || !bytes_equal_nocase(name, BYTES("q")))
            continue;
        for (i = 0; i < value.len; i++) {
            if (value.at[i] != '0' && value.at[i] != '.')
                return false;
        }
        return value.len > 0;
    }
    return false;
}

static bool list_accepts(struct bytes list, struct bytes type)
{
    struct bytes item, range, parameters;

    while (next(&list, BYTES(","), &item)) {
        (void)bytes_cut(item, BYTES(";"), &range, &parameters);
        if (covers(bytes_trim(range), type) && !is_unwanted(parameters))
            return true;
    }
    return false;
}

bool http_accepts(const struct http1_request *r, struct bytes type)
{
    bool asked = false;
    size_t i;

    for (i = 0; i < r->field_count; i++) {
        const struct http1_field *f = &r->fields[i];

        if (!bytes_equal_nocase(f->name, BYTES("accept")) || f->value.len == 0)
            continue;
        asked = true;
        if (list_accepts(f->value, type))
            return true;
    }
    return !asked;
}

static bool is_json_type(struct bytes type)
{
    struct bytes suffix = BYTES("+json"), prefix = BYTES("application/");

    if (bytes_equal_nocase(type, BYTES("application/json")))
        return true;
    return type.len > prefix.len + suffix.len &&
           bytes_equal_nocase(bytes_of(type.at, prefix.len), prefix) &&
           bytes_equal_nocase(bytes_of(type.at + type.len - suffix.len, suffix.len), suffix);
}

static bool is_utf8_charset(struct bytes parameters)
{
    struct bytes one, name, value;

    while (next(&parameters, BYTES(";"), &one)) {
        (void)bytes_cut(one, BYTES("="), &name, &value);
        if (!bytes_equal_nocase(bytes_trim(name), BYTES("charset")))
            continue;
        value = bytes_trim(value);
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
            value = bytes_of(value.at + 1, value.len - 2);
        if (!bytes_equal_nocase(value, BYTES("utf-8")) && !bytes_equal_nocase(value, BYTES("utf8")))
            return false;
    }
    return true;
}

bool http_brings_json(const struct http1_request *r, const char **why)
{
    struct bytes coding = http1_field(r, BYTES("content-encoding")), type, parameters;

    *why = "Content-Type must be application/json";
    if (http1_field_count(r, BYTES("content-type")) != 1)
        return false;
    (void)bytes_cut(http1_field(r, BYTES("content-type")), BYTES(";"), &type, &parameters);
    if (!is_json_type(bytes_trim(type)))
        return false;
    *why = "the charset of JSON must be UTF-8";
    if (!is_utf8_charset(parameters))
        return false;
    *why = "Content-Encoding is not supported";
    return coding.len == 0 || bytes_equal_nocase(coding, BYTES("identity"));
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool http_field_names_valid(struct bytes list)
{
    size_t i;

    if (list.len == 0 || list.len > FIELD_NAMES_MAX)
        return false;
    for (i = 0; i < list.len; i++) {
        if (!is_name_char(list.at[i]) && list.at[i] != ',' && list.at[i] != ' ')
            return false;
    }
    return true;
}
