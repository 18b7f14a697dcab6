#include "wire/utf8.h"

#include "unit/wire/split.h"

enum { LENGTH_MOST = 4 };

/* By the definition: undo the encoding, then ask whether this code point is written that way. */
static bool naive_character(const unsigned char *at, size_t len)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    static const unsigned char lead_mask[] = {0, 0x80, 0xE0, 0xF0, 0xF8};
    uint32_t code;

    if ((at[0] & lead_mask[len]) != lead[len])
        return false;
    code = (uint32_t)(at[0] & ~lead_mask[len]);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return false;
        code = code << 6 | (at[i] & 0x3F);
    }
    return code >= lowest[len] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

/* Bytes of the first character, or 0 when none begins the text. */
static size_t naive_first(const unsigned char *at, size_t len)
{
    for (size_t n = 1; n <= LENGTH_MOST && n <= len; n++) {
        if (naive_character(at, n))
            return n;
    }
    return 0;
}

/* Can bytes be added to make one character? The bounds of all ranges are among these. */
static bool naive_beginning(const unsigned char *at, size_t len)
{
    static const unsigned char more[] = {0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF};
    unsigned char tried[LENGTH_MOST];

    memcpy(tried, at, len);
    for (size_t total = len + 1; total <= LENGTH_MOST; total++) {
        for (size_t i = len; i < total; i++)
            tried[i] = 0x80;
        for (size_t i = 0; i < sizeof more; i++) {
            tried[len] = more[i];
            if (naive_character(tried, total))
                return true;
        }
    }
    return false;
}

enum verdict { VALID, UNFINISHED, INVALID };

static enum verdict naive(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text;

    while (len > 0) {
        size_t n = naive_first(at, len);

        if (n == 0)
            return len < LENGTH_MOST && naive_beginning(at, len) ? UNFINISHED : INVALID;
        at += n;
        len -= n;
    }
    return VALID;
}

/* What utf8 says of the whole text and of the same one in pieces. */
static enum verdict verdict(const char *text, size_t len, enum split how, struct dice *d)
{
    utf8_state state = 0;

    for (size_t at = 0, n; at < len; at += n) {
        char *piece;
        bool fine;

        n = split_next(how, d, len - at);
        piece = malloc(n);
        assert_non_null(piece);
        memcpy(piece, text + at, n);
        fine = utf8_feed(&state, bytes_of(piece, n));
        free(piece);
        if (!fine)
            return INVALID;
    }
    return state == 0 ? VALID : UNFINISHED;
}

static void same_as_naive(const char *text, size_t len, struct dice *d)
{
    enum verdict wanted = naive(text, len);

    if (verdict(text, len, SPLIT_NEVER, d) != wanted ||
        verdict(text, len, SPLIT_BYTES, d) != wanted ||
        verdict(text, len, SPLIT_RANDOM, d) != wanted ||
        utf8_valid(bytes_of(text, len)) != (wanted == VALID))
        fail_msg("%02x %02x ... (%zu bytes) is not what it should be, %d", (unsigned char)text[0],
                 (unsigned char)text[len > 1], len, wanted);
}

