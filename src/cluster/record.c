#include "cluster/record.h"

#include <inttypes.h>
#include <stdio.h>
#include "cluster/peer.h"

static bool is_plain(struct bytes url)
{
    if (url.len > RECORD_URL_MAX)
        return false;
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.at[i] <= ' ' || url.at[i] == 0x7f)
            return false;
    return true;
}

void record_write(struct buf *out, const struct record *r)
{
    char life[LIFE_DIGITS + 1];

    record_life_write(life, r->life);
    buf_add(out, bytes_text(life));
    buf_add(out, r->leaving ? BYTES(" 1") : BYTES(" 0"));
    for (int i = 0; i < RECORD_URLS; i++) {
        buf_add_char(out, '\n');
        if (is_plain(r->url[i]))
            buf_add(out, r->url[i]);
    }
}

enum err record_read(struct bytes text, struct record *out)
{
    struct bytes head, rest;

    if (!bytes_cut(text, BYTES("\n"), &head, &rest))
        return ERR_BAD;
    if (head.len != LIFE_DIGITS + 2 || head.at[LIFE_DIGITS] != ' ' ||
        (head.at[LIFE_DIGITS + 1] != '0' && head.at[LIFE_DIGITS + 1] != '1') ||
        record_life_read(bytes_of(head.at, LIFE_DIGITS), &out->life))
        return ERR_BAD;
    out->leaving = head.at[LIFE_DIGITS + 1] == '1';
    for (int i = 0; i < RECORD_URLS; i++) {
        bool more = bytes_cut(rest, BYTES("\n"), &out->url[i], &rest);

        if (more != (i < RECORD_URLS - 1) || !is_plain(out->url[i]))
            return ERR_BAD;
    }
    return ERR_OK;
}

bool record_is_id(struct bytes id)
{
    if (id.len == 0 || id.len > INSTANCE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-'))
            return false;
    }
    return true;
}

void record_life_write(char out[LIFE_DIGITS + 1], uint64_t life)
{
    snprintf(out, LIFE_DIGITS + 1, "%016" PRIx64, life);
}

enum err record_life_read(struct bytes text, uint64_t *life)
{
    uint64_t n = 0;

    if (text.len != LIFE_DIGITS)
        return ERR_BAD;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (c >= '0' && c <= '9')
            n = n << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uint64_t)(c - 'a' + 10);
        else
            return ERR_BAD;
    }
    if (!n)
        return ERR_BAD;
    *life = n;
    return ERR_OK;
}

void record_owner_write(struct buf *out, const char *id, uint64_t life)
{
    char digits[LIFE_DIGITS + 1];

    record_life_write(digits, life);
    buf_printf(out, "%s %s", id, digits);
}

enum err record_owner_read(struct bytes text, struct bytes *id, uint64_t *life)
{
    if (text.len < LIFE_DIGITS + 2 || text.len > INSTANCE_ID_MAX + 1 + LIFE_DIGITS ||
        text.at[text.len - LIFE_DIGITS - 1] != ' ')
        return ERR_BAD;
    *id = bytes_of(text.at, text.len - LIFE_DIGITS - 1);
    if (!record_is_id(*id))
        return ERR_BAD;
    return record_life_read(bytes_of(text.at + text.len - LIFE_DIGITS, LIFE_DIGITS), life);
}

void record_left_write(struct buf *out, const char *id, uint64_t life)
{
    buf_add_char(out, '~');
    record_owner_write(out, id, life);
}

bool record_is_left(struct bytes text, struct bytes *owner)
{
    if (text.len == 0 || text.at[0] != '~')
        return false;
    *owner = bytes_of(text.at + 1, text.len - 1);
    return true;
}
