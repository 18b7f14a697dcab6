#include "wire/identity.h"

#include <string.h>
#include "base/eight.h"

const char *dimension_name(enum dimension d)
{
    static const char *const names[DIMENSIONS] = {
        [WORKSPACE] = "workSpaceId",
        [ACCOUNT] = "accountId",
        [DEVICE] = "deviceId",
        [APPLICATION] = "applicationId",
    };

    return names[d];
}

void dimension_names(const char *names[DIMENSIONS])
{
    for (int d = 0; d < DIMENSIONS; d++)
        names[d] = dimension_name((enum dimension)d);
}

/* May one of these eight be a control, or begin one? (Not one below a space, of 0x7f or 0xc2: no.)
 */
static bool is_suspect(uint64_t eight)
{
    return eight_controls(eight) | eight_equal(eight, 0x7f) | eight_equal(eight, 0xc2);
}

/* In UTF-8 the C1 controls are C2 80 to C2 9F; all others are single bytes. */
bool dimension_is_plain(struct bytes value)
{
    size_t i = 0;
    uint64_t eight;

    while (value.len - i >= sizeof(eight)) {
        memcpy(&eight, value.at + i, sizeof(eight));
        if (is_suspect(eight))
            break;
        i += sizeof(eight);
    }
    for (; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];

        if (c < 0x20 || c == 0x7f)
            return false;
        if (c == 0xc2 && i + 1 < value.len && (unsigned char)value.at[i + 1] < 0xa0)
            return false;
    }
    return true;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    for (int d = 0; d < DIMENSIONS; d++) {
        if (!bytes_equal(a->dim[d], b->dim[d]))
            return false;
    }
    return true;
}

bool filter_is_direct(const struct filter *f)
{
    for (int d = 0; d < DIMENSIONS; d++) {
        if (f->like.dim[d].len == 0)
            return false;
    }
    return true;
}

size_t identity_bytes(const struct identity *who)
{
    size_t n = 0;
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        n += who->dim[d].len;
    return n;
}

struct identity identity_copy(const struct identity *from, char **room)
{
    struct identity copy;
    int d;

    for (d = 0; d < DIMENSIONS; d++) {
        copy.dim[d] = bytes_of(*room, from->dim[d].len);
        if (from->dim[d].len)
            memcpy(*room, from->dim[d].at, from->dim[d].len);
        *room += from->dim[d].len;
    }
    return copy;
}