static void knows_known_texts(void **state)
{
    static const struct {
        struct bytes text;
        bool valid;
    } table[] = {
        {{"", 0}, true},
        {{"plain", 5}, true},
        {{"\0", 1}, true},
        {{"\x7F", 1}, true},
        {{"\xC2\x80", 2}, true},
        {{"\xDF\xBF", 2}, true},
        {{"\xE0\xA0\x80", 3}, true},
        {{"\xED\x9F\xBF", 3}, true},
        {{"\xEE\x80\x80", 3}, true},
        {{"\xEF\xBB\xBF", 3}, true},
        {{"\xEF\xBF\xBF", 3}, true},
        {{"\xF0\x90\x80\x80", 4}, true},
        {{"\xF4\x8F\xBF\xBF", 4}, true},
        {{"\x80", 1}, false},
        {{"\xC0\x80", 2}, false},
        {{"\xC1\xBF", 2}, false},
        {{"\xC3", 1}, false},
        {{"\xC3(", 2}, false},
        {{"\xE0\x9F\xBF", 3}, false},
        {{"\xE2\x82", 2}, false},
        {{"\xED\xA0\x80", 3}, false},
        {{"\xED\xBF\xBF", 3}, false},
        {{"\xED\xA0\xBD\xED\xB8\x80", 6}, false},
        {{"\xF0\x8F\xBF\xBF", 4}, false},
        {{"\xF4\x90\x80\x80", 4}, false},
        {{"\xF5\x80\x80\x80", 4}, false},
        {{"\xF8\x88\x80\x80\x80", 5}, false},
        {{"\xFE", 1}, false},
        {{"\xFF", 1}, false},
        {{"12345678\x80", 9}, false},
        {{"1234567\x80", 8}, false},
        {{"12345678\xE2\x82\xAC 12345678", 20}, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (utf8_valid(table[i].text) != table[i].valid)
            fail_msg("text %zu of the table", i);
    }
    assert_true(utf8_valid(bytes_of(NULL, 0)));
}

/* The sequences that encode a code point, in every length that can hold it. */
static void knows_every_code_point(void **state)
{
    static const uint32_t over[] = {0, 0x80, 0x800, 0x10000, 0x200000};

    (void)state;
    for (uint32_t code = 0; code < 0x200000; code++) {
        for (size_t len = 2; len <= LENGTH_MOST; len++) {
            bool shortest = code >= over[len - 1] && code < over[len];
            bool real = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
            char text[LENGTH_MOST];

            if (len == 2 ? code >= 0x800 : len == 3 && code >= 0x10000)
                continue;
            for (size_t i = len - 1, rest = code; i > 0; i--, rest >>= 6)
                text[i] = (char)(0x80 | (rest & 0x3F));
            text[0] = (char)((0xF00 >> len & 0xFF) | (code >> (6 * (len - 1))));
            if (utf8_valid(bytes_of(text, len)) != (shortest && real))
                fail_msg("U+%04X in %zu bytes", code, len);
        }
    }
}

static void stops_where_the_naive_one_stops(void **state)
{
    static const unsigned char border[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                           0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
                                           0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    struct dice d = dice_new("utf8");
    size_t all = 1;

    (void)state;
    for (size_t len = 1; len <= LENGTH_MOST; len++) {
        all *= sizeof border;
        for (size_t i = 0; i < all; i++) {
            char text[LENGTH_MOST];

            for (size_t k = 0, rest = i; k < len; k++, rest /= sizeof border)
                text[k] = (char)border[rest % sizeof border];
            if (verdict(text, len, SPLIT_NEVER, &d) != naive(text, len))
                fail_msg("sequence %zu of %zu bytes", i, len);
        }
    }
}

/* Mostly valid text, long runs of ASCII in it, now and then a byte that was spoilt. */
static size_t random_text(struct dice *d, char *text, size_t most)
{
    static const struct bytes pieces[] = {
        {"\xC3\xA4", 2},     {"\xE2\x82\xAC", 3},     {"\xF0\x9F\x98\x80", 4},      {"x", 1},
        {"\xED\x9F\xBF", 3}, {"\xF4\x8F\xBF\xBF", 4}, {"twenty ASCII letters", 20},
    };
    size_t len = 0, wanted = 1 + dice_roll(d, most - 20);

    while (len < wanted) {
        struct bytes piece = pieces[dice_roll(d, sizeof pieces / sizeof pieces[0])];

        memcpy(text + len, piece.at, piece.len);
        len += piece.len;
    }
    if (dice_roll(d, 2) == 0)
        text[dice_roll(d, len)] = (char)dice_roll(d, 256);
    return len - (dice_roll(d, 4) == 0 ? 1 : 0);
}

static void agrees_with_the_naive_one_on_random_texts(void **state)
{
    struct dice d = dice_new("utf8");
    char text[200];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = random_text(&d, text, sizeof text);

        if (len > 0)
            same_as_naive(text, len, &d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_known_texts),
        cmocka_unit_test(knows_every_code_point),
        cmocka_unit_test(stops_where_the_naive_one_stops),
        cmocka_unit_test(agrees_with_the_naive_one_on_random_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
