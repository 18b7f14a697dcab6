#include "wire/http1_syntax.h"

enum {
    NAME = HTTP1_TOKEN | HTTP1_VALUE | HTTP1_TARGET | HTTP1_HOST,
    SIGN = HTTP1_TOKEN | HTTP1_VALUE | HTTP1_TARGET,
    MARK = HTTP1_VALUE | HTTP1_TARGET | HTTP1_HOST,
    OTHER = HTTP1_VALUE | HTTP1_TARGET,
};

const uint8_t http1_classes[256] = {
    ['\t'] = HTTP1_VALUE,
    [' '] = HTTP1_VALUE,
    ['!'] = NAME,
    ['"'] = OTHER,
    ['#'] = HTTP1_TOKEN | HTTP1_VALUE,
    ['$' ... '\''] = NAME,
    ['('] = MARK,
    [')'] = MARK,
    ['*'] = NAME,
    ['+'] = NAME,
    [','] = MARK,
    ['-'] = NAME,
    ['.'] = NAME,
    ['/'] = OTHER,
    ['0' ... '9'] = NAME,
    [':'] = OTHER,
    [';'] = MARK,
    ['<'] = OTHER,
    ['='] = MARK,
    ['>'] = OTHER,
    ['?'] = OTHER,
    ['@'] = OTHER,
    ['A' ... 'Z'] = NAME,
    ['['] = OTHER,
    ['\\'] = OTHER,
    [']'] = OTHER,
    ['^'] = SIGN,
    ['_'] = NAME,
    ['`'] = SIGN,
    ['a' ... 'z'] = NAME,
    ['{'] = OTHER,
    ['|'] = SIGN,
    ['}'] = OTHER,
    ['~'] = NAME,
    [0x80 ... 0xFF] = HTTP1_VALUE,
};

bool http1_all(struct bytes b, enum http1_class class)
{
    unsigned all = class;

    /* without a way out: most are good to their end, and eight at a time are done so */
    for (size_t i = 0; i < b.len; i++)
        all &= http1_classes[(unsigned char)b.at[i]];
    return all != 0;
}

int http1_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}
