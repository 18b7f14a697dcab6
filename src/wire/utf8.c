#include "wire/utf8.h"

#include <string.h>

/*
 * Inside a sequence the state says which byte may come next and how many are missing:
 *
 *     bits 16..23  continuation bytes missing
 *     bits  8..15  lowest value the next byte may have
 *     bits  0..7   highest value
 *
 * Only the first continuation byte is ever narrower than 80..BF: that is where overlong forms,
 * surrogates and everything over U+10FFFF are told from the rest (Unicode, table 3-7).
 */
static utf8_state expect(unsigned missing, unsigned lowest, unsigned highest)
{
    return (utf8_state)missing << 16 | lowest << 8 | highest;
}

/* The state behind a first byte of 0x80 or more; zero when no sequence begins like that. */
static utf8_state begin(unsigned char lead)
{
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead < 0xE0)
        return expect(1, 0x80, 0xBF);
    if (lead < 0xF0)
        return expect(2, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF);
    return expect(3, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF);
}

static size_t skip_ascii(struct bytes text, size_t from)
{
    const uint64_t high_bits = 0x8080808080808080;

    for (; text.len - from >= 4 * sizeof(uint64_t); from += 4 * sizeof(uint64_t)) {
        uint64_t words[4];

        memcpy(words, text.at + from, sizeof words);
        if ((words[0] | words[1] | words[2] | words[3]) & high_bits)
            break;
    }
    for (; text.len - from >= sizeof(uint64_t); from += sizeof(uint64_t)) {
        uint64_t eight;

        memcpy(&eight, text.at + from, sizeof eight);
        if (eight & high_bits)
            break;
    }
    while (from < text.len && (unsigned char)text.at[from] < 0x80)
        from++;
    return from;
}

bool utf8_feed(utf8_state *state, struct bytes more)
{
    utf8_state s = *state;

    for (size_t i = 0; i < more.len; i++) {
        unsigned char c;

        if (s == 0) {
            i = skip_ascii(more, i);
            if (i == more.len)
                break;
            s = begin((unsigned char)more.at[i]);
            if (s == 0)
                return false;
            continue;
        }
        c = (unsigned char)more.at[i];
        if (c < (s >> 8 & 0xFF) || c > (s & 0xFF))
            return false;
        s = s >> 16 == 1 ? 0 : expect((s >> 16) - 1, 0x80, 0xBF);
    }
    *state = s;
    return true;
}

bool utf8_valid(struct bytes text)
{
    utf8_state state = 0;

    return utf8_feed(&state, text) && state == 0;
}
