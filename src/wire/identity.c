#include "wire/identity.h"

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

/* In UTF-8 the C1 controls are C2 80 to C2 9F; all others are single bytes. */
bool dimension_is_plain(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
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
