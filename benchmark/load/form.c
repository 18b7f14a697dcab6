#include "load/form.h"

#include <string.h>
#include "load/tools.h"

static const unsigned char key[4] = {0x5a, 0x13, 0xc4, 0x7e};

size_t frame_head(char *at, int opcode, size_t len, bool masked)
{
    char bit = masked ? (char)0x80 : 0;
    size_t n = 2;

    at[0] = (char)(0x80 | opcode);
    if (len < 126) {
        at[1] = (char)(bit | (char)len);
    } else {
        at[1] = (char)(bit | 126);
        at[2] = (char)(len >> 8);
        at[3] = (char)len;
        n = 4;
    }
    if (masked) {
        memcpy(at + n, key, sizeof(key));
        n += sizeof(key);
    }
    return n;
}

static void mask(char *at, const char *from, size_t len, size_t place)
{
    size_t i;

    for (i = 0; i < len; i++)
        at[i] = (char)(from[i] ^ (char)key[(place + i) & 3]);
}

/* Copies the pattern with room for id and text, and notes where they go. */
static size_t lay_out(struct form *f, char *to, const char *pattern, size_t len, size_t text_len)
{
    size_t i, n = 0;

    for (i = 0; i < len; i++) {
        size_t room = pattern[i] == FORM_ID[0]     ? FORM_ID_BYTES
                      : pattern[i] == FORM_TEXT[0] ? text_len
                                                   : 1;

        if (n + room > FORM_MAX - 64)
            die("a message of this length is too much");
        if (pattern[i] == FORM_ID[0])
            f->id_at = (uint32_t)n;
        else if (pattern[i] == FORM_TEXT[0])
            f->text_at = (uint32_t)n;
        if (room == 1 && pattern[i] != FORM_TEXT[0])
            to[n] = pattern[i];
        else
            memset(to + n, '-', room);
        n += room;
    }
    return n;
}

void form_frame(struct form *f, int opcode, const char *pattern, size_t pattern_len,
                size_t text_len)
{
    char payload[FORM_MAX];
    bool has_id = memchr(pattern, (unsigned char)FORM_ID[0], pattern_len) != NULL;
    size_t len = lay_out(f, payload, pattern, pattern_len, text_len), head;

    f->at = grow(f->at, len + 16);
    head = frame_head(f->at, opcode, len, true);
    mask(f->at + head, payload, len, 0);
    f->masked_from = (uint32_t)head;
    f->text_at += (uint32_t)head;
    f->id_at = has_id ? f->id_at + (uint32_t)head : 0;
    f->len = (uint32_t)(head + len);
}

void form_raw(struct form *f, size_t text_len)
{
    size_t head;

    f->at = grow(f->at, text_len + 16);
    head = frame_head(f->at, OPCODE_TEXT, text_len, false);
    *f = (struct form){.at = f->at, .len = (uint32_t)(head + text_len), .text_at = (uint32_t)head};
}

void form_send(struct link *l, const char *id, const char *text, size_t text_len)
{
    const struct form *f = &l->form;
    char out[FORM_MAX];

    memcpy(out, f->at, f->len);
    if (f->masked_from) {
        mask(out + f->text_at, text, text_len, f->text_at - f->masked_from);
        if (f->id_at)
            mask(out + f->id_at, id, FORM_ID_BYTES, f->id_at - f->masked_from);
    } else {
        memcpy(out + f->text_at, text, text_len);
    }
    link_send(l, out, f->len);
}

void frame_send(struct link *l, int opcode, const char *at, size_t len)
{
    char out[FORM_MAX];
    size_t head;

    if (len > FORM_MAX - 16)
        die("a frame of %zu bytes is too much", len);
    head = frame_head(out, opcode, len, true);
    mask(out + head, at, len, 0);
    link_send(l, out, head + len);
}
