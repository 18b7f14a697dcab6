#include "wire/json_where.h"

#include "base/mem.h"
#include "wire/utf8.h"

/* What may come next. */
enum want { VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, NEXT_VALUE, NEXT_KEY, END };

static const char *const wanted[] = {
    [VALUE] = "a value",
    [FIRST_VALUE] = "a value or ']'",
    [KEY] = "a key in double quotes",
    [FIRST_KEY] = "a key in double quotes or '}'",
    [COLON] = "':' after a key",
    [NEXT_VALUE] = "',' or ']'",
    [NEXT_KEY] = "',' or '}'",
    [END] = "the end of the text",
};

struct scan {
    struct bytes text;
    size_t at;
    unsigned char *in_object; /* one bit a level */
    size_t depth, max_depth;
    struct json_fault *fault;
    struct json_fault suspect; /* a number that may be out of range; what is null: none */
};

static bool wrong(struct scan *s, size_t at, const char *what)
{
    *s->fault = (struct json_fault){at, what, false};
    return false;
}

static int peek(const struct scan *s)
{
    return s->at < s->text.len ? (unsigned char)s->text.at[s->at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static size_t skip_digits(struct scan *s)
{
    size_t from = s->at;

    while (is_digit(peek(s)))
        s->at++;
    return s->at - from;
}

/* Four hexadecimal digits at that offset; -1 when they are not. */
static int hex4(const struct scan *s, size_t at)
{
    int value = 0;

    if (s->text.len < 4 || at > s->text.len - 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        int c = (unsigned char)s->text.at[i], letter = c | 0x20;

        if (is_digit(c))
            value = value * 16 + (c - '0');
        else if (letter >= 'a' && letter <= 'f')
            value = value * 16 + (letter - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* Behind the 'u' of an escape. */
static bool pass_unicode_escape(struct scan *s)
{
    size_t begin = s->at - 2;
    int first = hex4(s, s->at), second;

    if (first < 0)
        return wrong(s, begin, "\\u needs four hexadecimal digits");
    s->at += 4;
    if (first < 0xd800 || first > 0xdfff)
        return true;
    if (first < 0xdc00 &&
        bytes_starts(bytes_of(s->text.at + s->at, s->text.len - s->at), BYTES("\\u"))) {
        second = hex4(s, s->at + 2);
        s->at += 6;
        if (second >= 0xdc00 && second <= 0xdfff)
            return true;
    }
    return wrong(s, begin, "half of a surrogate pair");
}

static bool pass_escape(struct scan *s)
{
    int c;

    s->at++;
    c = peek(s);
    s->at++;
    switch (c) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case -1: /* the string does not end: not for us to say */
        return true;
    case 'u':
        return pass_unicode_escape(s);
    default:
        return wrong(s, s->at - 2, "an unknown escape in a string");
    }
}

static bool pass_utf8(struct scan *s)
{
    int lead = peek(s);
    size_t len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    if (s->text.len - s->at < len || !utf8_valid(bytes_of(s->text.at + s->at, len)))
        return wrong(s, s->at, "invalid UTF-8");
    s->at += len;
    return true;
}

static bool pass_string(struct scan *s)
{
    size_t begin = s->at++;

    for (;;) {
        int c = peek(s);
        bool good = true;

        if (c < 0)
            return wrong(s, begin, "a string that does not end");
        if (c == '"')
            break;
        if (c < 0x20)
            return wrong(s, s->at, "a control character in a string must be escaped");
        if (c == '\\')
            good = pass_escape(s);
        else if (c >= 0x80)
            good = pass_utf8(s);
        else
            s->at++;
        if (!good)
            return false;
    }
    s->at++;
    return true;
}

/* Fits an int64 or, positive, a uint64? digits has no leading zero. */
static bool whole_fits(struct bytes digits, bool negative)
{
    struct bytes most = negative ? BYTES("9223372036854775808") : BYTES("18446744073709551615");

    if (digits.len != most.len)
        return digits.len < most.len;
    return memcmp(digits.at, most.at, most.len) <= 0;
}

/* The power of ten of the first digit that is not 0, without the exponent; *zero: there is none. */
static int64_t leading_power(struct bytes whole, struct bytes fraction, bool *zero)
{
    *zero = false;
    if (whole.at[0] != '0')
        return (int64_t)whole.len - 1;
    for (size_t i = 0; i < fraction.len; i++) {
        if (fraction.at[i] != '0')
            return -1 - (int64_t)i;
    }
    *zero = true;
    return 0;
}

/* 1e309 and more is beyond a double; 1e308 is not, 2e308 is: remembered, in case nothing else is
   found. */
static bool check_real(struct scan *s, size_t begin, int64_t power)
{
    const char *what = "a number out of range";

    if (power > 308)
        return wrong(s, begin, what);
    if (power == 308 && !s->suspect.what)
        s->suspect = (struct json_fault){begin, what, false};
    return true;
}

/* Of an exponent, from its sign on; cut off where it makes no difference any more. */
static bool pass_exponent(struct scan *s, int64_t *out)
{
    const int64_t enough = (int64_t)1 << 40;
    bool negative = peek(s) == '-';
    int64_t n = 0;

    if (negative || peek(s) == '+')
        s->at++;
    if (!is_digit(peek(s)))
        return wrong(s, s->at, "a digit of the exponent is missing");
    for (; is_digit(peek(s)); s->at++) {
        if (n < enough)
            n = n * 10 + (peek(s) - '0');
    }
    *out = negative ? -n : n;
    return true;
}

static bool pass_number(struct scan *s)
{
    size_t begin = s->at;
    bool negative = peek(s) == '-', real = false, zero;
    struct bytes whole, fraction = {0};
    int64_t exponent = 0;

    if (negative)
        s->at++;
    whole = bytes_of(s->text.at + s->at, 0);
    whole.len = skip_digits(s);
    if (whole.len == 0)
        return wrong(s, s->at, "a digit is missing");
    if (whole.len > 1 && whole.at[0] == '0')
        return wrong(s, begin, "a number with a leading zero");
    if (peek(s) == '.') {
        real = true;
        s->at++;
        fraction = bytes_of(s->text.at + s->at, 0);
        fraction.len = skip_digits(s);
        if (fraction.len == 0)
            return wrong(s, s->at, "a digit behind the point is missing");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        real = true;
        s->at++;
        if (!pass_exponent(s, &exponent))
            return false;
    }
    if (!real)
        return whole_fits(whole, negative) ||
               wrong(s, begin, "a whole number of more than 64 bits");
    exponent += leading_power(whole, fraction, &zero);
    return zero || check_real(s, begin, exponent);
}

static bool pass_word(struct scan *s)
{
    static const struct bytes words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    struct bytes rest = bytes_of(s->text.at + s->at, s->text.len - s->at);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (bytes_starts(rest, words[i])) {
            s->at += words[i].len;
            return true;
        }
    }
    return wrong(s, s->at, "an unknown word; the words are true, false and null");
}

static bool inside_object(const struct scan *s)
{
    size_t level = s->depth - 1;

    return s->in_object[level / 8] >> level % 8 & 1;
}

static enum want after_value(const struct scan *s)
{
    if (s->depth == 0)
        return END;
    return inside_object(s) ? NEXT_KEY : NEXT_VALUE;
}

static bool descend(struct scan *s, enum want *want)
{
    bool object = peek(s) == '{';
    unsigned char bit = (unsigned char)(1U << s->depth % 8);

    if (s->depth == s->max_depth)
        return wrong(s, s->at, "nested deeper than pushca.limits.json-depth allows");
    if (object)
        s->in_object[s->depth / 8] |= bit;
    else
        s->in_object[s->depth / 8] &= (unsigned char)~bit;
    s->depth++;
    s->at++;
    *want = object ? FIRST_KEY : FIRST_VALUE;
    return true;
}

static bool unexpected(struct scan *s, enum want want)
{
    *s->fault = (struct json_fault){s->at, wanted[want], true};
    return false;
}

static bool pass_value(struct scan *s, enum want *want)
{
    int c = peek(s);
    bool good;

    if (c == '{' || c == '[')
        return descend(s, want);
    if (c == '"')
        good = pass_string(s);
    else if (c == '-' || is_digit(c))
        good = pass_number(s);
    else if (c >= 'a' && c <= 'z')
        good = pass_word(s);
    else
        return unexpected(s, *want);
    *want = after_value(s);
    return good;
}

static bool ascend(struct scan *s, enum want *want)
{
    s->at++;
    s->depth--;
    *want = after_value(s);
    return true;
}

static bool pass_char(struct scan *s, enum want *want, enum want next)
{
    s->at++;
    *want = next;
    return true;
}

static bool pass_key(struct scan *s, enum want *want)
{
    if (peek(s) != '"')
        return unexpected(s, *want);
    *want = COLON;
    return pass_string(s);
}

/* Between the values of a container: a comma, or its end. */
static bool pass_comma(struct scan *s, enum want *want, enum want next, char end)
{
    int c = peek(s);

    if (c == ',')
        return pass_char(s, want, next);
    return c == end ? ascend(s, want) : unexpected(s, *want);
}

/* Takes what stands at s->at, which is no white space; false when it may not stand there. */
static bool pass_token(struct scan *s, enum want *want)
{
    int c = peek(s);

    switch (*want) {
    case FIRST_VALUE:
        return c == ']' ? ascend(s, want) : pass_value(s, want);
    case VALUE:
        return pass_value(s, want);
    case FIRST_KEY:
        return c == '}' ? ascend(s, want) : pass_key(s, want);
    case KEY:
        return pass_key(s, want);
    case COLON:
        return c == ':' ? pass_char(s, want, VALUE) : unexpected(s, *want);
    case NEXT_VALUE:
        return pass_comma(s, want, VALUE, ']');
    case NEXT_KEY:
        return pass_comma(s, want, KEY, '}');
    case END:
        break;
    }
    return unexpected(s, *want);
}

static void skip_space(struct scan *s)
{
    for (;;) {
        int c = peek(s);

        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        s->at++;
    }
}

bool json_where(struct bytes text, size_t max_depth, struct json_fault *out)
{
    struct scan s = {.text = text, .max_depth = max_depth, .fault = out};
    enum want want = VALUE;
    bool good = true;

    s.in_object = mem_alloc(max_depth / 8 + 1);
    for (;;) {
        skip_space(&s);
        if (s.at == text.len)
            break;
        good = pass_token(&s, &want);
        if (!good)
            break;
    }
    mem_free(s.in_object);
    if (good && want != END)
        good = unexpected(&s, want);
    if (good && s.suspect.what) {
        *out = s.suspect;
        good = false;
    }
    return !good;
}

size_t json_where_string(struct bytes text, size_t n)
{
    bool inside = false;

    for (size_t i = 0; i < text.len; i++) {
        if (inside && text.at[i] == '\\') {
            i++;
        } else if (text.at[i] == '"') {
            if (!inside && n-- == 0)
                return i;
            inside = !inside;
        }
    }
    return text.len;
}

void json_where_line(struct bytes text, size_t at, size_t *line, size_t *column)
{
    size_t begin = 0;

    *line = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        if (text.at[i] == '\n') {
            begin = i + 1;
            ++*line;
        }
    }
    *column = at - begin + 1;
}
