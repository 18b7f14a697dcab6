#include "wire/json_values.h"

#include <string.h>
#include "base/eight.h"

/* From behind a string's opening quote to behind its closing one, or to the end. */
static const char *skip_string(const char *at, const char *end)
{
    uint64_t eight;

    while (at < end) {
        while (end - at >= (ptrdiff_t)sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if (eight_equal(eight, '"') | eight_equal(eight, '\\'))
                break;
            at += sizeof eight;
        }
        for (int i = 0; i < (int)sizeof eight && at < end; i++, at++) {
            if (*at == '"')
                return at + 1;
            if (*at == '\\' && at + 1 < end)
                at++;
        }
    }
    return end;
}

/* Is the container that begins before at without values? */
static bool is_empty(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at < end && (*at == ']' || *at == '}');
}

struct count {
    size_t values;
    ptrdiff_t depth; /* of what is no JSON it may be negative */
};

/* Skips eights in which nothing opens: numbers and commas, mostly. */
static const char *skip_flat(const char *at, const char *end, size_t most, struct count *c)
{
    uint64_t eight, folded;

    for (; end - at >= (ptrdiff_t)sizeof eight && c->values <= most; at += sizeof eight) {
        memcpy(&eight, at, sizeof eight);
        folded = eight | eight_of(0x20); /* [ is { now, and ] is } */
        if (eight_equal(eight, '"') | eight_equal(folded, '{'))
            break;
        c->values += eight_count(eight, ',');
        c->depth -= eight_count(folded, '}');
    }
    return at;
}

enum json_excess json_excess(struct bytes text, size_t most, size_t depth)
{
    const char *at = text.at, *end = text.at + text.len;
    struct count c = {.values = 1};

    if (text.len / 2 < most) /* none takes less than two bytes, its comma or bracket included */
        return JSON_FITS;
    while (at < end && c.values <= most) {
        const char *till;

        at = skip_flat(at, end, most, &c);
        till = end - at > (ptrdiff_t)sizeof(uint64_t) ? at + sizeof(uint64_t) : end;
        while (at < till && c.values <= most) {
            char byte = *at++;

            if (byte == '"') {
                at = skip_string(at, end);
            } else if (byte == '[' || byte == '{') {
                if (++c.depth > (ptrdiff_t)depth)
                    return JSON_DEEP;
                c.values += !is_empty(at, end);
            } else {
                c.depth -= byte == ']' || byte == '}';
                c.values += byte == ',';
            }
        }
    }
    return c.values > most ? JSON_MANY : JSON_FITS;
}
