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

bool json_values_exceed(struct bytes text, size_t most)
{
    const char *at = text.at, *end = text.at + text.len;
    size_t values = 1;

    if (text.len / 2 < most) /* none takes less than two bytes, its comma or bracket included */
        return false;
    while (at < end && values <= most) {
        char c = *at++;

        if (c == '"')
            at = skip_string(at, end);
        else if (c == '[' || c == '{')
            values += !is_empty(at, end);
        else
            values += c == ',';
    }
    return values > most;
}
