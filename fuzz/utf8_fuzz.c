/* utf8 - agrees with a naive reader, also in pieces, and refuses at the first hopeless byte. */
#include "wire/utf8.h"

#include "input.h"
#include "unit/base/naive_utf8.h"

/* Bytes at the front that are whole characters. */
static size_t naive_whole(struct bytes b)
{
    size_t at = 0, n;
    uint32_t character;

    while (at < b.len && (n = sequence_at(bytes_of(b.at + at, b.len - at), &character)))
        at += n;
    return at;
}

/* Can bytes behind make a character of these one to three? */
static bool naive_may_begin(struct bytes b)
{
    char try[4];
    uint32_t character;

    if (b.len >= sizeof(try))
        return false;
    memcpy(try, b.at, b.len);
    for (int second = 0x80; second <= 0xbf; second++) {
        if (b.len == 1)
            try[1] = (char)second;
        try[2] = b.len > 2 ? b.at[2] : (char)0x80;
        try[3] = (char)0x80;
        for (size_t n = b.len + 1; n <= sizeof(try); n++)
            if (sequence_at(bytes_of(try, n), &character) == n)
                return true;
    }
    return false;
}

/* How many bytes a reader must take before it may refuse; beyond the end: it must not. */
static size_t naive_refusal(struct bytes b)
{
    size_t n = naive_whole(b), more;

    for (more = 1; n + more <= b.len; more++)
        if (!naive_may_begin(bytes_of(b.at + n, more)))
            return n + more;
    return b.len + 1;
}

static void feed(struct bytes text, struct chops chops, size_t refusal)
{
    utf8_state state = 0;
    bool good = true;

    for (size_t at = 0, n; at < text.len && good; at += n) {
        char *piece;

        n = chops_next(&chops, text.len - at);
        piece = piece_new(bytes_of(text.at + at, n), 0);
        good = utf8_feed(&state, bytes_of(piece, n));
        piece_free(piece);
        MUST(good == (at + n < refusal));
    }
    if (good)
        MUST((state == 0) == (naive_whole(text) == text.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of((const char *)data, size);
    size_t refusal = naive_refusal(text);
    char *whole = piece_new(text, 0);

    MUST(utf8_valid(bytes_of(whole, size)) == (naive_whole(text) == size));
    piece_free(whole);
    feed(text, (struct chops){.how = CHOPS_BYTES}, refusal);
    feed(text, chops_of(text), refusal);
    return 0;
}
